// Many subscribers of one live endpoint (Server-Sent Events): appends rows at a steady rate, and
// measures how long after its acknowledgement each is with each subscriber. A subscriber that was
// sent newer rows only, as slow ones are, has a row when it has a newer one.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"

namespace millrace::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;
  std::string stream = "clicks";
  std::string path = "/pages/1";
  int subscribers = 10'000;
  int per_second = 10;
  int seconds = 10;
};

constexpr std::chrono::seconds kEndWait{10};  // for what is on its way after the last append
constexpr std::string_view kField = "\"last\":";

int Connect(const Options& options) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  CHECK(fd >= 0) << "no socket; as many file descriptors as subscribers are needed (ulimit -n)";
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  CHECK(::inet_pton(AF_INET, options.host.c_str(), &address.sin_addr) == 1) << "not an address";
  CHECK(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
      << "cannot connect";
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

void SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    CHECK(sent > 0) << "the node took no more";
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

// When each row was acknowledged, in ns of the steady clock; 0: not yet. Row 0 is there before.
using Acknowledged = std::vector<std::atomic<int64_t>>;

int64_t Now() { return Clock::now().time_since_epoch().count(); }

// Returns when the row is durable.
void Append(int fd, const Options& options, int64_t moment) {
  const std::string row = fmt::format("{{\"page\": 1, \"moment\": {}}}", moment);
  SendAll(fd, "POST /v1/streams/" + options.stream +
                  " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: " +
                  std::to_string(row.size()) + "\r\n\r\n" + row);
  std::string answer(4096, '\0');
  const ssize_t got = ::recv(fd, answer.data(), answer.size(), 0);
  CHECK(got > 0 && answer.starts_with("HTTP/1.1 200")) << answer;
}

void AppendAll(const Options& options, int64_t base, Acknowledged& acknowledged) {
  const int fd = Connect(options);
  const auto begin = Clock::now();
  for (size_t number = 1; number < acknowledged.size(); ++number) {
    std::this_thread::sleep_until(begin +
                                  std::chrono::milliseconds(1000 * number / options.per_second));
    Append(fd, options, base + static_cast<int64_t>(number));
    acknowledged[number].store(Now());
  }
  ::close(fd);
}

struct Subscriber {
  int fd;
  std::string line;  // that is not whole yet
  size_t seen = 0;   // the newest row
  bool began = false;
};

class Measurement {
 public:
  // Row `number` has the moment base + number.
  Measurement(int64_t base, const Acknowledged& acknowledged)
      : base_(base), acknowledged_(acknowledged) {}

  void Take(Subscriber& subscriber, std::string_view bytes) {
    for (size_t end; (end = bytes.find('\n')) != bytes.npos; bytes.remove_prefix(end + 1)) {
      subscriber.line += bytes.substr(0, end);
      TakeLine(subscriber);
      subscriber.line.clear();
    }
    subscriber.line += bytes;
  }

  size_t ended() const { return ended_; }

  void Print(const Options& options) {
    CHECK(!delays_.empty()) << "nothing came";
    std::sort(delays_.begin(), delays_.end());
    const auto at = [&](double share) {
      return static_cast<double>(
                 delays_[static_cast<size_t>(share * static_cast<double>(delays_.size() - 1))]) /
             1e6;
    };
    fmt::print(
        "{{\"subscribers\": {}, \"changes_per_s\": {}, \"p50_ms\": {:.2f}, \"p99_ms\": {:.2f}, "
        "\"max_ms\": {:.2f}, "
        "\"changes\": {}, \"events\": {}}}\n",
        options.subscribers, options.per_second, at(0.5), at(0.99), at(1), delays_.size(), events_);
  }

 private:
  void TakeLine(Subscriber& subscriber) {
    const std::string_view line = subscriber.line;
    if (!line.starts_with("data:")) return;
    const size_t at = line.rfind(kField);
    CHECK(at != line.npos) << "an event without the field last: " << line;
    int64_t moment = 0;
    std::from_chars(line.data() + at + kField.size(), line.data() + line.size(), moment);
    subscriber.began = true;
    const size_t number = moment > base_ ? static_cast<size_t>(moment - base_) : 0;
    if (number <= subscriber.seen) return;
    ++events_;
    const int64_t now = Now();
    while (subscriber.seen < number) {
      const int64_t acknowledged = acknowledged_[++subscriber.seen].load();
      delays_.push_back(acknowledged == 0 ? 0 : std::max<int64_t>(0, now - acknowledged));
    }
    if (number + 1 == acknowledged_.size()) ++ended_;
  }

  const int64_t base_;
  const Acknowledged& acknowledged_;
  std::vector<int64_t> delays_;  // ns
  size_t events_ = 0;
  size_t ended_ = 0;  // subscribers that have the last row
};

// Reads what comes until `done()` or `deadline`.
template <typename Done>
void ReadUntil(int epoll, std::vector<Subscriber>& subscribers, Measurement& measurement,
               Clock::time_point deadline, const Done& done) {
  std::vector<epoll_event> events(1024);
  std::vector<char> buffer(64 << 10);
  while (!done() && Clock::now() < deadline) {
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < count; ++i) {
      Subscriber& subscriber = subscribers[events[static_cast<size_t>(i)].data.u64];
      const ssize_t got = ::recv(subscriber.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      CHECK(got > 0) << "the node ended a live answer";
      measurement.Take(subscriber, {buffer.data(), static_cast<size_t>(got)});
    }
  }
}

void Run(const Options& options) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  Acknowledged acknowledged(static_cast<size_t>(options.per_second * options.seconds) + 1);
  // Above all moments that were appended before, in runs of this program and of others.
  const int64_t base = std::chrono::duration_cast<std::chrono::nanoseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count();
  Measurement measurement(base, acknowledged);
  const int epoll = ::epoll_create1(0);
  std::vector<Subscriber> subscribers;
  for (int i = 0; i < options.subscribers; ++i) {
    subscribers.push_back({Connect(options), {}, 0, false});
    epoll_event event{EPOLLIN, {.u64 = subscribers.size() - 1}};
    CHECK(::epoll_ctl(epoll, EPOLL_CTL_ADD, subscribers.back().fd, &event) == 0);
    SendAll(
        subscribers.back().fd,
        "GET " + options.path + " HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n");
  }
  const auto all_began = [&] {
    return std::all_of(subscribers.begin(), subscribers.end(),
                       [](const Subscriber& each) { return each.began; });
  };
  ReadUntil(epoll, subscribers, measurement, Clock::now() + 3 * kEndWait, all_began);
  CHECK(all_began()) << "not all subscribers were answered";
  std::thread appends([&] { AppendAll(options, base, acknowledged); });
  ReadUntil(epoll, subscribers, measurement,
            Clock::now() + std::chrono::seconds(options.seconds) + kEndWait,
            [&] { return measurement.ended() == subscribers.size(); });
  appends.join();
  CHECK(measurement.ended() == subscribers.size())
      << "only " << measurement.ended() << " subscribers have the last row";
  measurement.Print(options);
  for (const Subscriber& each : subscribers) ::close(each.fd);
  ::close(epoll);
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  millrace::bench::Options options;
  CLI::App app(
      "How long after the acknowledgement of an append its change is with many subscribers");
  app.add_option("--host", options.host, "The node's address");
  app.add_option("--port", options.port, "Its HTTP port");
  app.add_option("--stream", options.stream, "Stream with the columns page and moment");
  app.add_option("--path", options.path, "Endpoint whose row has max(moment) as last");
  app.add_option("--subscribers", options.subscribers, "Connections");
  app.add_option("--per-second", options.per_second, "Appends a second");
  app.add_option("--seconds", options.seconds, "How long");
  CLI11_PARSE(app, argc, argv);
  millrace::bench::Run(options);
}
