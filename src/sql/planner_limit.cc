#include "duckdb/parser/parser.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/planner.hpp"
#include "sql/view_planner.h"

namespace millrace::sql {
namespace {

using duckdb::LimitNodeType;
using duckdb::LogicalOperatorType;
using duckdb::LogicalType;

// Which rows a LIMIT and OFFSET take whose values stand in columns beside the row's number: the
// same arithmetic as DuckDB's. A NULL is no bound.
constexpr const char* kByRows = R"(
SELECT CASE WHEN "limit" < 0 OR "offset" < 0
            THEN error('LIMIT and OFFSET cannot be negative')::BOOLEAN
       ELSE number > coalesce("offset", 0)
        AND ("limit" IS NULL OR number - coalesce("offset", 0) <= "limit") END
FROM (SELECT NULL::BIGINT AS number, NULL::BIGINT AS "limit", NULL::BIGINT AS "offset"))";
constexpr const char* kByPercent = R"(
SELECT CASE WHEN "offset" < 0 THEN error('LIMIT and OFFSET cannot be negative')::BOOLEAN
            WHEN NOT coalesce("limit" BETWEEN 0 AND 100, true)
            THEN error('Limit percent out of range, should be between 0% and 100%')::BOOLEAN
       ELSE number > coalesce("offset", 0)
        AND ("limit" IS NULL OR number - coalesce("offset", 0) <=
             floor("limit" / 100::DOUBLE * total::DOUBLE)::BIGINT) END
FROM (SELECT NULL::BIGINT AS number, NULL::DOUBLE AS "limit", NULL::BIGINT AS "offset",
             NULL::BIGINT AS total))";

duckdb::unique_ptr<duckdb::LogicalOperator> Bind(duckdb::ClientContext& client,
                                                 const std::string& select) {
  duckdb::Parser parser(client.GetParserOptions());
  parser.ParseQuery(select);
  duckdb::Planner planner(client);
  planner.CreatePlan(std::move(parser.statements[0]));
  return std::move(planner.plan);
}

// Numbers the columns that a bound expression names.
void ToPositions(duckdb::unique_ptr<duckdb::Expression>& expression) {
  if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_COLUMN_REF) {
    const auto& column = expression->Cast<duckdb::BoundColumnRefExpression>();
    expression = duckdb::make_uniq<duckdb::BoundReferenceExpression>(column.return_type,
                                                                     column.binding.column_index);
    return;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      *expression, [](duckdb::unique_ptr<duckdb::Expression>& child) { ToPositions(child); });
}

bool IsPercent(const duckdb::BoundLimitNode& node) {
  return node.Type() == LimitNodeType::CONSTANT_PERCENTAGE ||
         node.Type() == LimitNodeType::EXPRESSION_PERCENTAGE;
}

duckdb::unique_ptr<duckdb::Expression> Constant(duckdb::Value value) {
  return duckdb::make_uniq<duckdb::BoundConstantExpression>(std::move(value));
}

// The value of a LIMIT or OFFSET as an expression over the limited rows.
duckdb::unique_ptr<duckdb::Expression> ValueOf(duckdb::BoundLimitNode& node,
                                               duckdb::ClientContext& client) {
  const LogicalType type = IsPercent(node) ? LogicalType::DOUBLE : LogicalType::BIGINT;
  switch (node.Type()) {
    case LimitNodeType::UNSET:
      return Constant(duckdb::Value(type));
    case LimitNodeType::CONSTANT_VALUE:
      return Constant(duckdb::Value::BIGINT(
          static_cast<int64_t>(std::min<duckdb::idx_t>(node.GetConstantValue(), kNoLimit))));
    case LimitNodeType::CONSTANT_PERCENTAGE:
      return Constant(duckdb::Value::DOUBLE(node.GetConstantPercentage()));
    default:
      return duckdb::BoundCastExpression::AddCastToType(client, node.GetExpression()->Copy(), type);
  }
}

}  // namespace

// One row: how many rows there are.
NodeId ViewPlanner::CountOf(NodeId rows) {
  const auto counting = Bind(client_, "SELECT count(*) FROM (SELECT 1)");
  const duckdb::LogicalOperator* op = counting.get();
  while (op->type != LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY)
    op = op->children[0].get();
  stream::AggregateCall call;
  call.function = std::shared_ptr<const duckdb::BoundAggregateExpression>(
      &op->expressions[0]->Copy().release()->Cast<duckdb::BoundAggregateExpression>());
  stream::Aggregate aggregate;
  aggregate.calls.push_back(std::move(call));
  return plan_.Add({std::move(aggregate), {rows}, {LogicalType::BIGINT}, {"count_star()"}},
                   Columns());
}

// `numbered`: the rows, and their number in a last column. `all`: what was numbered.
NodeId ViewPlanner::TakeNumbers(duckdb::LogicalLimit& op, NodeId numbered, NodeId all) {
  const size_t width = plan_.width(numbered) - 1;
  const bool percent = IsPercent(op.limit_val);
  if (percent) numbered = JoinRows(stream::JoinKind::kInner, numbered, CountOf(all), {});
  std::vector<stream::Expression> expressions;
  for (size_t i = 0; i <= width; ++i) expressions.push_back(plan_.Column(numbered, i));
  expressions.push_back(Share(ValueOf(op.limit_val, client_)));
  expressions.push_back(Share(ValueOf(op.offset_val, client_)));
  if (percent) expressions.push_back(plan_.Column(numbered, width + 1));
  std::vector<std::string> names = plan_.names(numbered);
  names.resize(width + 1);
  names.insert(names.end(), {"limit", "offset"});
  if (percent) names.emplace_back("total");
  const NodeId bounded = plan_.Project(numbered, std::move(expressions), std::move(names));
  auto condition = std::move(Bind(client_, percent ? kByPercent : kByRows)->expressions[0]);
  ToPositions(condition);
  const NodeId taken = plan_.Filter(
      bounded,
      {Renumber(*condition, [width](stream::ColumnIndex column) { return width + column; })});
  Columns wanted;
  for (size_t i = 0; i < width; ++i) wanted.push_back(i);
  return plan_.Select(taken, wanted);
}

Result<NodeId> ViewPlanner::MapLimit(duckdb::LogicalLimit& op) {
  const auto constant = [](const duckdb::BoundLimitNode& node,
                           int64_t unset) -> std::optional<int64_t> {
    if (node.Type() == LimitNodeType::UNSET) return unset;
    if (node.Type() != LimitNodeType::CONSTANT_VALUE) return std::nullopt;
    return static_cast<int64_t>(std::min<duckdb::idx_t>(node.GetConstantValue(), kNoLimit));
  };
  const auto limit = constant(op.limit_val, kNoLimit);
  const auto offset = constant(op.offset_val, 0);
  const bool numbered = !limit || !offset;  // by values that the rows decide
  // The order may stand below a projection that only computes columns.
  duckdb::LogicalOperator* below = op.children[0].get();
  const duckdb::LogicalOperator* computed = nullptr;
  if (below->type == LogicalOperatorType::LOGICAL_PROJECTION &&
      below->children[0]->type == LogicalOperatorType::LOGICAL_ORDER_BY) {
    computed = below;
    below = below->children[0].get();
  }
  auto* order = below->type == LogicalOperatorType::LOGICAL_ORDER_BY
                    ? &below->Cast<duckdb::LogicalOrder>()
                    : nullptr;
  TRY(const NodeId input, Map(order == nullptr ? *below : *order->children[0]));
  std::vector<const duckdb::BoundOrderByNode*> orders;
  if (order != nullptr) {
    for (const auto& node : order->orders) orders.push_back(&node);
  }
  NodeId rows =
      TopRows(input, {}, orders, numbered ? kNoLimit : *limit, numbered ? 0 : *offset,
              numbered ? std::optional(stream::TopK::Ranking::kRowNumber) : std::nullopt, "number");
  const size_t number = plan_.width(input);
  if (order != nullptr && !order->projection_map.empty()) {
    Columns columns(order->projection_map.begin(), order->projection_map.end());
    if (numbered) columns.push_back(number);
    rows = plan_.Select(rows, columns);
  }
  if (computed != nullptr) {
    std::vector<stream::Expression> expressions;
    std::vector<std::string> names;
    for (const auto& expression : computed->expressions) {
      expressions.push_back(CopyOf(*expression));
      names.push_back(expression->GetName());
    }
    if (numbered) {
      expressions.push_back(plan_.Column(rows, plan_.width(rows) - 1));
      names.emplace_back("number");
    }
    rows = plan_.Project(rows, std::move(expressions), std::move(names));
  }
  return numbered ? TakeNumbers(op, rows, input) : rows;
}

}  // namespace millrace::sql
