#include "stream/window_plan.h"

#include <algorithm>

#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "duckdb/planner/operator/logical_window.hpp"

namespace millrace::stream {
namespace {

using duckdb::BoundOrderByNode;
using duckdb::BoundWindowExpression;
using duckdb::ExpressionType;

// Of the operators that DuckDB runs, behind the inputs' own; any others will do.
constexpr duckdb::idx_t kFirstIndex = 100;

using Orders = duckdb::vector<BoundOrderByNode>;

bool IsPrefix(const Orders& shorter, const Orders& longer) {
  return shorter.size() <= longer.size() &&
         std::equal(
             shorter.begin(), shorter.end(), longer.begin(),
             [](const BoundOrderByNode& a, const BoundOrderByNode& b) { return a.Equals(b); });
}

const BoundWindowExpression& CallOf(const Expression& expression) {
  return expression->Cast<BoundWindowExpression>();
}

// Whether rows that are equal by the order of the call's arguments count as one.
bool RanksPeers(ExpressionType type) {
  switch (type) {
    case ExpressionType::WINDOW_RANK:
    case ExpressionType::WINDOW_RANK_DENSE:
    case ExpressionType::WINDOW_PERCENT_RANK:
    case ExpressionType::WINDOW_CUME_DIST:
      return true;
    default:
      return false;
  }
}

BoundOrderByNode ByOrdinal(duckdb::idx_t ordinal) {
  return {
      duckdb::OrderType::ASCENDING, duckdb::OrderByNullType::NULLS_LAST,
      duckdb::make_uniq<duckdb::BoundReferenceExpression>(duckdb::LogicalType::BIGINT, ordinal)};
}

duckdb::unique_ptr<duckdb::Expression> NumberByOrdinal(const BoundWindowExpression& longest,
                                                       duckdb::idx_t ordinal) {
  auto number = duckdb::make_uniq<BoundWindowExpression>(
      ExpressionType::WINDOW_ROW_NUMBER, duckdb::LogicalType::BIGINT, nullptr, nullptr);
  for (const auto& partition : longest.partitions) number->partitions.push_back(partition->Copy());
  for (const auto& order : longest.orders) number->orders.push_back(order.Copy());
  number->orders.push_back(ByOrdinal(ordinal));
  number->start = duckdb::WindowBoundary::UNBOUNDED_PRECEDING;
  number->end = duckdb::WindowBoundary::CURRENT_ROW_ROWS;
  return number;
}

duckdb::unique_ptr<duckdb::Expression> CopyOfCall(const Expression& expression,
                                                  duckdb::idx_t ordinal) {
  auto copy = expression->Copy();
  auto& call = copy->Cast<BoundWindowExpression>();
  if (!call.arg_orders.empty() && !call.distinct && !RanksPeers(call.GetExpressionType()))
    call.arg_orders.push_back(ByOrdinal(ordinal));
  return copy;
}

// Calls whose orders begin with one another, the longest first.
std::vector<std::vector<size_t>> GroupsOf(const Window& window) {
  std::vector<size_t> calls(window.calls.size());
  for (size_t i = 0; i < calls.size(); ++i) calls[i] = i;
  std::stable_sort(calls.begin(), calls.end(), [&](size_t a, size_t b) {
    return CallOf(window.calls[a]).orders.size() > CallOf(window.calls[b]).orders.size();
  });
  std::vector<std::vector<size_t>> groups;
  for (const size_t call : calls) {
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& others) {
      return IsPrefix(CallOf(window.calls[call]).orders,
                      CallOf(window.calls[others.front()]).orders);
    });
    if (group == groups.end()) {
      groups.push_back({call});
    } else {
      group->push_back(call);
    }
  }
  return groups;
}

}  // namespace

duckdb::unique_ptr<duckdb::LogicalOperator> PlanOfWindow(
    const Window& window, duckdb::unique_ptr<duckdb::LogicalOperator> input) {
  const duckdb::idx_t ordinal = input->types.size() - 1;
  duckdb::idx_t width = input->types.size();
  duckdb::idx_t index = kFirstIndex;
  std::vector<duckdb::idx_t> columns(window.calls.size());
  duckdb::unique_ptr<duckdb::LogicalOperator> plan = std::move(input);
  for (const std::vector<size_t>& group : GroupsOf(window)) {
    auto calls = duckdb::make_uniq<duckdb::LogicalWindow>(index++);
    for (const size_t call : group) {
      columns[call] = width++;
      calls->expressions.push_back(CopyOfCall(window.calls[call], ordinal));
    }
    calls->expressions.push_back(NumberByOrdinal(CallOf(window.calls[group.front()]), ordinal));
    ++width;
    calls->children.push_back(std::move(plan));
    plan = std::move(calls);
  }
  plan->ResolveOperatorTypes();
  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> wanted;
  const auto want = [&](duckdb::idx_t column) {
    wanted.push_back(
        duckdb::make_uniq<duckdb::BoundReferenceExpression>(plan->types[column], column));
  };
  for (duckdb::idx_t i = 0; i < ordinal; ++i) want(i);
  for (const duckdb::idx_t column : columns) want(column);
  auto projection = duckdb::make_uniq<duckdb::LogicalProjection>(index, std::move(wanted));
  projection->children.push_back(std::move(plan));
  return projection;
}

}  // namespace millrace::stream
