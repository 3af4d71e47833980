// GET of the paths that CREATE ENDPOINT defined: every path that no other route takes comes here.
#include <algorithm>
#include <charconv>

#include "http/answer_live.h"
#include "http/answer_rows.h"
#include "http/entity_tag.h"
#include "http/page_link.h"
#include "http/service.h"
#include "http/text.h"
#include "http/websocket_handshake.h"

namespace millrace::http {
namespace {

constexpr size_t kPageRows = 100, kPageRowsMax = 10'000;

struct EndpointPlan {
  runtime::EndpointMatch match;
  std::map<std::string, std::string> parameters;  // of the path and of the query string
  Format format = Format::kJson;
  bool live = false;  // events, not a format
  std::string last_event_id;
  std::optional<runtime::PageRequest> page;
  bool numbers_as_strings = false;
  std::chrono::milliseconds timeout{0};
  std::string after;
};

const catalog::EndpointDefinition& Definition(const runtime::EndpointMatch& match) {
  return std::get<catalog::EndpointDefinition>(match.endpoint->definition);
}

bool Declares(const catalog::EndpointDefinition& endpoint, std::string_view name) {
  return std::any_of(endpoint.parameters.begin(), endpoint.parameters.end(),
                     [&](const auto& parameter) { return rows::EqualNames(parameter.name, name); });
}

Error UnknownParameter(const catalog::EndpointDefinition& endpoint, std::string_view name) {
  std::vector<std::string> known = {"after",         "timeout",   "numbers",
                                    "last_event_id", "page_size", "cursor"};
  for (const auto& parameter : endpoint.parameters) known.push_back(parameter.name);
  return Error(Code::kInvalidArgument, "endpoint {} has no parameter {}", Quoted(endpoint.name),
               Quoted(name))
      .Hint(DidYouMean(name, known));
}

Status TakePageSize(const std::string& text, runtime::PageRequest& page) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, page.rows_max);
  if (parsed.ec == std::errc() && parsed.ptr == end && page.rows_max > 0 &&
      page.rows_max <= kPageRowsMax)
    return Ok();
  return Error(Code::kInvalidArgument, "page_size={} is no number from 1 to {}", text,
               kPageRowsMax);
}

Status TakePage(std::string_view name, const std::string& value, EndpointPlan& plan) {
  if (plan.live) {
    return Error(Code::kInvalidArgument, "a live answer has no pages")
        .Hint(fmt::format("leave {} out", name));
  }
  if (!plan.page) plan.page = runtime::PageRequest{kPageRows, {}};
  if (name == "page_size") return TakePageSize(value, *plan.page);
  TRY(plan.page->cursor, CursorBytes(value));
  return Ok();
}

// A parameter that the endpoint declares is its own, also where its name is one of the general
// ones.
Status TakeParameter(const ServiceContext& context, const catalog::EndpointDefinition& endpoint,
                     std::string name, std::string value, EndpointPlan& plan) {
  if (Declares(endpoint, name)) {
    if (!plan.parameters.emplace(name, std::move(value)).second) {
      return Error(Code::kInvalidArgument, "parameter {} is given twice", Quoted(name));
    }
    return Ok();
  }
  if (name == "after") {
    plan.after = std::move(value);
    return Ok();
  }
  if (name == "timeout") {
    TRY(plan.timeout, ParseTimeout(&value, plan.timeout, context.options.query_timeout_max));
    return Ok();
  }
  if (name == "last_event_id") {
    if (!plan.live) {
      return Error(Code::kInvalidArgument, "last_event_id is for live answers")
          .Hint("ask with Accept: text/event-stream, or for a WebSocket");
    }
    plan.last_event_id = std::move(value);
    return Ok();
  }
  if (name == "page_size" || name == "cursor") return TakePage(name, value, plan);
  if (name != "numbers") return UnknownParameter(endpoint, name);
  if (value != "string") {
    return Error(Code::kInvalidArgument, "numbers={} is not understood", value)
        .Hint("only numbers=string is");
  }
  plan.numbers_as_strings = true;
  return Ok();
}

// What the query string says. Error: as it is to be answered.
Status TakeParameters(const ServiceContext& context, const Exchange& exchange, EndpointPlan& plan) {
  if (exchange.head().query.empty()) return Ok();
  TRY(QueryParameters given, ParseQuery(exchange.head().query));
  const catalog::EndpointDefinition& endpoint = Definition(plan.match);
  for (auto& [name, value] : given)
    TRY(TakeParameter(context, endpoint, std::move(name), std::move(value), plan));
  return Ok();
}

// False: no WebSocket can be had, and that is answered.
bool AcceptsWebSocket(Exchange& exchange) {
  if (!exchange.IsFromAllowedPage()) {
    exchange.ReplyError(Error(Code::kInvalidArgument, "pages of {} may not connect here",
                              Quoted(exchange.head().Get("origin").value_or(std::string_view())))
                            .Hint("the setting http_cors_origins says which may"),
                        403);
    return false;
  }
  const auto handshake = CheckHandshake(exchange.head());
  if (handshake.ok()) return true;
  if (handshake.error().code() != Code::kNotSupported) {
    exchange.ReplyError(handshake.error());
    return false;
  }
  exchange.AddHeader("Sec-WebSocket-Version", kWebSocketVersion);
  exchange.ReplyError(handshake.error(), 426);
  return false;
}

// How the rows are to be had. False: in no way that the client takes, and that is answered.
bool TakeFormat(Exchange& exchange, EndpointPlan& plan) {
  if (WantsWebSocket(exchange.head())) {
    plan.live = true;
    return AcceptsWebSocket(exchange);
  }
  const auto accept = exchange.head().Get("accept");
  plan.live = WantsEvents(accept);
  if (plan.live) return true;
  const auto format = Negotiate(accept, kFormats);
  if (!format) {
    exchange.ReplyError(Error(Code::kInvalidArgument, "none of the accepted media types can be had")
                            .Hint(fmt::format("{}, {}", ListedFormats(), kEventStream)),
                        406);
    return false;
  }
  plan.format = *format;
  return true;
}

// nullopt: answered already (no such endpoint, wrong parameters, nothing new).
std::optional<EndpointPlan> MakePlan(ServiceContext& context, Backend& backend,
                                     Exchange& exchange) {
  auto match = backend.MatchEndpoint("GET", exchange.head().path);
  if (!match) {
    exchange.set_metric_route("other");
    exchange.ReplyError(
        Error(Code::kNotFound, "there is nothing at {}", Quoted(exchange.head().path))
            .Hint("GET / lists the paths; CREATE ENDPOINT makes one"));
    return std::nullopt;
  }
  EndpointPlan plan;
  plan.match = std::move(*match);
  plan.timeout = context.options.query_timeout;
  exchange.set_metric_route(Definition(plan.match).path);
  plan.parameters = plan.match.path_values;
  if (!TakeFormat(exchange, plan)) return std::nullopt;
  const Status taken = TakeParameters(context, exchange, plan);
  if (!taken.ok()) {
    exchange.ReplyError(taken.error());
    return std::nullopt;
  }
  return plan;
}

// True: the client has this already, and was told so.
bool AnswerNotModified(const Backend& backend, const EndpointPlan& plan, Exchange& exchange) {
  const auto wanted = exchange.head().Get("if-none-match");
  if (!wanted) return false;
  const std::string opaque = fmt::format("\"{}\"", backend.EndpointStep(plan.match));
  if (!NamesTag(*wanted, opaque, TagComparison::kWeak)) return false;
  exchange.AddHeader("ETag", "W/" + opaque);
  exchange.AddHeader("Cache-Control", "no-cache");
  exchange.AddHeader("Vary", "Accept");
  exchange.Reply(304, {}, {});
  return true;
}

void AddAnswerHeaders(Exchange& exchange, const runtime::EndpointAnswer& answer) {
  exchange.AddHeader("ETag", fmt::format("W/\"{}\"", answer.step));
  exchange.AddHeader("Cache-Control", "no-cache");
  exchange.AddHeader("Vary", "Accept");
  if (answer.watermark) exchange.AddHeader("X-Data-Timestamp", IsoTime(*answer.watermark));
}

ResultForm FormOf(const EndpointPlan& plan) {
  return {plan.format, RowShape::kObjects, plan.numbers_as_strings};
}

std::shared_ptr<const sql::QueryResult> RowsOf(runtime::EndpointAnswer& answer) {
  return std::make_shared<const sql::QueryResult>(std::move(answer.rows));
}

// Keyed look-ups: answered on the I/O thread, in microseconds.
bool AnswerAtOnce(ServiceContext& context, Exchange& exchange) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) return true;
  const auto plan = MakePlan(context, *backend, exchange);
  if (!plan) return true;
  if (!plan->after.empty() || plan->live) return false;
  if (AnswerNotModified(*backend, *plan, exchange)) return true;
  if (plan->page || IsColumnar(plan->format) || !backend->EndpointIsFast(plan->match)) return false;
  runtime::StatementOptions options;
  options.timeout = plan->timeout;
  auto answer = backend->AnswerEndpoint(plan->match, plan->parameters, options);
  if (!answer.ok()) {
    exchange.ReplyError(answer.error());
    return true;
  }
  const auto text = ResultText(RowsOf(*answer), FormOf(*plan));
  if (!text.ok()) {
    exchange.ReplyError(text.error());
    return true;
  }
  AddAnswerHeaders(exchange, *answer);
  exchange.Reply(200, MediaType(plan->format), *text);
  return true;
}

struct EndpointOutcome {
  runtime::EndpointAnswer answer;
  ResultWriters writers;
  std::string text;  // the beginning of the body
  std::string tail;  // its end
};

Result<EndpointOutcome> Answer(Backend& backend, columnar::Encoders& encoders,
                               const EndpointPlan& plan,
                               const std::shared_ptr<std::atomic<bool>>& cancel) {
  runtime::StatementOptions options;
  options.timeout = plan.timeout;
  options.cancel = cancel;
  options.may_spill = true;
  EndpointOutcome outcome;
  if (plan.page) {
    TRY(outcome.answer,
        backend.AnswerEndpointPage(plan.match, plan.parameters, *plan.page, options));
  } else {
    TRY(outcome.answer, backend.AnswerEndpoint(plan.match, plan.parameters, options));
  }
  TRY(outcome.writers, MakeResultWriters(encoders, RowsOf(outcome.answer), FormOf(plan)));
  if (plan.page && plan.format == Format::kJson) {
    const std::string& next = outcome.answer.next;
    outcome.text = "{\"rows\": ";
    outcome.tail = next.empty() ? ", \"next\": null}\n"
                                : fmt::format(", \"next\": \"{}\"}}\n", CursorText(next));
  }
  TRY(const std::string first, outcome.writers.front()->Next());
  outcome.text += first;
  return outcome;
}

asio::awaitable<void> HandleEndpoint(ServiceContext& context, Exchange& exchange) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  auto plan = MakePlan(context, *backend, exchange);
  if (!plan) co_return;
  if (!plan->after.empty()) {
    const Status waited = co_await AwaitVisible(*backend, exchange, plan->after, plan->timeout);
    if (!waited.ok()) {
      exchange.ReplyError(waited.error());
      co_return;
    }
  }
  if (plan->live) {
    LiveRequest request{std::move(plan->match), std::string(exchange.head().path),
                        std::move(plan->parameters), plan->numbers_as_strings};
    co_await AnswerLive(context, *backend, exchange, std::move(request),
                        std::move(plan->last_event_id), plan->timeout);
    co_return;
  }
  if (!plan->after.empty() && AnswerNotModified(*backend, *plan, exchange)) co_return;
  const auto cancel = std::make_shared<std::atomic<bool>>(false);
  const Format format = plan->format;
  net::Waiting<EndpointOutcome> waiting;
  const bool taken = context.queries.TrySubmit(
      [backend, &context, cancel, plan = std::make_shared<const EndpointPlan>(std::move(*plan)),
       done = waiting.Callback()] { done(Answer(*backend, context.encoders, *plan, cancel)); });
  if (!taken) {
    exchange.ReplyError(
        Error(Code::kUnavailable, "too many requests are waiting").Hint("try again in a second"));
    co_return;
  }
  // Named: g++ 12 destroys a temporary closure in a co_await expression twice (GCC bug 99576).
  const std::function<void()> on_gone = [cancel] { cancel->store(true); };
  auto outcome = co_await exchange.WaitWhileConnected(waiting, on_gone);
  if (!outcome.ok()) {
    exchange.ReplyError(outcome.error());
    co_return;
  }
  AddAnswerHeaders(exchange, outcome->answer);
  if (!outcome->answer.next.empty())
    exchange.AddHeader("Link", NextLink(exchange.head(), CursorText(outcome->answer.next)));
  co_await AnswerRows(context, exchange, std::move(outcome->writers), std::move(outcome->text),
                      outcome->tail, MediaType(format));
}

}  // namespace

void AddEndpointRoute(ServiceContext& context, Router& router) {
  router.SetFallback({"endpoint", "GET",
                      [&context](Exchange& exchange) { return HandleEndpoint(context, exchange); },
                      [&context](Exchange& exchange) { return AnswerAtOnce(context, exchange); },
                      auth::Permission::kRead},
                     [&context](std::string_view path) {
                       const Backend* backend = context.backend.load();
                       const bool known = backend != nullptr && backend->ready() &&
                                          backend->MatchEndpoint("GET", path);
                       return known ? std::string("GET, HEAD") : std::string();
                     });
}

}  // namespace millrace::http
