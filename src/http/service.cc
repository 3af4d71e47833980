#include "http/service.h"

#include <charconv>

#include "http/access.h"

namespace millrace::http {

Backend* ServiceContext::ReadyBackend(Exchange& exchange) {
  Backend* found = backend.load();
  if (found != nullptr && found->ready()) return found;
  exchange.ReplyError(
      Error(Code::kUnavailable, "the node is starting").Hint("GET /readyz tells when it is ready"));
  return nullptr;
}

Service::Service(ServiceOptions options) : context_(std::move(options)) {
  AddSystemRoutes(context_, router_);
  AddIngestRoute(context_, router_);
  AddSqlRoute(context_, router_);
  AddTableRoute(context_, router_);
  AddOpenApiRoutes(context_, router_);
  AddProjectRoute(context_, router_);
  AddTraceRoute(context_, router_);
  AddRegistryRoutes(context_, router_);
  AddBackupRoute(context_, router_);
  AddModelRoutes(context_, router_);
  AddEndpointRoute(context_, router_);
  if (context_.options.access != nullptr) {
    router_.SetGate([this](Exchange& exchange, const Route& route) {
      return Admit(context_, exchange, route);
    });
  }
}

Service::~Service() { Stop(); }

void Service::Stop() {
  context_.queries.Stop();
  context_.ingest.Stop();
  context_.live.Stop();
}

asio::awaitable<Status> AwaitVisible(Backend& backend, Exchange& exchange, std::string token,
                                     std::chrono::milliseconds timeout) {
  net::Waiting<net::Done> waiting;
  backend.WhenVisible(token, timeout, [done = waiting.Callback()](Status status) {
    if (status.ok()) {
      done(net::Done{});
    } else {
      done(std::move(status).error());
    }
  });
  auto visible = co_await exchange.Wait(waiting);
  if (!visible.ok()) co_return std::move(visible).error();
  co_return Ok();
}

Result<std::chrono::milliseconds> ParseTimeout(const std::string* text,
                                               std::chrono::milliseconds fallback,
                                               std::chrono::milliseconds max) {
  if (text == nullptr) return fallback;
  int64_t number = 0;
  const char* end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, number);
  const std::string_view unit(parsed.ptr, static_cast<size_t>(end - parsed.ptr));
  const int64_t factor = unit.empty() || unit == "s" ? 1000
                         : unit == "ms"              ? 1
                         : unit == "m"               ? 60'000
                                                     : 0;
  if (parsed.ec != std::errc() || number < 0 || factor == 0) {
    return Error(Code::kInvalidArgument, "timeout {} is not a time", Quoted(*text))
        .Hint("write 5s, 250ms or 2m");
  }
  if (number > max.count() / factor) {
    return Error(Code::kInvalidArgument, "timeout {} is longer than {} s", Quoted(*text),
                 max.count() / 1000);
  }
  return std::chrono::milliseconds(number * factor);
}

const std::string* FindParameter(const QueryParameters& parameters, std::string_view name) {
  for (const auto& [key, value] : parameters) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace millrace::http
