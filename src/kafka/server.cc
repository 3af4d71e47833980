#include "kafka/server.h"

#include <thread>

#include "base/logging.h"
#include "kafka/connection.h"

namespace millrace::kafka {

namespace {
constexpr std::chrono::milliseconds kSweepEvery{500};
constexpr std::chrono::milliseconds kEndPoll{2};
}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, Service& service) {
  std::unique_ptr<Server> server(new Server(options, service));
  TRY(server->listener_,
      net::Listener::Open(
          *server->threads_, options.listen,
          [raw = server.get()](asio::ip::tcp::socket socket, net::ConnectionSlot slot) {
            raw->OnConnection(std::move(socket), std::move(slot));
          }));
  return server;
}

Server::Server(const ServerOptions& options, Service& service)
    : shared_(std::make_unique<ServerShared>(options, service)),
      threads_(std::make_unique<net::IoThreads>(options.io_threads)) {
  for (size_t i = 0; i < threads_->size(); ++i) {
    loops_.push_back(std::make_unique<ServerLoop>(threads_->context(i)));
    asio::co_spawn(threads_->context(i), Sweep(*loops_.back()), asio::detached);
  }
}

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

const net::Address& Server::address() const { return listener_->address(); }

void Server::OnConnection(asio::ip::tcp::socket socket, net::ConnectionSlot slot) {
  // The connection is made on its own loop, whose set of connections it joins.
  for (auto& loop : loops_) {
    if (&socket.get_executor().context() != &loop->context) continue;
    asio::post(loop->context, [this, loop = loop.get(),
                               socket = std::make_shared<asio::ip::tcp::socket>(std::move(socket)),
                               slot = std::make_shared<net::ConnectionSlot>(std::move(slot))] {
      std::make_shared<Connection>(std::move(*socket), std::move(*slot), *loop, *shared_)->Start();
    });
    return;
  }
}

asio::awaitable<void> Server::Sweep(ServerLoop& loop) {
  for (;;) {
    loop.sweep.expires_after(kSweepEvery);
    millrace::ErrorCode error;
    co_await loop.sweep.async_wait(WithError(error));
    loop.now = std::chrono::steady_clock::now();
    for (Connection* connection : loop.connections) connection->CheckDeadline();
  }
}

void Server::EachLoop(const std::function<void(ServerLoop&)>& action) {
  for (auto& loop : loops_) {
    std::promise<void> done;
    asio::post(loop->context, [&] {
      action(*loop);
      done.set_value();
    });
    done.get_future().wait();
  }
}

bool Server::WaitForEnd(std::chrono::milliseconds limit) const {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (shared_->counters.live.load() > 0) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kEndPoll);
  }
  return true;
}

void Server::Stop(std::chrono::milliseconds drain) {
  if (stopped_) return;
  stopped_ = true;
  if (listener_) listener_->Stop();
  EachLoop([](ServerLoop& loop) {
    loop.stopping = true;
    for (Connection* connection : loop.connections) connection->StopSoon();
  });
  shared_->service.StopWaiting();
  while (!WaitForEnd(drain)) {
    EachLoop([](ServerLoop& loop) {
      for (Connection* connection : loop.connections) connection->Abort();
    });
    drain = std::chrono::milliseconds(50);
  }
  threads_->Stop();
}

std::string Server::Metrics() const {
  std::string out;
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                       int64_t value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
  };
  const net::ListenerCounters& listener = listener_->counters();
  const ServerCounters& counters = shared_->counters;
  add("kafka_connections", "gauge", "Open connections.", listener.open.load());
  add("kafka_connections_accepted_total", "counter", "Connections taken.",
      listener.accepted.load());
  add("kafka_connections_refused_total", "counter", "Connections closed at once, over the limit.",
      listener.refused.load());
  add("kafka_requests_total", "counter", "Requests read.", counters.requests.load());
  add("kafka_malformed_total", "counter", "Connections closed for a request that cannot be read.",
      counters.malformed.load());
  add("kafka_timeouts_total", "counter", "Connections that were idle or too slow.",
      counters.timeouts.load());
  add("kafka_received_bytes_total", "counter", "Bytes of requests.", counters.bytes_in.load());
  add("kafka_sent_bytes_total", "counter", "Bytes of replies.", counters.bytes_out.load());
  return out;
}

}  // namespace millrace::kafka
