#include "net/connection_server.h"

#include <algorithm>
#include <future>
#include <thread>

#include "net/tls_accept.h"

namespace millrace::net {

namespace {
constexpr std::chrono::milliseconds kSweepEvery{500};
constexpr std::chrono::milliseconds kEndPoll{2};
// All are told again and again: a cancellation between two waits of a connection is lost, one that
// was accepted just before is not there yet, and a handler that sleeps wakes up first.
constexpr std::chrono::milliseconds kTellEvery{50};

std::unique_ptr<TlsListening> ListeningWith(const ListenOptions& listen) {
  if (listen.tls == nullptr) return nullptr;
  return std::unique_ptr<TlsListening>(new TlsListening{
      *listen.tls, listen.handshake_timeout, listen.plain_text_answer, ToString(listen.address)});
}
}  // namespace

asio::awaitable<void> ServedConnection::LetOthersGoFirst() {
  return asio::post(loop_.context, asio::use_awaitable);
}

asio::awaitable<bool> ServedConnection::SendFully(Stream& stream, std::string_view bytes,
                                                  std::chrono::milliseconds timeout,
                                                  TimePoint& deadline) {
  deadline = loop_.now + timeout;
  for (size_t sent = 0; sent < bytes.size();) {
    // Most answers fit into the socket's buffer: then no wait, and no trip through the event loop.
    ErrorCode error;
    const size_t now = stream.TryWrite(bytes.data() + sent, bytes.size() - sent, error);
    sent += now;
    if (now > 0) deadline = loop_.now + timeout;
    if (error == asio::error::would_block) {
      co_await stream.WaitToWrite(error);
    } else if (sent < bytes.size()) {
      co_await LetOthersGoFirst();  // a peer may take as fast as it is sent to
    }
    if (error) co_return false;
  }
  deadline = kNever;
  co_return true;
}

Result<std::unique_ptr<ConnectionServer>> ConnectionServer::Start(const ListenOptions& listen,
                                                                  int io_threads, Serve serve) {
  std::unique_ptr<ConnectionServer> server(
      new ConnectionServer(listen, io_threads, std::move(serve)));
  TRY(server->listener_,
      Listener::Open(*server->threads_, listen,
                     [raw = server.get()](asio::ip::tcp::socket socket, ConnectionSlot slot) {
                       raw->OnConnection(std::move(socket), std::move(slot));
                     }));
  return server;
}

ConnectionServer::ConnectionServer(const ListenOptions& listen, int io_threads, Serve serve)
    : serve_(std::move(serve)),
      tls_(ListeningWith(listen)),
      threads_(std::make_unique<IoThreads>(io_threads)) {
  for (size_t i = 0; i < threads_->size(); ++i) {
    loops_.push_back(std::make_unique<ConnectionLoop>(threads_->context(i), i, live_));
    asio::co_spawn(threads_->context(i), Sweep(*loops_.back()), asio::detached);
  }
}

ConnectionServer::~ConnectionServer() { Stop(std::chrono::milliseconds(0)); }

void ConnectionServer::OnConnection(asio::ip::tcp::socket socket, ConnectionSlot slot) {
  // The connection is made on its own loop, whose set of connections it joins.
  for (auto& loop : loops_) {
    if (&socket.get_executor().context() != &loop->context) continue;
    asio::post(loop->context, [this, loop = loop.get(),
                               socket = std::make_shared<asio::ip::tcp::socket>(std::move(socket)),
                               slot = std::make_shared<ConnectionSlot>(std::move(slot))] {
      if (tls_ != nullptr) {
        AcceptTls(std::move(*socket), std::move(*slot), *loop, *tls_, serve_);
      } else {
        serve_(Stream(std::move(*socket)), std::move(*slot), *loop);
      }
    });
    return;
  }
}

asio::awaitable<void> ConnectionServer::Sweep(ConnectionLoop& loop) {
  for (;;) {
    loop.sweep.expires_after(kSweepEvery);
    ErrorCode error;
    co_await loop.sweep.async_wait(WithError(error));
    loop.now = std::chrono::steady_clock::now();
    for (ServedConnection* connection : loop.connections) connection->CheckDeadline();
  }
}

void ConnectionServer::EachLoop(const std::function<void(ConnectionLoop&)>& action) {
  for (auto& loop : loops_) {
    std::promise<void> done;
    asio::post(loop->context, [&] {
      action(*loop);
      done.set_value();
    });
    done.get_future().wait();
  }
}

bool ConnectionServer::WaitForEnd(std::chrono::milliseconds limit) const {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (live_.load() > 0) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kEndPoll);
  }
  return true;
}

void ConnectionServer::Stop(std::chrono::milliseconds drain,
                            const std::function<void()>& stopping) {
  if (stopped_) return;
  stopped_ = true;
  if (listener_) listener_->Stop();
  const auto tell = [](ConnectionLoop& loop) {
    loop.stopping = true;
    for (ServedConnection* connection : loop.connections) connection->StopSoon();
  };
  EachLoop(tell);
  if (stopping) stopping();
  const auto cut_at = std::chrono::steady_clock::now() + drain;
  while (!WaitForEnd(std::min(drain, kTellEvery))) {
    if (std::chrono::steady_clock::now() < cut_at) {
      EachLoop(tell);
      continue;
    }
    EachLoop([](ConnectionLoop& loop) {
      for (ServedConnection* connection : loop.connections) connection->Abort();
    });
    drain = kTellEvery;
  }
  threads_->Stop();
}

const TlsCounters* ConnectionServer::tls_counters() const {
  return tls_ == nullptr ? nullptr : &tls_->counters;
}

std::string ConnectionServer::TlsMetrics(std::string_view prefix) const {
  if (tls_ == nullptr) return {};
  const TlsCounters& counters = tls_->counters;
  const auto counter = [&](std::string_view name, std::string_view help, int64_t value) {
    return MetricText(fmt::format("{}_tls_{}_total", prefix, name), "counter", help, value);
  };
  return counter("handshakes", "TLS handshakes that came to a good end.",
                 counters.handshakes.load()) +
         counter("handshake_failures", "TLS handshakes that failed or took too long.",
                 counters.failures.load()) +
         counter("plain_text", "Connections that spoke plain text where TLS is spoken.",
                 counters.plain_text.load());
}

std::string MetricText(std::string_view name, std::string_view type, std::string_view help,
                       int64_t value) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
}

}  // namespace millrace::net
