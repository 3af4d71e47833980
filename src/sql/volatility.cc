#include "sql/volatility.h"

#include <set>

#include "duckdb/function/lambda_functions.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "sql/clock.h"

namespace millrace::sql {
namespace {

// What the planner adds by itself to a scalar subquery: it fails where there is more than one row,
// and is as good as a constant.
constexpr const char* kErrorFunction = "error";

// DuckDB calls these consistent, though their value depends on when they are asked: age(x) is the
// time from x until today.
bool AsksTheClock(const duckdb::BoundFunctionExpression& call) {
  const std::string& name = call.function.name;
  return name == "current_localtime" || name == "current_localtimestamp" ||
         (name == "age" && call.children.size() == 1);
}

// The places of a list's elements in their order: DuckDB 1.5 sorts equal ones, NULLs above all, by
// whatever bytes stand below them, so the same list may be answered in two ways.
bool LeavesTiesOpen(const duckdb::BoundFunctionExpression& call) {
  static const std::set<std::string> names = {"list_grade_up", "array_grade_up", "grade_up"};
  return names.contains(call.function.name);
}

bool IsVolatile(const duckdb::BoundFunctionExpression& call) {
  if (call.function.name == kClockFunction) return false;  // the planner deals with it
  return AsksTheClock(call) || LeavesTiesOpen(call) ||
         (call.function.GetStability() != duckdb::FunctionStability::CONSISTENT &&
          call.function.name != kErrorFunction);
}

// The body of a lambda stands in what the function was bound with, where no walk over children
// comes.
const duckdb::Expression* LambdaOf(const duckdb::BoundFunctionExpression& call) {
  const auto* lambda = dynamic_cast<const duckdb::ListLambdaBindData*>(call.bind_info.get());
  return lambda == nullptr ? nullptr : lambda->lambda_expr.get();
}

std::optional<VolatileCall> FindVolatileIn(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION) {
    const auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
    if (IsVolatile(call)) return VolatileCall{call.function.name, call.GetQueryLocation()};
    if (const duckdb::Expression* lambda = LambdaOf(call)) {
      if (auto found = FindVolatileIn(*lambda)) return found;
    }
  }
  std::optional<VolatileCall> found;
  duckdb::ExpressionIterator::EnumerateChildren(expression, [&](const duckdb::Expression& child) {
    if (!found) found = FindVolatileIn(child);
  });
  return found;
}

}  // namespace

std::optional<VolatileCall> FindVolatile(const duckdb::Expression& expression) {
  return FindVolatileIn(expression);
}

std::optional<VolatileCall> FindVolatile(duckdb::LogicalOperator& plan) {
  std::optional<VolatileCall> found;
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      plan, [&](duckdb::unique_ptr<duckdb::Expression>* expression) {
        if (!found) found = FindVolatileIn(**expression);
      });
  for (size_t i = 0; !found && i < plan.children.size(); ++i) {
    found = FindVolatile(*plan.children[i]);
  }
  return found;
}

}  // namespace millrace::sql
