#include "http/server.h"

#include "base/clock.h"
#include "http/connection.h"
#include "http/problem.h"

namespace millrace::http {
namespace {

// Where TLS is spoken, to a request without.
std::string PlainTextAnswer() {
  const std::string body =
      ErrorBody(Error(Code::kInvalidArgument, "this listener speaks TLS, the request came without")
                    .Hint("ask by https://"),
                400);
  return fmt::format(
      "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n{}",
      body.size(), body);
}

asio::awaitable<void> RunConnection(std::unique_ptr<Connection> connection) {
  co_await connection->Run();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, const Router& router) {
  std::unique_ptr<Server> server(new Server(options, router));
  net::ListenOptions listen = options.listen;
  listen.plain_text_answer = PlainTextAnswer();
  TRY(server->server_,
      net::ConnectionServer::Start(
          listen, options.io_threads,
          [shared = server->shared_.get()](net::Stream stream, net::ConnectionSlot slot,
                                           net::ConnectionLoop& loop) {
            auto connection =
                std::make_unique<Connection>(std::move(stream), std::move(slot), loop, *shared);
            asio::co_spawn(loop.context, RunConnection(std::move(connection)), asio::detached);
          }));
  return server;
}

Server::Server(const ServerOptions& options, const Router& router)
    : shared_(std::make_unique<ServerShared>(options, router,
                                             static_cast<size_t>(options.io_threads))) {
  shared_->instance = static_cast<uint64_t>(Clock::System().Now().value) & 0xffffffff;
}

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

const net::Address& Server::address() const { return server_->address(); }

void Server::Stop(std::chrono::milliseconds drain) {
  if (server_ != nullptr) server_->Stop(drain);
}

std::string Server::Metrics() const {
  const net::ListenerCounters& counters = server_->counters();
  std::string out = shared_->metrics.Text();
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                       int64_t value) { out += net::MetricText(name, type, help, value); };
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
  return out + server_->TlsMetrics("http");
}

}  // namespace millrace::http
