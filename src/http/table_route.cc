// GET, PUT and DELETE /v1/tables/{table}/{key}: one row of a keyed table.
#include "http/entity_tag.h"
#include "http/result_writer.h"
#include "http/service.h"
#include "http/text.h"

namespace millrace::http {
namespace {

struct Request {
  std::string table;
  std::string key;
  std::optional<std::string> row;  // of PUT
  bool numbers_as_strings = false;
  std::optional<std::string> if_match;
  std::optional<std::string> if_none_match;
};

struct TableOutcome {
  runtime::RowWritten written;
  std::optional<Error> refused;  // by the request's own condition
};

struct Options {
  Request request;
  std::string after;  // a token to wait for, as long as the timeout
  std::chrono::milliseconds timeout{0};
};

Result<Options> ParseRequest(const ServiceContext& context, const Exchange& exchange) {
  TRY(const QueryParameters parameters, KnownParameters(exchange, {"after", "timeout", "numbers"}));
  Options options;
  TRY(options.timeout,
      ParseTimeout(FindParameter(parameters, "timeout"), context.options.query_timeout,
                   context.options.query_timeout_max));
  if (const std::string* after = FindParameter(parameters, "after")) options.after = *after;
  if (const std::string* numbers = FindParameter(parameters, "numbers")) {
    if (*numbers != "string")
      return Error(Code::kInvalidArgument, "numbers={} is not understood", *numbers)
          .Hint("only numbers=string is");
    options.request.numbers_as_strings = true;
  }
  options.request.table = exchange.segments()[0];
  options.request.key = exchange.segments()[1];
  const auto header = [&](std::string_view name) -> std::optional<std::string> {
    const auto value = exchange.head().Get(name);
    return value ? std::optional<std::string>(*value) : std::nullopt;
  };
  options.request.if_match = header("if-match");
  options.request.if_none_match = header("if-none-match");
  return options;
}

std::string Quotes(std::string_view tag) { return fmt::format("\"{}\"", tag); }

// RFC 9110, section 13.2.2.
Status CheckConditions(const Request& request, const runtime::TableRow* now) {
  const std::string tag = now == nullptr ? "" : Quotes(now->tag);
  if (request.if_match &&
      (now == nullptr || !NamesTag(*request.if_match, tag, TagComparison::kStrong))) {
    return Error(Code::kConflict, "the row is not what If-Match says: {}",
                 now == nullptr ? "it does not exist" : "its tag is " + tag)
        .Hint("read it again and decide anew");
  }
  if (request.if_none_match && now != nullptr &&
      NamesTag(*request.if_none_match, tag, TagComparison::kWeak)) {
    return Error(Code::kConflict, "the row exists already, with the tag {}", tag);
  }
  return Ok();
}

std::string RowAsJson(const runtime::TableRow& row, bool numbers_as_strings) {
  rows::RowWriter writer(row.rows.schema.names(), {.numbers_as_strings = numbers_as_strings});
  writer.Bind(*row.rows.chunks.front());
  std::string out;
  writer.JsonObject(0, out);
  return out + "\n";
}

Error NoRow(const Request& request) {
  return Error(Code::kNotFound, "table {} has no row with the key {}", Quoted(request.table),
               Quoted(request.key));
}

// False: it has answered with an error.
asio::awaitable<bool> AwaitToken(Backend& backend, Exchange& exchange, const Options& options) {
  if (options.after.empty()) co_return true;
  const Status waited = co_await AwaitVisible(backend, exchange, options.after, options.timeout);
  if (!waited.ok()) exchange.ReplyError(waited.error());
  co_return waited.ok();
}

asio::awaitable<void> Get(ServiceContext& context, Exchange& exchange) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  const auto options = ParseRequest(context, exchange);
  if (!options.ok()) {
    exchange.ReplyError(options.error());
    co_return;
  }
  const bool visible = co_await AwaitToken(*backend, exchange, *options);
  if (!visible) co_return;
  const Request& request = options->request;
  const std::function<Result<std::optional<runtime::TableRow>>()> read =
      [backend, table = request.table, key = request.key] { return backend->ReadRow(table, key); };
  const auto row = co_await OnPool<std::optional<runtime::TableRow>>(context, exchange, read);
  if (!row.ok()) {
    exchange.ReplyError(row.error());
    co_return;
  }
  if (!row->has_value()) {
    exchange.ReplyError(NoRow(request));
    co_return;
  }
  const std::string tag = Quotes((*row)->tag);
  exchange.AddHeader("ETag", tag);
  exchange.AddHeader("Cache-Control", "no-cache");
  if (request.if_none_match && NamesTag(*request.if_none_match, tag, TagComparison::kWeak)) {
    exchange.Reply(304, {}, {});
    co_return;
  }
  exchange.AddHeader("X-Millrace-Step", std::to_string((*row)->rows.step));
  exchange.Reply(200, "application/json", RowAsJson(**row, request.numbers_as_strings));
}

asio::awaitable<void> Write(ServiceContext& context, Exchange& exchange, bool put) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  auto options = ParseRequest(context, exchange);
  if (!options.ok()) {
    exchange.ReplyError(options.error());
    co_return;
  }
  Request& request = options->request;
  if (put) {
    if (exchange.head().Get("content-encoding").value_or("identity") != "identity") {
      exchange.ReplyError(Error(Code::kNotSupported, "a row is not taken compressed"), 415);
      co_return;
    }
    auto body = co_await exchange.ReadAll(context.options.request_bytes_max);
    if (!body.ok()) {
      exchange.ReplyError(body.error(), body.error().code() == Code::kTimeout ? 408 : 0);
      co_return;
    }
    request.row = std::move(body).value();
  }
  const bool visible = co_await AwaitToken(*backend, exchange, *options);
  if (!visible) co_return;
  // Goes on where the client or the server does not wait for it: what it needs is its own.
  const auto shared = std::make_shared<const Request>(request);
  const std::function<Result<TableOutcome>()> write = [backend, shared]() -> Result<TableOutcome> {
    TableOutcome outcome;
    auto written =
        backend->WriteRow(shared->table, shared->key, shared->row, [&](const auto* now) -> Status {
          Status status = CheckConditions(*shared, now);
          if (!status.ok()) outcome.refused = status.error();
          // Of what is not there no record says that it is gone.
          if (status.ok() && !shared->row && now == nullptr) return NoRow(*shared);
          return status;
        });
    if (outcome.refused) return outcome;
    if (!written.ok()) return std::move(written).error();
    outcome.written = std::move(written).value();
    return outcome;
  };
  const auto outcome = co_await OnPool<TableOutcome>(context, exchange, write);
  if (!outcome.ok()) {
    exchange.ReplyError(outcome.error());
    co_return;
  }
  if (outcome->refused) {
    exchange.ReplyError(*outcome->refused, 412);
    co_return;
  }
  const runtime::RowWritten& written = outcome->written;
  exchange.AddHeader("X-Millrace-Token", written.token);
  // Deleted, by this request or, since, by another.
  if (!written.row) {
    exchange.Reply(204, {}, {});
    co_return;
  }
  exchange.AddHeader("ETag", Quotes(written.row->tag));
  exchange.AddHeader("X-Millrace-Step", std::to_string(written.row->rows.step));
  exchange.Reply(written.existed ? 200 : 201, "application/json",
                 RowAsJson(*written.row, request.numbers_as_strings));
}

}  // namespace

void AddTableRoute(ServiceContext& context, Router& router) {
  const auto add = [&](std::string method, Handler handler, auth::Permission needs) {
    router.Add({"/v1/tables/{table}/{key}", std::move(method), std::move(handler), {}, needs});
  };
  add(
      "GET", [&context](Exchange& exchange) { return Get(context, exchange); },
      auth::Permission::kConsume);
  add(
      "PUT", [&context](Exchange& exchange) { return Write(context, exchange, true); },
      auth::Permission::kIngest);
  add(
      "DELETE", [&context](Exchange& exchange) { return Write(context, exchange, false); },
      auth::Permission::kIngest);
}

}  // namespace millrace::http
