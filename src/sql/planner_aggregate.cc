#include <algorithm>
#include <numeric>

#include "sql/view_planner.h"

namespace millrace::sql {

bool IsRandom(const duckdb::AggregateFunction& function) {
  return function.name == "reservoir_quantile" ||
         function.GetStability() == duckdb::FunctionStability::VOLATILE;
}

Result<NodeId> ViewPlanner::MapAggregate(duckdb::LogicalAggregate& op) {
  TRY(const NodeId input, Map(*op.children[0]));
  Columns all(op.groups.size());
  std::iota(all.begin(), all.end(), size_t{0});
  const bool plain = op.grouping_sets.empty() ||
                     (op.grouping_sets.size() == 1 && op.grouping_sets[0].size() == all.size());
  if (plain && op.grouping_functions.empty()) return MapGroups(op, input, all);
  return MapGroupingSets(op, input);
}

// One aggregate per grouping set; a group column that is not in the set is NULL, and GROUPING()
// says so.
Result<NodeId> ViewPlanner::MapGroupingSets(duckdb::LogicalAggregate& op, NodeId input) {
  std::vector<NodeId> parts;
  duckdb::vector<duckdb::GroupingSet> sets = op.grouping_sets;
  if (sets.empty()) {
    duckdb::GroupingSet all;
    for (size_t i = 0; i < op.groups.size(); ++i) all.insert(i);
    sets.push_back(std::move(all));
  }
  for (const duckdb::GroupingSet& set : sets) {
    const Columns groups(set.begin(), set.end());
    TRY(const NodeId aggregate, MapGroups(op, input, groups));
    std::vector<stream::Expression> expressions;
    std::vector<std::string> names;
    const auto constant = [&](duckdb::Value value, const std::string& name) {
      expressions.push_back(
          Share(duckdb::make_uniq<duckdb::BoundConstantExpression>(std::move(value))));
      names.push_back(name);
    };
    for (size_t i = 0; i < op.groups.size(); ++i) {
      const auto at = std::find(groups.begin(), groups.end(), i);
      if (at == groups.end()) {
        constant(duckdb::Value(op.groups[i]->return_type), op.groups[i]->GetName());
        continue;
      }
      expressions.push_back(plan_.Column(aggregate, static_cast<size_t>(at - groups.begin())));
      names.push_back(op.groups[i]->GetName());
    }
    for (size_t i = groups.size(); i < plan_.width(aggregate); ++i) {
      expressions.push_back(plan_.Column(aggregate, i));
      names.push_back(plan_.names(aggregate)[i]);
    }
    for (const auto& function : op.grouping_functions) {
      int64_t bits = 0;
      for (const auto column : function)
        bits = bits * 2 + (std::find(groups.begin(), groups.end(), column) == groups.end() ? 1 : 0);
      constant(duckdb::Value::BIGINT(bits), "grouping");
    }
    parts.push_back(plan_.Project(aggregate, std::move(expressions), std::move(names)));
  }
  if (parts.size() == 1) return parts[0];
  return plan_.Add({stream::UnionAll{}, parts, plan_.types(parts[0]), plan_.names(parts[0])},
                   std::nullopt);
}

// `groups`: which of the operator's group expressions, in this order.
Result<NodeId> ViewPlanner::MapGroups(duckdb::LogicalAggregate& op, NodeId input,
                                      const Columns& groups) {
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
  for (const stream::ColumnIndex index : groups) {
    const duckdb::Expression& group = *op.groups[index];
    aggregate.groups.push_back(need(group));
    node.types.push_back(group.return_type);
    node.names.push_back(names[aggregate.groups.back()]);
  }
  for (const auto& expression : op.expressions) {
    const auto& bound = expression->Cast<duckdb::BoundAggregateExpression>();
    if (IsRandom(bound.function))
      return Refuse(fmt::format("the aggregate {}()", bound.function.name), {bound.function.name});
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
