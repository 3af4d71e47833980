#include <algorithm>

#include "duckdb/common/type_visitor.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "sql/session_functions.h"
#include "sql/time_bounds.h"
#include "sql/view_planner.h"

namespace millrace::sql {
namespace {

using duckdb::BoundWindowExpression;
using duckdb::ExpressionType;
using duckdb::WindowBoundary;

bool CountsPeers(WindowBoundary boundary) {
  switch (boundary) {
    case WindowBoundary::CURRENT_ROW_RANGE:
    case WindowBoundary::EXPR_PRECEDING_RANGE:
    case WindowBoundary::EXPR_FOLLOWING_RANGE:
    case WindowBoundary::CURRENT_ROW_GROUPS:
    case WindowBoundary::EXPR_PRECEDING_GROUPS:
    case WindowBoundary::EXPR_FOLLOWING_GROUPS:
      return true;
    default:
      return false;
  }
}

// Whether its frame ends between two rows, not between peers.
bool CountsRows(const BoundWindowExpression& call) {
  return !CountsPeers(call.start) && !CountsPeers(call.end) &&
         call.exclude_clause != duckdb::WindowExcludeMode::GROUP &&
         call.exclude_clause != duckdb::WindowExcludeMode::TIES;
}

// Whether the call's order may be refined by more columns without a change of its meaning: where
// rows that are equal by ORDER BY count as one, it may not.
bool TakesMoreOrder(const BoundWindowExpression& call) {
  switch (call.GetExpressionType()) {
    case ExpressionType::WINDOW_ROW_NUMBER:
    case ExpressionType::WINDOW_NTILE:
    case ExpressionType::WINDOW_LEAD:
    case ExpressionType::WINDOW_LAG:
      return true;
    case ExpressionType::WINDOW_AGGREGATE:
    case ExpressionType::WINDOW_FIRST_VALUE:
    case ExpressionType::WINDOW_LAST_VALUE:
    case ExpressionType::WINDOW_NTH_VALUE:
      return CountsRows(call);
    default:
      return false;
  }
}

// Every expression that the call computes over the rows of its input.
template <typename Visit>
void ForEachPart(BoundWindowExpression& call, const Visit& visit) {
  for (auto& child : call.children) visit(child);
  for (auto& partition : call.partitions) visit(partition);
  for (auto& order : call.orders) visit(order.expression);
  for (auto& order : call.arg_orders) visit(order.expression);
  for (auto* part : {&call.filter_expr, &call.start_expr, &call.end_expr, &call.offset_expr,
                     &call.default_expr}) {
    if (*part) visit(*part);
  }
}

// DuckDB 1.5.6 sorts what DISTINCT within a window looks at by one equality and counts by another:
// '30 days' and '1 month', which are equal, become one value too few.
bool MiscountsDistinct(const BoundWindowExpression& call) {
  return call.distinct &&
         std::any_of(call.children.begin(), call.children.end(), [](const auto& c) {
           return duckdb::TypeVisitor::Contains(c->return_type, duckdb::LogicalTypeId::INTERVAL);
         });
}

Columns PartitionOf(const BoundWindowExpression& call) {
  Columns columns;
  for (const auto& partition : call.partitions) {
    if (const auto column = AsColumn(*partition)) columns.push_back(*column);
  }
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  return columns;
}

}  // namespace

Result<NodeId> ViewPlanner::MapWindow(duckdb::LogicalWindow& op) {
  if (SessionCallOf(*op.expressions[0])) return MapSession(op);
  TRY(const NodeId input, Map(*op.children[0]));
  const size_t width = plan_.width(input);
  // What the calls compute stands in columns below them: a row for which that fails is left out
  // before it gets into a partition.
  std::vector<duckdb::unique_ptr<duckdb::Expression>> calls;
  std::vector<stream::Expression> needed;
  for (const auto& expression : op.expressions) {
    calls.push_back(expression->Copy());
    const auto& call = calls.back()->Cast<BoundWindowExpression>();
    if (call.aggregate && IsRandom(*call.aggregate)) {
      return Refuse(fmt::format("the aggregate {}()", call.aggregate->name),
                    {call.aggregate->name});
    }
    if (MiscountsDistinct(call)) {
      return Refuse("DISTINCT of INTERVALs in a window function", *expression);
    }
    ForEachPart(calls.back()->Cast<BoundWindowExpression>(), [&](auto& part) {
      if (!IsConstant(*part)) needed.push_back(CopyOf(*part));
    });
  }
  const PlanBuilder::Extended extended = plan_.Extend(input, needed);
  size_t next = 0;
  for (auto& expression : calls) {
    auto& call = expression->Cast<BoundWindowExpression>();
    ForEachPart(call, [&](auto& part) {
      if (!IsConstant(*part)) part = plan_.Column(extended.node, extended.columns[next++])->Copy();
    });
    if (!TakesMoreOrder(call)) continue;
    // row_number(ORDER BY …): the order of OVER says which rows count, by their peers.
    const bool by_argument = !call.aggregate && !call.arg_orders.empty();
    for (size_t i = 0; i < width; ++i) {
      duckdb::BoundOrderByNode order(duckdb::OrderType::ASCENDING,
                                     duckdb::OrderByNullType::NULLS_LAST,
                                     plan_.Column(extended.node, i)->Copy());
      if (by_argument) call.arg_orders.push_back(order.Copy());
      if (!by_argument || CountsRows(call)) call.orders.push_back(std::move(order));
    }
  }
  // One node for all calls of equal partitions.
  NodeId node = extended.node;
  Columns wanted(width + calls.size());
  for (size_t i = 0; i < width; ++i) wanted[i] = i;
  std::vector<bool> done(calls.size(), false);
  for (size_t first = 0; first < calls.size(); ++first) {
    if (done[first]) continue;
    stream::Window window;
    window.partition = PartitionOf(calls[first]->Cast<BoundWindowExpression>());
    stream::Node made;
    made.types = plan_.types(node);
    made.names = plan_.names(node);
    for (size_t i = first; i < calls.size(); ++i) {
      if (done[i] || PartitionOf(calls[i]->Cast<BoundWindowExpression>()) != window.partition)
        continue;
      done[i] = true;
      wanted[width + i] = made.types.size();
      made.types.push_back(calls[i]->return_type);
      made.names.push_back(op.expressions[i]->GetName());
      window.calls.push_back(CopyOf(*calls[i]));
    }
    made.op = std::move(window);
    made.inputs = {node};
    node = plan_.Add(std::move(made), plan_.key(node));
  }
  return plan_.Select(node, wanted);
}

Result<NodeId> ViewPlanner::MapUnnest(duckdb::LogicalUnnest& op) {
  TRY(const NodeId input, Map(*op.children[0]));
  stream::Unnest unnest;
  stream::Node node;
  node.types = plan_.types(input);
  node.names = plan_.names(input);
  for (const auto& expression : op.expressions) {
    const duckdb::Expression& list = *expression->Cast<duckdb::BoundUnnestExpression>().child;
    if (list.return_type.id() != duckdb::LogicalTypeId::LIST) {
      return Refuse(fmt::format("unnest() of a {}", list.return_type.ToString()), list);
    }
    unnest.lists.push_back(CopyOf(list));
    node.types.push_back(expression->return_type);
    node.names.push_back(expression->GetName());
  }
  node.op = std::move(unnest);
  node.inputs = {input};
  return plan_.Add(std::move(node), std::nullopt);
}

}  // namespace millrace::sql
