#include "sql/session_functions.h"

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/function/aggregate_function.hpp"
#include "duckdb/parser/parsed_data/create_aggregate_function_info.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "sql/query_context.h"

namespace millrace::sql {
namespace {

class SessionData final : public duckdb::FunctionData {
 public:
  explicit SessionData(std::chrono::microseconds session_gap) : gap(session_gap) {}
  duckdb::unique_ptr<duckdb::FunctionData> Copy() const override {
    return duckdb::make_uniq<SessionData>(gap);
  }
  bool Equals(const duckdb::FunctionData& other) const override {
    return gap == other.Cast<SessionData>().gap;
  }

  const std::chrono::microseconds gap;
};

// The length of a constant interval that is not negative and has no months.
std::optional<std::chrono::microseconds> GapOf(duckdb::ClientContext& context,
                                               const duckdb::Expression& expression) {
  if (!expression.IsFoldable()) return std::nullopt;
  const duckdb::Value value = duckdb::ExpressionExecutor::EvaluateScalar(context, expression, true);
  if (value.IsNull()) return std::nullopt;
  const auto gap = value.GetValue<duckdb::interval_t>();
  int64_t micros = 0;
  if (gap.months != 0 || !duckdb::Interval::TryGetMicro(gap, micros) || micros < 0)
    return std::nullopt;
  return std::chrono::microseconds(micros);
}

duckdb::unique_ptr<duckdb::FunctionData> BindSession(
    duckdb::ClientContext& context, duckdb::AggregateFunction& function,
    duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& arguments) {
  const duckdb::LogicalType& time = arguments[0]->return_type;
  const auto gap = GapOf(context, *arguments[1]);
  const bool is_time = time.id() == duckdb::LogicalTypeId::TIMESTAMP ||
                       time.id() == duckdb::LogicalTypeId::TIMESTAMP_TZ;
  if (!gap || !is_time) {
    QueryContext::Of(context).session_refused = true;
    throw duckdb::BinderException("session() of a %s needs window functions", time.ToString());
  }
  function.arguments[0] = time;
  function.return_type = time;
  return duckdb::make_uniq<SessionData>(*gap);
}

}  // namespace

void RegisterSessionFunctions(duckdb::Connection& connection) {
  connection.context->RunFunctionInTransaction([&] {
    for (const char* name : {kSessionStart, kSessionEnd}) {
      duckdb::AggregateFunction function(
          name, {duckdb::LogicalType::ANY, duckdb::LogicalType::INTERVAL}, duckdb::LogicalType::ANY,
          nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, BindSession);
      duckdb::CreateAggregateFunctionInfo info(std::move(function));
      duckdb::Catalog::GetSystemCatalog(*connection.context)
          .CreateFunction(*connection.context, info);
    }
  });
}

std::optional<SessionCall> SessionCallOf(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_WINDOW) return std::nullopt;
  const auto& call = expression.Cast<duckdb::BoundWindowExpression>();
  if (!call.aggregate) return std::nullopt;
  const bool is_start = call.aggregate->name == kSessionStart;
  if (!is_start && call.aggregate->name != kSessionEnd) return std::nullopt;
  return SessionCall{is_start, call.bind_info->Cast<SessionData>().gap};
}

}  // namespace millrace::sql
