#include "duckdb/planner/expression/list.hpp"
#include "sql/view_planner.h"

namespace millrace::sql {

using duckdb::ExpressionType;
using duckdb::JoinType;

// The rows, and TRUE in a last column.
NodeId ViewPlanner::WithMark(NodeId rows) {
  std::vector<stream::Expression> marked;
  for (size_t i = 0; i < plan_.width(rows); ++i) marked.push_back(plan_.Column(rows, i));
  marked.push_back(
      Share(duckdb::make_uniq<duckdb::BoundConstantExpression>(duckdb::Value::BOOLEAN(true))));
  std::vector<std::string> names = plan_.names(rows);
  names.emplace_back();
  return plan_.Project(rows, std::move(marked), std::move(names));
}

Result<NodeId> ViewPlanner::MapAsofJoin(duckdb::LogicalComparisonJoin& op) {
  const bool keeps_left = op.join_type == JoinType::LEFT || op.join_type == JoinType::OUTER;
  const bool keeps_right = op.join_type == JoinType::RIGHT || op.join_type == JoinType::OUTER;
  if (op.HasProjectionMap() || op.predicate ||
      (!keeps_left && !keeps_right && op.join_type != JoinType::INNER)) {
    return Refuse(fmt::format("an ASOF join of type {}", duckdb::JoinTypeToString(op.join_type)),
                  {"asof"});
  }
  TRY(const NodeId left, Map(*op.children[0]));
  TRY(const NodeId right, Map(*op.children[1]));
  stream::AsofJoin join;
  join.kind = keeps_left ? stream::JoinKind::kLeft : stream::JoinKind::kInner;
  std::vector<stream::Expression> of_left;  // keys, and the value last
  std::vector<stream::Expression> of_right;
  std::pair<stream::Expression, stream::Expression> value;
  for (const duckdb::JoinCondition& condition : op.conditions) {
    if (condition.comparison == ExpressionType::COMPARE_EQUAL) {
      of_left.push_back(CopyOf(*condition.left));
      of_right.push_back(CopyOf(*condition.right));
      continue;
    }
    if (value.first || condition.comparison == ExpressionType::COMPARE_NOT_DISTINCT_FROM)
      return Refuse("an ASOF join on more than equalities and one comparison", {"asof"});
    value = {CopyOf(*condition.left), CopyOf(*condition.right)};
    join.comparison = condition.comparison;
  }
  if (!value.first) return Refuse("an ASOF join without a comparison", {"asof"});
  of_left.push_back(value.first);
  of_right.push_back(value.second);
  const size_t left_width = plan_.width(left);
  const size_t right_width = plan_.width(right);
  const PlanBuilder::Extended a = plan_.Extend(left, of_left);
  const PlanBuilder::Extended b = plan_.Extend(keeps_right ? WithMark(right) : right, of_right);
  join.left_keys.assign(a.columns.begin(), a.columns.end() - 1);
  join.right_keys.assign(b.columns.begin(), b.columns.end() - 1);
  join.left_value = a.columns.back();
  join.right_value = b.columns.back();
  stream::Node node{std::move(join), {a.node, b.node}, plan_.types(a.node), plan_.names(a.node)};
  for (size_t i = 0; i < plan_.width(b.node); ++i) {
    node.types.push_back(plan_.types(b.node)[i]);
    node.names.push_back(plan_.names(b.node)[i]);
  }
  const size_t extended_width = plan_.width(a.node);
  const NodeId joined = plan_.Add(std::move(node), plan_.key(a.node));
  const auto columns = [&](size_t of_left_side) {
    Columns wanted;
    for (size_t i = 0; i < of_left_side; ++i) wanted.push_back(i);
    for (size_t i = 0; i < right_width; ++i) wanted.push_back(extended_width + i);
    return wanted;
  };
  const NodeId rows = plan_.Select(joined, columns(left_width));
  if (!keeps_right) return rows;
  // Of equal right rows left rows take one: the others are as lonely as those that none takes.
  const stream::Expression mark = plan_.Column(joined, extended_width + right_width);
  NodeId taken = plan_.Select(plan_.Filter(joined, {mark}), columns(0));
  taken = plan_.Add({stream::Distinct{}, {taken}, plan_.types(right), plan_.names(right)},
                    std::nullopt);
  taken =
      plan_.Add({stream::Negate{}, {taken}, plan_.types(right), plan_.names(right)}, std::nullopt);
  const NodeId lonely = plan_.Add(
      {stream::UnionAll{}, {right, taken}, plan_.types(right), plan_.names(right)}, std::nullopt);
  return WithLonely(rows, left, lonely);
}

}  // namespace millrace::sql
