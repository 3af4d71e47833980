#include <algorithm>

#include "duckdb/planner/expression/list.hpp"
#include "sql/session_functions.h"
#include "sql/view_planner.h"

namespace millrace::sql {

// REQUIRES: the first call is one of session_functions.h. The others then are too, over the same
// rows: they all come from one replaced session().
Result<NodeId> ViewPlanner::MapSession(duckdb::LogicalWindow& op) {
  const auto& first = op.expressions[0]->Cast<duckdb::BoundWindowExpression>();
  stream::SessionWindow session;
  session.gap = SessionCallOf(first)->gap;
  session.bounds_type = first.return_type;
  for (const auto& expression : op.expressions) {
    const auto call = SessionCallOf(*expression);
    if (!call || call->gap != session.gap ||
        !duckdb::Expression::ListEquals(
            expression->Cast<duckdb::BoundWindowExpression>().partitions, first.partitions)) {
      return Refuse("this use of session()", *expression);
    }
  }
  TRY(const NodeId input, Map(*op.children[0]));
  const size_t width = plan_.width(input);
  std::vector<stream::Expression> needed = {CopyOf(*first.children[0])};
  for (const auto& partition : first.partitions) {
    if (partition->GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT)
      needed.push_back(CopyOf(*partition));
  }
  const PlanBuilder::Extended extended = plan_.Extend(input, needed);
  session.time = extended.columns[0];
  session.partition.assign(extended.columns.begin() + 1, extended.columns.end());
  std::sort(session.partition.begin(), session.partition.end());
  session.partition.erase(std::unique(session.partition.begin(), session.partition.end()),
                          session.partition.end());

  stream::Node node;
  node.types = plan_.types(extended.node);
  node.names = plan_.names(extended.node);
  const size_t start = node.types.size();
  node.types.insert(node.types.end(), 2, session.bounds_type);
  node.names.insert(node.names.end(), {"session_start", "session_end"});
  node.inputs = {extended.node};
  node.op = std::move(session);
  const NodeId made = plan_.Add(std::move(node), plan_.key(extended.node));
  Columns wanted;
  for (size_t i = 0; i < width; ++i) wanted.push_back(i);
  for (const auto& expression : op.expressions)
    wanted.push_back(SessionCallOf(*expression)->is_start ? start : start + 1);
  return plan_.Select(made, wanted);
}

}  // namespace millrace::sql
