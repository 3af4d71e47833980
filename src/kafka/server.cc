#include "kafka/server.h"

#include "kafka/connection.h"

namespace millrace::kafka {

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, Service& service) {
  std::unique_ptr<Server> server(new Server(options, service));
  TRY(server->server_,
      net::ConnectionServer::Start(
          options.listen, options.io_threads,
          [shared = server->shared_.get()](net::Stream stream, net::ConnectionSlot slot,
                                           net::ConnectionLoop& loop) {
            std::make_shared<Connection>(std::move(stream), std::move(slot), loop, *shared)
                ->Start();
          }));
  return server;
}

Server::Server(const ServerOptions& options, Service& service)
    : shared_(std::make_unique<ServerShared>(options, service)) {}

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

const net::Address& Server::address() const { return server_->address(); }

void Server::Stop(std::chrono::milliseconds drain) {
  if (server_ != nullptr) server_->Stop(drain, [this] { shared_->service.StopWaiting(); });
}

std::string Server::Metrics() const {
  std::string out;
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                       int64_t value) { out += net::MetricText(name, type, help, value); };
  const net::ListenerCounters& listener = server_->counters();
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
  return out + server_->TlsMetrics("kafka") + shared_->service.quotas().Metrics();
}

}  // namespace millrace::kafka
