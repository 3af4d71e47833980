#include <algorithm>

#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "sql/view_planner.h"

namespace millrace::sql {
namespace {

using duckdb::ExpressionClass;
using Expressions = std::vector<duckdb::unique_ptr<duckdb::Expression>>;

// Beyond this many parts, projections are not written into each other any more.
constexpr size_t kMaxParts = 10000;

void CountParts(const duckdb::Expression& expression, size_t& parts) {
  ++parts;
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const duckdb::Expression& child) { CountParts(child, parts); });
}

// Puts what a projection computes in the place of the references to its columns.
void Inline(duckdb::unique_ptr<duckdb::Expression>& expression,
            const duckdb::LogicalProjection& below) {
  if (const auto column = AsColumn(*expression)) {
    expression = below.expressions[*column]->Copy();
    return;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      *expression, [&](duckdb::unique_ptr<duckdb::Expression>& child) { Inline(child, below); });
}

// What the projection's columns are, in columns of what stands below all projections: DuckDB
// computes what several expressions have in common in a projection of its own.
Expressions Flattened(const duckdb::LogicalProjection& projection) {
  Expressions columns;
  for (const auto& expression : projection.expressions) columns.push_back(expression->Copy());
  const duckdb::LogicalOperator* below = projection.children[0].get();
  while (below->type == duckdb::LogicalOperatorType::LOGICAL_PROJECTION) {
    size_t parts = 0;
    for (const auto& column : columns) CountParts(*column, parts);
    if (parts > kMaxParts) break;
    for (auto& column : columns) Inline(column, below->Cast<duckdb::LogicalProjection>());
    below = below->children[0].get();
  }
  return columns;
}

// Rewrites `expression` to read `targets`, numbered as they stand; false: they do not determine it.
bool ReadTargets(duckdb::unique_ptr<duckdb::Expression>& expression,
                 const std::vector<const duckdb::Expression*>& targets) {
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!expression->Equals(*targets[i])) continue;
    expression = duckdb::make_uniq<duckdb::BoundReferenceExpression>(expression->return_type, i);
    return true;
  }
  if (expression->GetExpressionClass() == ExpressionClass::BOUND_REF) return false;
  bool determined = true;
  duckdb::ExpressionIterator::EnumerateChildren(
      *expression, [&](duckdb::unique_ptr<duckdb::Expression>& child) {
        determined = determined && ReadTargets(child, targets);
      });
  return determined;
}

}  // namespace

Result<NodeId> ViewPlanner::MapDistinct(duckdb::LogicalDistinct& op) {
  TRY(const NodeId input, Map(*op.children[0]));
  std::vector<stream::Expression> targets;
  Columns columns;
  bool with_collation = false;  // a target is what the collation compares, not a column
  for (const auto& target : op.distinct_targets) {
    targets.push_back(CopyOf(*target));
    const auto column = AsColumn(*target);
    if (column && std::find(columns.begin(), columns.end(), *column) == columns.end())
      columns.push_back(*column);
    with_collation = with_collation || !column;
  }
  if (op.distinct_type == duckdb::DistinctType::DISTINCT_ON || with_collation) {
    std::vector<const duckdb::BoundOrderByNode*> orders;
    if (op.order_by) orders = Pointers(op.order_by->orders);
    return TopRows(input, targets, orders, 1, 0, std::nullopt, "");
  }
  if (columns.size() == plan_.width(input)) return plan_.DistinctRows(input);
  return DistinctAndOrders(op, input, columns);
}

// The columns that are no targets are there for the ORDER BY ... LIMIT above.
Result<NodeId> ViewPlanner::DistinctAndOrders(const duckdb::LogicalDistinct& op, NodeId input,
                                              const Columns& targets) {
  CHECK(op.children[0]->type == duckdb::LogicalOperatorType::LOGICAL_PROJECTION);
  const auto& projection = op.children[0]->Cast<duckdb::LogicalProjection>();
  Expressions columns = Flattened(projection);
  std::vector<const duckdb::Expression*> read;
  for (const auto target : targets) read.push_back(columns[target].get());
  std::vector<stream::Expression> orders;
  Columns wanted(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto target = std::find(targets.begin(), targets.end(), i);
    wanted[i] = static_cast<size_t>(target - targets.begin());
    if (target != targets.end()) continue;
    auto order = columns[i]->Copy();
    if (!ReadTargets(order, read)) {
      return Refuse("DISTINCT with ORDER BY ... LIMIT by what it does not select",
                    std::vector<std::string_view>{"distinct"})
          .Hint(
              "equal rows may differ in it, and which of them decides is left open: select it "
              "too, or GROUP BY the columns and order by its min() or max()");
    }
    wanted[i] = targets.size() + orders.size();
    orders.push_back(Share(std::move(order)));
  }
  const NodeId distinct = plan_.DistinctRows(plan_.Select(input, targets));
  const PlanBuilder::Extended extended = plan_.Extend(distinct, orders);
  for (auto& column : wanted) {
    if (column >= targets.size()) column = extended.columns[column - targets.size()];
  }
  return plan_.Select(extended.node, wanted);
}

}  // namespace millrace::sql
