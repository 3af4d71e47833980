// Confluent's schema registry API (registry_api.h) as routes. Parameters that it does not know are
// passed over, as the original does: clients send some that mean something elsewhere only.
#include "http/registry_api.h"
#include "http/service.h"

namespace millrace::http {
namespace {

constexpr char kContentType[] = "application/vnd.schemaregistry.v1+json";

asio::awaitable<void> HandleRegistry(ServiceContext& context, const RegistryCall& call,
                                     Exchange& exchange) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  auto parameters = ParseQuery(exchange.head().query);
  if (!parameters.ok()) {
    const RegistryReply reply = RegistryFailure(42201, parameters.error().message());
    exchange.Reply(reply.status, kContentType, reply.body);
    co_return;
  }
  auto body = co_await exchange.ReadAll(context.options.request_bytes_max);
  if (!body.ok()) {
    exchange.ReplyError(body.error(), body.error().code() == Code::kTimeout ? 408 : 0);
    co_return;
  }
  RegistryRequest request{exchange.segments(), std::move(parameters).value(),
                          std::move(body).value()};
  net::Waiting<RegistryReply> waiting;
  // A change waits for the disk.
  const bool taken = context.queries.TrySubmit(
      [backend, &call, asked = std::move(request), done = waiting.Callback()] {
        done(call.answer(backend->schemas(), asked));
      });
  if (!taken) {
    exchange.ReplyError(Error(Code::kUnavailable, "too many requests are waiting"));
    co_return;
  }
  auto reply = co_await exchange.Wait(waiting);
  if (reply.ok()) {
    exchange.Reply(reply->status, kContentType, reply->body);
  } else {
    exchange.ReplyError(reply.error());
  }
}

}  // namespace

void AddRegistryRoutes(ServiceContext& context, Router& router) {
  for (const RegistryCall& call : RegistryCalls()) {
    Route route{
        std::string(call.pattern),
        std::string(call.method),
        [&context, &call](Exchange& exchange) { return HandleRegistry(context, call, exchange); },
        {}};
    // Reading is for whoever signed in: consumers need the schemas of what they read.
    if (call.reads) route.needs.reset();
    router.Add(std::move(route));
  }
}

}  // namespace millrace::http
