// POST /v1/sql.
#include "auth/statement_rights.h"
#include "base/clock.h"
#include "http/access.h"
#include "http/answer_rows.h"
#include "http/service.h"
#include "http/sql_request.h"

namespace millrace::http {
namespace {

constexpr size_t kHeaderNoticeBytesMax = 1024;

struct SqlPlan {
  SqlRequest request;
  Format format = Format::kJson;
  bool numbers_as_strings = false;
  std::chrono::milliseconds timeout{0};
  std::string after;
  auth::PrincipalPtr principal;
};

struct SqlOutcome {
  runtime::StatementResult result;
  Format format = Format::kJson;
  ResultWriters writers;
  std::string text;  // what stands before the rows, and their first piece
};

Result<SqlPlan> ParseParameters(const ServiceContext& context, const Exchange& exchange) {
  static const std::vector<std::string> kKnown = {"timeout", "after", "numbers"};
  TRY(const QueryParameters parameters, KnownParameters(exchange, kKnown));
  SqlPlan plan;
  TRY(plan.timeout, ParseTimeout(FindParameter(parameters, "timeout"),
                                 context.options.query_timeout, context.options.query_timeout_max));
  if (const std::string* after = FindParameter(parameters, "after")) plan.after = *after;
  if (const std::string* numbers = FindParameter(parameters, "numbers")) {
    if (*numbers != "string") {
      return Error(Code::kInvalidArgument, "numbers={} is not understood", *numbers)
          .Hint("only numbers=string is");
    }
    plan.numbers_as_strings = true;
  }
  return plan;
}

// Runs on a pool thread.
Result<SqlOutcome> RunSql(Backend& backend, columnar::Encoders& encoders, const SqlPlan& plan,
                          const std::shared_ptr<std::atomic<bool>>& cancel) {
  const auto started = Tick();
  TRY(const std::vector<std::string> statements, backend.SplitStatements(plan.request.sql));
  if (statements.empty()) return Error(Code::kInvalidArgument, "the request holds no statement");
  if (statements.size() > 1 && !plan.request.parameters.empty()) {
    return Error(Code::kInvalidArgument, "parameters go with one statement, the request holds {}",
                 statements.size());
  }
  for (const std::string& statement : statements)
    TRY(auth::CheckStatement(plan.principal, statement));
  SqlOutcome outcome;
  std::vector<std::string> notices;
  std::vector<std::string> tokens;
  for (const std::string& statement : statements) {
    runtime::StatementOptions options;
    options.parameters = plan.request.parameters;
    // One statement has the whole time, and an error names it; later ones have what is left.
    const double seconds = &statement == &statements.front() ? 0 : SecondsSince(started);
    const auto spent = std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
    if (spent >= plan.timeout) {
      return Error(Code::kTimeout, "the statements took longer than {} ms", plan.timeout.count());
    }
    options.timeout = plan.timeout - spent;
    options.after = plan.after;
    options.cancel = cancel;
    options.may_spill = true;
    if (plan.principal != nullptr) options.caller.user = plan.principal->name;
    TRY(outcome.result, backend.Execute(statement, options));
    notices.insert(notices.end(), outcome.result.notices.begin(), outcome.result.notices.end());
    if (!outcome.result.token.empty()) tokens.push_back(outcome.result.token);
  }
  outcome.result.notices = std::move(notices);
  if (tokens.size() > 1) outcome.result.token = backend.MergeTokens(tokens);
  if (tokens.size() == 1) outcome.result.token = tokens.front();
  auto rows = outcome.result.rows ? std::make_shared<const sql::QueryResult>(*outcome.result.rows)
                                  : std::make_shared<const sql::QueryResult>();
  // Arrow and Parquet have no form for what a statement without columns says.
  const bool has_form = !IsColumnar(plan.format) || !rows->schema.columns.empty();
  outcome.format = has_form ? plan.format : Format::kJson;
  TRY(outcome.writers,
      MakeResultWriters(encoders, rows,
                        {outcome.format, RowShape::kArrays, plan.numbers_as_strings}));
  if (outcome.format == Format::kJson) outcome.text = ResultHead(outcome.result);
  TRY(const std::string first, outcome.writers.front()->Next());
  outcome.text += first;
  return outcome;
}

asio::awaitable<void> HandleSql(ServiceContext& context, Exchange& exchange) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  auto plan = ParseParameters(context, exchange);
  if (!plan.ok()) {
    exchange.ReplyError(plan.error());
    co_return;
  }
  const auto format = Negotiate(exchange.head().Get("accept"), kFormats);
  if (!format) {
    exchange.ReplyError(Error(Code::kInvalidArgument, "none of the accepted media types can be had")
                            .Hint(ListedFormats()),
                        406);
    co_return;
  }
  plan->format = *format;
  if (exchange.head().Get("content-encoding").value_or("identity") != "identity") {
    exchange.ReplyError(Error(Code::kNotSupported, "a statement is not taken compressed"), 415);
    co_return;
  }
  auto body = co_await exchange.ReadAll(context.options.request_bytes_max);
  if (!body.ok()) {
    exchange.ReplyError(body.error(), body.error().code() == Code::kTimeout ? 408 : 0);
    co_return;
  }
  auto request = ParseSqlRequest(exchange.head().Get("content-type"), std::move(body).value());
  if (!request.ok()) {
    exchange.ReplyError(request.error(), request.error().code() == Code::kNotSupported ? 415 : 0);
    co_return;
  }
  plan->request = std::move(request).value();
  plan->principal = exchange.principal();

  const auto cancel = std::make_shared<std::atomic<bool>>(false);
  net::Waiting<SqlOutcome> waiting;
  const bool taken = context.queries.TrySubmit(
      [backend, &context, cancel, plan = std::make_shared<SqlPlan>(std::move(plan).value()),
       done = waiting.Callback()] { done(RunSql(*backend, context.encoders, *plan, cancel)); });
  if (!taken) {
    exchange.ReplyError(
        Error(Code::kUnavailable, "too many statements are waiting").Hint("try again in a second"));
    co_return;
  }
  // Named: g++ 12 destroys a temporary closure in a co_await expression twice (GCC bug 99576).
  const std::function<void()> on_gone = [cancel] { cancel->store(true); };
  auto outcome = co_await exchange.WaitWhileConnected(waiting, on_gone);
  if (!outcome.ok()) {
    exchange.ReplyError(outcome.error(),
                        outcome.error().sqlstate() == auth::kInsufficientPrivilege ? 403 : 0);
    co_return;
  }
  exchange.AddHeader("Vary", "Accept");
  exchange.AddHeader("X-Millrace-Step", std::to_string(outcome->result.step));
  // Formats without a place for it get the token as a header.
  if (!outcome->result.token.empty() && outcome->result.token.size() <= kHeaderNoticeBytesMax) {
    exchange.AddHeader("X-Millrace-Token", outcome->result.token);
  }
  const std::string_view tail = outcome->format == Format::kJson ? "}\n" : "";
  co_await AnswerRows(context, exchange, std::move(outcome->writers), std::move(outcome->text),
                      tail, MediaType(outcome->format));
}

}  // namespace

void AddSqlRoute(ServiceContext& context, Router& router) {
  router.Add({"/v1/sql",
              "POST",
              [&context](Exchange& exchange) { return HandleSql(context, exchange); },
              {},
              auth::Permission::kSql});
}

}  // namespace millrace::http
