// GET /openapi.json, and GET /docs, which shows it to people.
#include <mutex>

#include "http/docs_page.h"
#include "http/openapi.h"
#include "http/service.h"

namespace millrace::http {
namespace {

// The document of a version of the catalog.
struct Document {
  std::mutex mutex;
  uint64_t version = 0;
  std::string text;  // empty: none yet
};

std::string TextOf(Document& document, const std::string& release, Backend& backend) {
  const catalog::CatalogPtr catalog = backend.catalog();
  const std::lock_guard lock(document.mutex);
  if (document.text.empty() || document.version != catalog->version()) {
    document.text = OpenApiText(
        *catalog, release,
        [&](const catalog::EndpointDefinition& endpoint) { return backend.ColumnsOf(endpoint); });
    document.version = catalog->version();
  }
  return document.text;
}

}  // namespace

void AddOpenApiRoutes(ServiceContext& context, Router& router) {
  const auto document = std::make_shared<Document>();
  router.Add({"/openapi.json",
              "GET",
              [&context, document](Exchange& exchange) -> asio::awaitable<void> {
                Backend* backend = context.ReadyBackend(exchange);
                if (backend == nullptr) co_return;
                const std::function<Result<std::string>()> work =
                    [document, backend,
                     release = context.options.version]() -> Result<std::string> {
                  return TextOf(*document, release, *backend);
                };
                const auto text = co_await OnPool<std::string>(context, exchange, work);
                if (text.ok()) {
                  exchange.AddHeader("Cache-Control", "no-cache");
                  exchange.Reply(200, "application/json", *text);
                } else {
                  exchange.ReplyError(text.error());
                }
              },
              {},
              std::nullopt});
  router.Add({"/docs",
              "GET",
              [](Exchange& exchange) -> asio::awaitable<void> {
                exchange.AddHeader("Content-Security-Policy", kDocsPagePolicy);
                exchange.Reply(200, "text/html; charset=utf-8", kDocsPage);
                co_return;
              },
              {},
              std::nullopt,
              /*open=*/true});
}

}  // namespace millrace::http
