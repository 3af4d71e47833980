#include <numeric>

#include "sql/view_planner.h"

namespace millrace::sql {

Result<NodeId> ViewPlanner::MapSetOperation(duckdb::LogicalSetOperation& op) {
  std::vector<NodeId> inputs;
  for (const auto& child : op.children) {
    TRY(const NodeId input, Map(*child));
    inputs.push_back(input);
  }
  if (op.type == duckdb::LogicalOperatorType::LOGICAL_UNION) {
    for (const NodeId input : inputs) {
      if (plan_.types(input) != plan_.types(inputs[0]))
        return Refuse("a UNION of different types", op);
    }
    const NodeId all = plan_.Add(
        {stream::UnionAll{}, inputs, plan_.types(inputs[0]), plan_.names(inputs[0])}, std::nullopt);
    return op.setop_all ? all : plan_.DistinctRows(all);
  }
  const bool intersect = op.type == duckdb::LogicalOperatorType::LOGICAL_INTERSECT;
  if (inputs.size() != 2) return Refuse(intersect ? "this INTERSECT" : "this EXCEPT", op);
  if (op.setop_all) {
    // Equal rows are numbered: the second of the left side needs a second one on the right.
    for (NodeId& input : inputs) {
      std::vector<stream::Expression> columns;
      for (size_t i = 0; i < plan_.width(input); ++i) columns.push_back(plan_.Column(input, i));
      input = TopRows(input, columns, {}, kNoLimit, 0, stream::TopK::Ranking::kRowNumber, "");
    }
  }
  // Rows that are equal as SQL has it, NULLs too.
  JoinTerms terms;
  for (size_t i = 0; i < plan_.width(inputs[0]); ++i) {
    terms.left.push_back(plan_.Column(inputs[0], i));
    terms.right.push_back(plan_.Column(inputs[1], i));
    terms.nulls_equal.push_back(true);
  }
  if (!op.setop_all)
    return JoinPresence(intersect, plan_.DistinctRows(inputs[0]), inputs[1], terms);
  const NodeId rows = JoinPresence(intersect, inputs[0], inputs[1], terms);
  Columns columns(plan_.width(rows) - 1);
  std::iota(columns.begin(), columns.end(), size_t{0});
  return plan_.Select(rows, columns);
}

}  // namespace millrace::sql
