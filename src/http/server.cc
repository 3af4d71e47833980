#include "http/server.h"

#include <thread>

#include "base/clock.h"
#include "base/logging.h"
#include "http/connection.h"

namespace millrace::http {
namespace {

constexpr std::chrono::milliseconds kSweepEvery{500};
constexpr std::chrono::milliseconds kEndPoll{2};

asio::awaitable<void> RunConnection(std::unique_ptr<Connection> connection) {
  co_await connection->Run();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, const Router& router) {
  std::unique_ptr<Server> server(new Server(options, router));
  TRY(server->listener_,
      net::Listener::Open(
          *server->threads_, options.listen,
          [raw = server.get()](asio::ip::tcp::socket socket, net::ConnectionSlot slot) {
            raw->OnConnection(std::move(socket), std::move(slot));
          }));
  return server;
}

Server::Server(const ServerOptions& options, const Router& router)
    : shared_(
          std::make_unique<ServerShared>(options, router, static_cast<size_t>(options.io_threads))),
      threads_(std::make_unique<net::IoThreads>(options.io_threads)) {
  shared_->instance = static_cast<uint64_t>(Clock::System().Now().value) & 0xffffffff;
  for (size_t i = 0; i < threads_->size(); ++i) {
    loops_.push_back(std::make_unique<ServerLoop>(threads_->context(i), i));
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
      auto connection =
          std::make_unique<Connection>(std::move(*socket), std::move(*slot), *loop, *shared_);
      asio::co_spawn(loop->context, RunConnection(std::move(connection)), asio::detached);
    });
    return;
  }
}

asio::awaitable<void> Server::Sweep(ServerLoop& loop) {
  for (;;) {
    loop.sweep.expires_after(kSweepEvery);
    ErrorCode error;
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
  while (shared_->live.load() > 0) {
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
  // Connections whose request is cut end within a turn of their loop; a handler that sleeps wakes
  // up first.
  while (!WaitForEnd(drain)) {
    EachLoop([](ServerLoop& loop) {
      for (Connection* connection : loop.connections) connection->Abort();
    });
    drain = std::chrono::milliseconds(50);
  }
  threads_->Stop();
}

std::string Server::Metrics() const {
  const net::ListenerCounters& counters = listener_->counters();
  std::string out = shared_->metrics.Text();
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                       int64_t value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
  };
  add("http_connections", "gauge", "Open connections.", counters.open.load());
  add("http_connections_max", "gauge", "Limit of open connections.",
      static_cast<int64_t>(shared_->options.listen.connections_max));
  add("http_connections_accepted_total", "counter", "Connections taken.", counters.accepted.load());
  add("http_connections_refused_total", "counter", "Connections closed at once, over the limit.",
      counters.refused.load());
  add("http_accept_errors_total", "counter", "Failed accepts: out of descriptors or memory.",
      counters.accept_errors.load());
  add("http_timeouts_total", "counter", "Connections that were idle or too slow.",
      shared_->timeouts.load());
  return out;
}

}  // namespace millrace::http
