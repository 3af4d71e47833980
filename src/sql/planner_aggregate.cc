#include "sql/view_planner.h"

namespace millrace::sql {
namespace {

// Aggregates whose result depends on chance, not on the rows alone.
bool IsRandom(const duckdb::BoundAggregateExpression& call) {
  return call.function.name == "reservoir_quantile" ||
         call.function.GetStability() == duckdb::FunctionStability::VOLATILE;
}

}  // namespace

Result<NodeId> ViewPlanner::MapAggregate(duckdb::LogicalAggregate& op) {
  const bool plain = op.grouping_sets.empty() || (op.grouping_sets.size() == 1 &&
                                                  op.grouping_sets[0].size() == op.groups.size());
  if (!plain || !op.grouping_functions.empty()) return Refuse("GROUPING SETS, ROLLUP or CUBE", op);
  TRY(const NodeId input, Map(*op.children[0]));

  // One list of everything that the operator reads: each a column of a projection below.
  std::vector<stream::Expression> inputs;
  std::vector<std::string> names;
  const auto need = [&](const duckdb::Expression& expression) -> stream::ColumnIndex {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i]->Equals(expression)) return i;
    }
    inputs.push_back(CopyOf(expression));
    const auto column = AsColumn(expression);
    names.push_back(column ? plan_.names(input)[*column] : expression.GetName());
    return inputs.size() - 1;
  };

  stream::Aggregate aggregate;
  stream::Node node;
  for (const auto& group : op.groups) {
    aggregate.groups.push_back(need(*group));
    node.types.push_back(group->return_type);
    node.names.push_back(names[aggregate.groups.back()]);
  }
  for (const auto& expression : op.expressions) {
    const auto& bound = expression->Cast<duckdb::BoundAggregateExpression>();
    if (IsRandom(bound))
      return Refuse(fmt::format("the aggregate {}()", bound.function.name), bound);
    stream::AggregateCall call;
    call.function = std::shared_ptr<const duckdb::BoundAggregateExpression>(
        &bound.Copy().release()->Cast<duckdb::BoundAggregateExpression>());
    for (const auto& child : bound.children) call.arguments.push_back(need(*child));
    call.distinct = bound.IsDistinct();
    if (bound.filter) call.filter = need(*bound.filter);
    if (bound.order_bys) {
      for (const auto& order : bound.order_bys->orders) {
        call.orders.push_back({need(*order.expression), OrderOf(order)});
      }
    }
    aggregate.calls.push_back(std::move(call));
    node.types.push_back(expression->return_type);
    node.names.push_back(expression->GetName());
  }
  NodeId below = input;
  if (!inputs.empty()) below = plan_.Project(input, std::move(inputs), std::move(names));
  Columns key;
  for (size_t i = 0; i < aggregate.groups.size(); ++i) key.push_back(i);
  node.op = std::move(aggregate);
  node.inputs = {below};
  return plan_.Add(std::move(node), std::move(key));
}

}  // namespace millrace::sql
