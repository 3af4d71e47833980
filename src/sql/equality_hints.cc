#include "sql/equality_hints.h"

#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/operator/list.hpp"
#include "sql/relation_binding.h"

namespace millrace::sql {
namespace {

using duckdb::LogicalOperatorType;

// The relation's column that an expression is, seen through projections that only pass columns on.
std::optional<size_t> ColumnOf(const duckdb::Expression& expression, duckdb::LogicalGet& get) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_COLUMN_REF)
    return std::nullopt;
  const auto& binding = expression.Cast<duckdb::BoundColumnRefExpression>().binding;
  if (binding.table_index != get.table_index || binding.column_index >= get.GetColumnIds().size())
    return std::nullopt;
  return BindingOf(get)->ColumnOf(get.GetColumnIds()[binding.column_index].GetPrimaryIndex());
}

void Note(const duckdb::Expression& condition, duckdb::LogicalGet& get) {
  if (condition.GetExpressionType() == duckdb::ExpressionType::CONJUNCTION_AND) {
    for (const auto& child : condition.Cast<duckdb::BoundConjunctionExpression>().children)
      Note(*child, get);
    return;
  }
  if (condition.GetExpressionType() != duckdb::ExpressionType::COMPARE_EQUAL) return;
  const auto& equal = condition.Cast<duckdb::BoundComparisonExpression>();
  for (const bool flipped : {false, true}) {
    const duckdb::Expression& left = flipped ? *equal.right : *equal.left;
    const duckdb::Expression& right = flipped ? *equal.left : *equal.right;
    const std::optional<size_t> column = ColumnOf(left, get);
    // Another type on the column's side would stand in a cast, so that the value's type is the
    // column's.
    if (!column || !right.IsScalar() || right.IsVolatile() || right.return_type != left.return_type)
      continue;
    BindingOf(get)->equalities.push_back(
        {*column, std::shared_ptr<const duckdb::Expression>(right.Copy().release())});
    return;
  }
}

void HintEqualities(duckdb::LogicalOperator& op) {
  for (auto& child : op.children) HintEqualities(*child);
  if (op.type != LogicalOperatorType::LOGICAL_FILTER ||
      op.children[0]->type != LogicalOperatorType::LOGICAL_GET) {
    return;
  }
  auto& get = op.children[0]->Cast<duckdb::LogicalGet>();
  if (BindingOf(get) == nullptr) return;
  for (const auto& condition : op.expressions) Note(*condition, get);
}

void Hint(duckdb::OptimizerExtensionInput&, duckdb::unique_ptr<duckdb::LogicalOperator>& plan) {
  HintEqualities(*plan);
}

}  // namespace

void RegisterEqualityHints(duckdb::DBConfig& config) {
  duckdb::OptimizerExtension extension;
  extension.optimize_function = Hint;
  duckdb::OptimizerExtension::Register(config, extension);
}

}  // namespace millrace::sql
