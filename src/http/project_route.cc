// POST /v1/project/plan: what applying a project's files would change here, and what it costs.
// Nothing is done.
#include <simdjson.h>
#include <unistd.h>

#include "http/negotiation.h"
#include "http/project_plan_json.h"
#include "http/service.h"

namespace millrace::http {
namespace {

using simdjson::dom::element;

Error BadProject(std::string_view what) {
  return Error(Code::kInvalidArgument, "the request's JSON: {}", what)
      .Hint(R"(send {"files": [{"path": "views.sql", "text": "CREATE …"}]})");
}

Result<runtime::ProjectFile> ParseFile(const element& json) {
  runtime::ProjectFile file;
  std::string_view text;
  if (json["path"].get(text) != simdjson::SUCCESS) return BadProject("a file has no path");
  file.path = text;
  if (json["text"].get(text) != simdjson::SUCCESS) return BadProject("a file has no text");
  file.text = text;
  return file;
}

Result<std::vector<runtime::ProjectFile>> ParseFiles(std::string_view body) {
  simdjson::dom::parser parser;
  element json;
  if (const auto failed = parser.parse(body.data(), body.size()).get(json); failed) {
    return BadProject(simdjson::error_message(failed));
  }
  simdjson::dom::array array;
  if (json["files"].get(array) != simdjson::SUCCESS) return BadProject("files is missing");
  std::vector<runtime::ProjectFile> files;
  for (const element item : array) {
    TRY(runtime::ProjectFile file, ParseFile(item));
    files.push_back(std::move(file));
  }
  return files;
}

asio::awaitable<void> HandleProject(ServiceContext& context, Exchange& exchange) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  const std::string type =
      BareMediaType(exchange.head().Get("content-type").value_or(std::string_view()));
  if (type != "application/json") {
    exchange.ReplyError(
        Error(Code::kNotSupported, "Content-Type {} is not understood", Quoted(type))
            .Hint("send application/json"),
        415);
    co_return;
  }
  auto body = co_await exchange.ReadAll(context.options.request_bytes_max);
  if (!body.ok()) {
    exchange.ReplyError(body.error(), body.error().code() == Code::kTimeout ? 408 : 0);
    co_return;
  }
  auto files = ParseFiles(*body);
  if (!files.ok()) {
    exchange.ReplyError(files.error());
    co_return;
  }
  net::Waiting<runtime::ProjectPlan> waiting;
  const bool taken =
      context.queries.TrySubmit([backend, given = std::move(files).value(),
                                 done = waiting.Callback()] { done(backend->PlanProject(given)); });
  if (!taken) {
    exchange.ReplyError(Error(Code::kUnavailable, "too many requests are waiting"));
    co_return;
  }
  auto plan = co_await exchange.Wait(waiting);
  if (plan.ok()) {
    // So that who found the address in a data directory can tell whether this node holds it.
    exchange.AddHeader("X-Millrace-Process", std::to_string(::getpid()));
    exchange.Reply(200, "application/json", ProjectPlanBody(*plan));
  } else {
    exchange.ReplyError(plan.error());
  }
}

}  // namespace

void AddProjectRoute(ServiceContext& context, Router& router) {
  router.Add({"/v1/project/plan",
              "POST",
              [&context](Exchange& exchange) { return HandleProject(context, exchange); },
              {}});
}

}  // namespace millrace::http
