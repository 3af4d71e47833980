#include "sql/volatility.h"

#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"

namespace millrace::sql {
namespace {

// What the planner adds by itself to a scalar subquery: it fails where there is more than one row,
// and is as good as a constant.
constexpr const char* kErrorFunction = "error";

}  // namespace

std::optional<VolatileCall> FindVolatile(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION) {
    const auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
    if (call.function.GetStability() != duckdb::FunctionStability::CONSISTENT &&
        call.function.name != kErrorFunction) {
      return VolatileCall{call.function.name, call.GetQueryLocation()};
    }
  }
  std::optional<VolatileCall> found;
  duckdb::ExpressionIterator::EnumerateChildren(expression, [&](const duckdb::Expression& child) {
    if (!found) found = FindVolatile(child);
  });
  return found;
}

std::optional<VolatileCall> FindVolatile(duckdb::LogicalOperator& plan) {
  std::optional<VolatileCall> found;
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      plan, [&](duckdb::unique_ptr<duckdb::Expression>* expression) {
        if (!found) found = FindVolatile(**expression);
      });
  for (size_t i = 0; !found && i < plan.children.size(); ++i)
    found = FindVolatile(*plan.children[i]);
  return found;
}

}  // namespace millrace::sql
