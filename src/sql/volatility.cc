#include "sql/volatility.h"

#include <set>

#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"

namespace millrace::sql {
namespace {

// What the planner adds by itself to a scalar subquery: it fails where there is more than one row,
// and is as good as a constant.
constexpr const char* kErrorFunction = "error";

}  // namespace

namespace {

using IsWanted = bool (*)(const duckdb::BoundFunctionExpression&);

bool IsVolatile(const duckdb::BoundFunctionExpression& call) {
  return call.function.GetStability() != duckdb::FunctionStability::CONSISTENT &&
         call.function.name != kErrorFunction;
}

bool IsConnectionBound(const duckdb::BoundFunctionExpression& call) {
  static const std::set<std::string> names = {
      "list_sort",     "array_sort",     "list_reverse_sort", "array_reverse_sort",
      "list_grade_up", "array_grade_up", "grade_up"};
  return names.contains(call.function.name);
}

std::optional<VolatileCall> FindCall(const duckdb::Expression& expression, IsWanted wanted) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION) {
    const auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
    if (wanted(call)) return VolatileCall{call.function.name, call.GetQueryLocation()};
  }
  std::optional<VolatileCall> found;
  duckdb::ExpressionIterator::EnumerateChildren(expression, [&](const duckdb::Expression& child) {
    if (!found) found = FindCall(child, wanted);
  });
  return found;
}

std::optional<VolatileCall> FindCall(duckdb::LogicalOperator& plan, IsWanted wanted) {
  std::optional<VolatileCall> found;
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      plan, [&](duckdb::unique_ptr<duckdb::Expression>* expression) {
        if (!found) found = FindCall(**expression, wanted);
      });
  for (size_t i = 0; !found && i < plan.children.size(); ++i) {
    found = FindCall(*plan.children[i], wanted);
  }
  return found;
}

}  // namespace

std::optional<VolatileCall> FindVolatile(const duckdb::Expression& expression) {
  return FindCall(expression, IsVolatile);
}
std::optional<VolatileCall> FindVolatile(duckdb::LogicalOperator& plan) {
  return FindCall(plan, IsVolatile);
}
std::optional<VolatileCall> FindConnectionBound(duckdb::LogicalOperator& plan) {
  return FindCall(plan, IsConnectionBound);
}

}  // namespace millrace::sql
