// GET /healthz, /readyz, /metrics, /v1/ledger and /.
#include "http/service.h"
#include "http/text.h"

namespace millrace::http {
namespace {

using PlainAnswer = std::function<void(Exchange&)>;

Route AtOnce(std::string pattern, PlainAnswer answer, bool open = false) {
  return {std::move(pattern),
          "GET",
          [answer](Exchange& exchange) -> asio::awaitable<void> {
            answer(exchange);
            co_return;
          },
          {},
          std::nullopt,
          open};
}

// On a pool thread, because it may wait for locks of the engine; the answer's content type and
// text.
Route PoolRoute(ServiceContext& context, std::string pattern, std::string content_type,
                std::function<std::string(Backend&)> text) {
  return {std::move(pattern),
          "GET",
          [&context, content_type, text](Exchange& exchange) -> asio::awaitable<void> {
            Backend* backend = context.ReadyBackend(exchange);
            if (backend == nullptr) co_return;
            const std::function<Result<std::string>()> work =
                [backend, text]() -> Result<std::string> { return text(*backend); };
            const auto body = co_await OnPool<std::string>(context, exchange, work);
            if (body.ok()) {
              exchange.Reply(200, content_type, *body);
            } else {
              exchange.ReplyError(body.error());
            }
          },
          {},
          auth::Permission::kMetrics};
}

std::string LedgerText(Backend& backend) {
  const int64_t step = backend.visible_step();
  const Status books = backend.CheckBooks();
  std::string out = fmt::format("{{\"balanced\": {}, \"step\": {}", books.ok(), step);
  if (!books.ok()) {
    out += ", \"reason\": ";
    AppendJsonString(out, books.error().message());
  }
  out += ", \"lines\": [";
  bool first = true;
  for (const runtime::LedgerLine& line : backend.Ledger()) {
    out += first ? "\n  {\"edge\": " : ",\n  {\"edge\": ";
    first = false;
    AppendJsonString(out, line.edge);
    out += ", \"counter\": ";
    AppendJsonString(out, line.counter);
    out += fmt::format(", \"value\": {}}}", line.value);
  }
  return out + "]}\n";
}

std::string ServiceMetrics(ServiceContext& context) {
  std::string out;
  const auto gauge = [&](std::string_view name, std::string_view help, size_t value, size_t max) {
    out += fmt::format(
        "# HELP {0} {1}\n# TYPE {0} gauge\n{0} {2}\n# HELP {0}_max Limit of {0}.\n# TYPE {0}_max "
        "gauge\n{0}_max {3}\n",
        name, help, value, max);
  };
  gauge("http_queries_queued", "Statements and endpoints waiting for a thread.",
        context.queries.queued(), context.options.query_queue_max);
  gauge("http_ingest_queued", "Pieces of request bodies waiting to be decoded.",
        context.ingest.queued(), context.options.ingest_queue_max);
  gauge("http_body_memory_bytes", "Memory that request bodies hold.", context.body_memory->used(),
        context.body_memory->bytes_max());
  return out + context.live.Metrics();
}

void Healthz(ServiceContext& context, Exchange& exchange) {
  Backend* backend = context.backend.load();
  const Status health = backend == nullptr ? Ok() : backend->health();
  if (!health.ok()) {
    exchange.ReplyError(health.error(), 503);
  } else {
    exchange.Reply(200, "application/json", "{\"status\": \"ok\"}\n");
  }
}

void Readyz(ServiceContext& context, Exchange& exchange) {
  if (context.ReadyBackend(exchange) == nullptr) return;
  exchange.Reply(200, "application/json", "{\"status\": \"ready\"}\n");
}

std::string IndexText(const ServiceContext& context, const Router& router) {
  std::string out = "{\"name\": \"millrace\", \"version\": ";
  AppendJsonString(out, context.options.version);
  out += ", \"paths\": [";
  std::string separator = "\n  ";
  const auto add = [&](std::string_view path) {
    out += separator;
    separator = ",\n  ";
    AppendJsonString(out, path);
  };
  for (const std::string& pattern : router.Patterns()) add(pattern);
  const Backend* backend = context.backend.load();
  if (backend != nullptr && backend->ready()) {
    const catalog::CatalogPtr catalog = backend->catalog();
    for (const catalog::Object* object : catalog->OfKind(catalog::Kind::kEndpoint)) {
      const auto& endpoint = std::get<catalog::EndpointDefinition>(object->definition);
      add(endpoint.method + " " + endpoint.path);
    }
  }
  return out + "]}\n";
}

}  // namespace

void AddSystemRoutes(ServiceContext& context, Router& router) {
  router.Add(AtOnce("/", [&](Exchange& exchange) {
    exchange.Reply(200, "application/json", IndexText(context, router));
  }));
  router.Add(AtOnce(
      "/healthz", [&](Exchange& exchange) { Healthz(context, exchange); }, true));
  router.Add(AtOnce(
      "/readyz", [&](Exchange& exchange) { Readyz(context, exchange); }, true));
  router.Add(PoolRoute(
      context, "/metrics", "text/plain; version=0.0.4; charset=utf-8", [&](Backend& backend) {
        const Server* server = context.server.load();
        return backend.Metrics() + (server == nullptr ? std::string() : server->Metrics()) +
               ServiceMetrics(context);
      }));
  router.Add(PoolRoute(context, "/v1/ledger", "application/json", LedgerText));
}

}  // namespace millrace::http
