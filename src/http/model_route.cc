// The Open Inference Protocol v2 (https://github.com/kserve/open-inference-protocol): what other
// servers of models speak, over the models of the catalog.
#include "base/watchdog.h"
#include "http/json_build.h"
#include "http/model_json.h"
#include "http/problem.h"
#include "http/service.h"
#include "http/url.h"

namespace millrace::http {
namespace {

constexpr std::string_view kJson = "application/json";

// The protocol's form of an error.
void ReplyInferError(Exchange& exchange, const Error& error, int status = 0) {
  const std::string text = error.hint().empty()
                               ? error.message()
                               : fmt::format("{} ({})", error.message(), error.hint());
  if (status == 0) status = StatusOf(error.code());
  exchange.Reply(status, kJson, JsonObject({{"error", JsonText(text)}}) + "\n");
}

struct NamedModel {
  ModelName name;
  std::shared_ptr<const models::Model> model;
};

// Of the route's first brace, and the version in its second, if there is one. May take long.
Result<NamedModel> FindModel(Backend& backend, const std::vector<std::string>& segments) {
  NamedModel found;
  TRY(found.model, backend.FindModel(segments.at(0)));
  const catalog::CatalogPtr catalog = backend.catalog();
  const catalog::Object* object = catalog->Find(catalog::Kind::kModel, segments.at(0));
  found.name = {object == nullptr ? segments.at(0) : object->name(), VersionOf(*found.model)};
  if (segments.size() > 1 && segments[1] != found.name.version) {
    return Error(Code::kNotFound, "model {} has no version {}", Quoted(found.name.name),
                 Quoted(segments[1]))
        .Hint("it has version " + found.name.version);
  }
  return found;
}

Result<std::string> Metadata(Backend& backend, const std::vector<std::string>& segments) {
  TRY(const NamedModel found, FindModel(backend, segments));
  return ModelMetadataText(found.name, found.model->signature());
}

Result<std::string> Readiness(Backend& backend, const std::vector<std::string>& segments) {
  TRY(const NamedModel found, FindModel(backend, segments));
  return JsonObject({{"name", JsonText(found.name.name)}, {"ready", "true"}}) + "\n";
}

Result<std::string> Infer(Backend& backend, const std::vector<std::string>& segments,
                          const std::string& body, std::chrono::milliseconds timeout,
                          const std::shared_ptr<std::atomic<bool>>& cancel) {
  TRY(const NamedModel found, FindModel(backend, segments));
  const models::Signature& signature = found.model->signature();
  TRY(const InferRequest request, ParseInferRequest(body, signature));
  const auto scored = found.model->Run(request.inputs, request.outputs, EndOfCall(timeout, cancel));
  if (!scored.ok() && scored.error().code() == Code::kCancelled && !cancel->load())
    return Error(Code::kTimeout, "the model ran for longer than {} ms", timeout.count());
  if (!scored.ok()) return scored.error();
  return InferAnswerText(found.name, signature, request, *scored);
}

using Work = std::function<Result<std::string>()>;

// `on_gone`: of work that takes long, when the client goes away.
asio::awaitable<void> Answer(ServiceContext& context, Exchange& exchange, const Work& work,
                             const std::function<void()>* on_gone = nullptr) {
  const auto text = co_await OnPool<std::string>(context, exchange, work, on_gone);
  if (text.ok()) {
    exchange.Reply(200, kJson, *text);
  } else {
    ReplyInferError(exchange, text.error());
  }
}

using Question = Result<std::string> (*)(Backend&, const std::vector<std::string>&);

asio::awaitable<void> HandleQuestion(ServiceContext& context, Exchange& exchange,
                                     Question question) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  const Work work = [backend, question, segments = exchange.segments()] {
    return question(*backend, segments);
  };
  co_await Answer(context, exchange, work);
}

// ?timeout=30s, as statements have it.
Result<std::chrono::milliseconds> TimeoutOf(const ServiceContext& context,
                                            const Exchange& exchange) {
  TRY(const QueryParameters given, ParseQuery(exchange.head().query));
  return ParseTimeout(FindParameter(given, "timeout"), context.options.query_timeout,
                      context.options.query_timeout_max);
}

asio::awaitable<void> HandleInfer(ServiceContext& context, Exchange& exchange) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  if (exchange.head().Get("inference-header-content-length")) {
    ReplyInferError(exchange, Error(Code::kNotSupported, "binary tensors are not taken")
                                  .Hint("send them as JSON: binary_data=False"));
    co_return;
  }
  if (exchange.head().Get("content-encoding").value_or("identity") != "identity") {
    ReplyInferError(exchange, Error(Code::kNotSupported, "tensors are not taken compressed"), 415);
    co_return;
  }
  auto body = co_await exchange.ReadAll(context.options.request_bytes_max);
  if (!body.ok()) {
    ReplyInferError(exchange, body.error(), body.error().code() == Code::kTimeout ? 408 : 0);
    co_return;
  }
  const auto timeout = TimeoutOf(context, exchange);
  if (!timeout.ok()) {
    ReplyInferError(exchange, timeout.error());
    co_return;
  }
  const auto sent = std::make_shared<const std::string>(std::move(body).value());
  const auto cancel = std::make_shared<std::atomic<bool>>(false);
  const Work work = [backend, sent, segments = exchange.segments(), limit = *timeout, cancel] {
    return Infer(*backend, segments, *sent, limit, cancel);
  };
  const std::function<void()> on_gone = [cancel] { cancel->store(true); };
  co_await Answer(context, exchange, work, &on_gone);
}

Route OfNode(std::string pattern, Handler handler) {
  return {std::move(pattern), "GET", std::move(handler), {}, std::nullopt, /*open=*/true};
}

Route OfModel(std::string pattern, std::string method, Handler handler) {
  return {std::move(pattern), std::move(method), std::move(handler), {}, auth::Permission::kRead};
}

}  // namespace

void AddModelRoutes(ServiceContext& context, Router& router) {
  router.Add(OfNode("/v2", [&context](Exchange& exchange) -> asio::awaitable<void> {
    exchange.Reply(200, kJson,
                   JsonObject({{"name", JsonText("millrace")},
                               {"version", JsonText(context.options.version)},
                               {"extensions", "[]"}}) +
                       "\n");
    co_return;
  }));
  router.Add(OfNode("/v2/health/live", [](Exchange& exchange) -> asio::awaitable<void> {
    exchange.Reply(200, kJson, "{\"live\": true}\n");
    co_return;
  }));
  router.Add(OfNode("/v2/health/ready", [&context](Exchange& exchange) -> asio::awaitable<void> {
    const Backend* backend = context.backend.load();
    const bool ready = backend != nullptr && backend->ready() && backend->health().ok();
    exchange.Reply(ready ? 200 : 503, kJson,
                   fmt::format("{{\"ready\": {}}}\n", ready ? "true" : "false"));
    co_return;
  }));
  for (const std::string model : {"/v2/models/{model}", "/v2/models/{model}/versions/{version}"}) {
    router.Add(OfModel(model, "GET", [&context](Exchange& exchange) {
      return HandleQuestion(context, exchange, Metadata);
    }));
    router.Add(OfModel(model + "/ready", "GET", [&context](Exchange& exchange) {
      return HandleQuestion(context, exchange, Readiness);
    }));
    router.Add(OfModel(model + "/infer", "POST",
                       [&context](Exchange& exchange) { return HandleInfer(context, exchange); }));
  }
}

}  // namespace millrace::http
