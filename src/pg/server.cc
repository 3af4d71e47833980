#include "pg/server.h"

#include "pg/connection.h"

namespace millrace::pg {

namespace {

rows::Schema UnansweredSchema() {
  using duckdb::LogicalType;
  rows::Schema schema;
  for (const auto& [name, type] :
       {std::pair<const char*, LogicalType>{"query", LogicalType::VARCHAR},
        {"error", LogicalType::VARCHAR},
        {"client", LogicalType::VARCHAR},
        {"count", LogicalType::BIGINT},
        {"last_at", LogicalType::TIMESTAMP}}) {
    rows::Column column;
    column.name = name;
    column.type = type;
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

std::vector<std::vector<duckdb::Value>> UnansweredRows(const SystemCatalog& catalog) {
  using duckdb::Value;
  std::vector<std::vector<Value>> rows;
  for (const Unanswered& each : catalog.unanswered()) {
    rows.push_back({Value(each.query), Value(each.error), Value(each.client),
                    Value::BIGINT(each.count),
                    Value::TIMESTAMP(duckdb::timestamp_t(each.last.value))});
  }
  return rows;
}

}  // namespace

Server::Server(std::unique_ptr<ServerShared> shared) : shared_(std::move(shared)) {}

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, runtime::Node& node,
                                              const auth::Access* access) {
  auto tables = node.SystemTableColumns();
  tables.emplace_back("millrace.unanswered", UnansweredSchema());
  TRY(auto opened, SystemCatalog::Open(std::move(tables)));
  const std::shared_ptr<SystemCatalog> catalog = std::move(opened);
  node.AddSystemTable("millrace.unanswered", UnansweredSchema(),
                      [catalog] { return UnansweredRows(*catalog); });
  std::unique_ptr<Server> server(
      new Server(std::make_unique<ServerShared>(options, node, access, catalog)));
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

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

const net::Address& Server::address() const { return server_->address(); }

void Server::Stop(std::chrono::milliseconds drain) {
  if (server_ != nullptr) server_->Stop(drain);
  shared_->pool.Stop();
}

std::string Server::Metrics() const {
  std::string out;
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                       int64_t value) { out += net::MetricText(name, type, help, value); };
  const net::ListenerCounters& listener = server_->counters();
  const ServerCounters& counters = shared_->counters;
  const SessionCounters& sessions = counters.sessions;
  add("pg_connections", "gauge", "Open connections.", listener.open.load());
  add("pg_connections_accepted_total", "counter", "Connections taken.", listener.accepted.load());
  add("pg_connections_refused_total", "counter", "Connections closed at once, over the limit.",
      listener.refused.load());
  add("pg_sign_ins_refused_total", "counter", "Clients that could not sign in.",
      counters.refused.load());
  add("pg_statements_total", "counter", "Statements run.", sessions.statements.load());
  add("pg_lookups_total", "counter", "Statements answered straight from a view's content.",
      sessions.lookups.load());
  add("pg_errors_total", "counter", "Statements that failed.", sessions.errors.load());
  add("pg_rows_sent_total", "counter", "Rows sent.", sessions.rows.load());
  add("pg_transactions_total", "counter", "Transaction blocks begun.",
      sessions.transactions.load());
  add("pg_cancel_requests_total", "counter", "Requests to cancel a statement.",
      counters.cancels.load());
  add("pg_statements_cancelled_total", "counter", "Statements that were cancelled.",
      sessions.cancelled.load());
  add("pg_subscriptions", "gauge", "Views that are being followed.", sessions.subscriptions.load());
  add("pg_catalog_queries_total", "counter", "Queries for the catalog that were answered.",
      shared_->catalog->answered());
  add("pg_catalog_queries_failed_total", "counter", "Queries for the catalog that were not.",
      shared_->catalog->failed());
  add("pg_malformed_total", "counter", "Connections closed for a packet that cannot be read.",
      counters.malformed.load());
  add("pg_timeouts_total", "counter", "Connections that were idle or too slow.",
      counters.timeouts.load());
  add("pg_tls_handshakes_total", "counter", "TLS handshakes that came to a good end.",
      counters.tls.handshakes.load());
  add("pg_tls_failures_total", "counter", "TLS handshakes that did not.",
      counters.tls.failures.load());
  add("pg_received_bytes_total", "counter", "Bytes of messages.", counters.bytes_in.load());
  add("pg_sent_bytes_total", "counter", "Bytes of replies.", counters.bytes_out.load());
  add("pg_queued", "gauge", "Clients whose statements wait for a thread.",
      static_cast<int64_t>(shared_->pool.queued()));
  return out;
}

}  // namespace millrace::pg
