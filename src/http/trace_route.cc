// GET /v1/trace/{stream}/{partition}/{offset}: one record's way.
#include <charconv>
#include <ctime>

#include "http/result_writer.h"
#include "http/service.h"
#include "http/text.h"

namespace millrace::http {
namespace {

constexpr size_t kValueBytesShown = 4096;

Result<int64_t> ParseNumber(std::string_view what, const std::string& text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec == std::errc() && parsed.ptr == end) return number;
  return Error(Code::kInvalidArgument, "{} {} is not a number", what, Quoted(text));
}

struct TracePlan {
  std::string stream;
  int32_t partition = 0;
  int64_t offset = 0;
  std::chrono::milliseconds timeout{0};
};

Result<TracePlan> ParsePlan(const ServiceContext& context, const Exchange& exchange) {
  TRY(const QueryParameters parameters, KnownParameters(exchange, {"timeout"}));
  TracePlan plan;
  TRY(plan.timeout, ParseTimeout(FindParameter(parameters, "timeout"),
                                 context.options.query_timeout, context.options.query_timeout_max));
  plan.stream = exchange.segments()[0];
  TRY(const int64_t partition, ParseNumber("partition", exchange.segments()[1]));
  if (partition < INT32_MIN || partition > INT32_MAX) {
    return Error(Code::kInvalidArgument, "there is no partition {}", partition);
  }
  plan.partition = static_cast<int32_t>(partition);
  TRY(plan.offset, ParseNumber("offset", exchange.segments()[2]));
  return plan;
}

void AppendText(std::string& out, std::string_view name, const std::string& text) {
  out += fmt::format(", \"{}\": ", name);
  AppendJsonString(out, text);
}

// null where there is nothing to say.
void AppendTextOrNull(std::string& out, std::string_view name, const std::string& text) {
  out += fmt::format(", \"{}\": ", name);
  if (text.empty()) {
    out += "null";
  } else {
    AppendJsonString(out, text);
  }
}

void AppendLog(std::string& out, const runtime::RecordTrace& trace) {
  out += ", \"log\": {\"topic\": ";
  AppendJsonString(out, trace.topic);
  out += fmt::format(", \"start_offset\": {}, \"end_offset\": {}, \"durable\": true",
                     trace.start.value, trace.end.value);
  if (trace.outcome != runtime::RecordTrace::Outcome::kDamaged) {
    AppendText(out, "appended_at", IsoTime(trace.appended_at));
    AppendText(out, "timestamp", IsoTime({trace.timestamp.value * 1000}));
    out += ", \"key\": ";
    if (trace.key) {
      AppendJsonString(out, *trace.key);
    } else {
      out += "null";
    }
    out +=
        fmt::format(", \"key_bytes\": {}, \"value_bytes\": {}", trace.key_bytes, trace.value_bytes);
    AppendText(out, "value", trace.value.substr(0, kValueBytesShown));
    AppendTextOrNull(out, "source", trace.source.value_or(""));
  }
  out += '}';
}

Status AppendRow(std::string& out, runtime::RecordTrace& trace) {
  out += ", \"row\": ";
  if (trace.row.row_count() == 0) {
    out += "null";
    return Ok();
  }
  TRY(std::string row, ResultText(std::make_shared<const sql::QueryResult>(std::move(trace.row)),
                                  {.format = Format::kNdjson}));
  row.pop_back();  // the line end
  out += row;
  return Ok();
}

Result<std::string> TraceBody(runtime::RecordTrace& trace) {
  std::string out = "{\"stream\": ";
  AppendJsonString(out, trace.stream);
  out += fmt::format(", \"partition\": {}, \"offset\": {}", trace.partition, trace.offset.value);
  AppendLog(out, trace);
  AppendText(out, "outcome", std::string(runtime::OutcomeName(trace.outcome)));
  AppendTextOrNull(out, "error", trace.error);
  AppendTextOrNull(out, "error_column", trace.error_column);
  TRY(AppendRow(out, trace));
  if (trace.outcome == runtime::RecordTrace::Outcome::kDuplicate) {
    out += ", \"duplicate_of\": ";
    out += trace.duplicate_of
               ? fmt::format("{{\"partition\": {}, \"offset\": {}}}", trace.duplicate_of->partition,
                             trace.duplicate_of->offset.value)
               : "null";
    AppendTextOrNull(out, "duplicate_of_unknown", trace.duplicate_of_unknown);
  }
  out += fmt::format(", \"step\": {}", trace.step ? std::to_string(*trace.step) : "null");
  AppendTextOrNull(out, "step_unknown", trace.step_unknown);
  out += fmt::format(", \"visible_step\": {}, \"views\": [", trace.visible_step);
  for (const auto& view : trace.views) {
    out += &view == &trace.views.front() ? "{\"name\": " : ", {\"name\": ";
    AppendJsonString(out, view.name);
    out += fmt::format(", \"passed\": {}}}", view.passed);
  }
  return out + "]}\n";
}

Result<std::string> RunTrace(Backend& backend, const TracePlan& plan,
                             const std::shared_ptr<std::atomic<bool>>& cancel) {
  runtime::StatementOptions options;
  options.timeout = plan.timeout;
  options.cancel = cancel;
  TRY(runtime::RecordTrace trace, backend.Trace(plan.stream, plan.partition, plan.offset, options));
  return TraceBody(trace);
}

asio::awaitable<void> HandleTrace(ServiceContext& context, Exchange& exchange) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  auto plan = ParsePlan(context, exchange);
  if (!plan.ok()) {
    exchange.ReplyError(plan.error());
    co_return;
  }
  const auto cancel = std::make_shared<std::atomic<bool>>(false);
  net::Waiting<std::string> waiting;
  const bool taken = context.queries.TrySubmit(
      [backend, cancel, plan = std::move(plan).value(), done = waiting.Callback()] {
        done(RunTrace(*backend, plan, cancel));
      });
  if (!taken) {
    exchange.ReplyError(Error(Code::kUnavailable, "too many requests are waiting"));
    co_return;
  }
  // Named: g++ 12 destroys a temporary closure in a co_await expression twice (GCC bug 99576).
  const std::function<void()> on_gone = [cancel] { cancel->store(true); };
  auto body = co_await exchange.WaitWhileConnected(waiting, on_gone);
  if (body.ok()) {
    exchange.Reply(200, "application/json", *body);
  } else {
    exchange.ReplyError(body.error());
  }
}

}  // namespace

void AddTraceRoute(ServiceContext& context, Router& router) {
  router.Add({"/v1/trace/{stream}/{partition}/{offset}",
              "GET",
              [&context](Exchange& exchange) { return HandleTrace(context, exchange); },
              {},
              auth::Permission::kConsume});
}

}  // namespace millrace::http
