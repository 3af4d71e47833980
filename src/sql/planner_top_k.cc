#include "duckdb/planner/expression/list.hpp"
#include "sql/view_planner.h"

namespace millrace::sql {
namespace {

using duckdb::ExpressionType;

// The numbers that a condition lets pass.
struct Range {
  int64_t first = 1;
  int64_t last = kNoLimit;
};

std::optional<int64_t> AsConstant(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT)
    return std::nullopt;
  const duckdb::Value& value = expression.Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull() || value.type().id() != duckdb::LogicalTypeId::BIGINT) return std::nullopt;
  const int64_t number = value.GetValue<int64_t>();
  if (number < -kNoLimit || number > kNoLimit) return std::nullopt;
  return number;
}

bool Compare(ExpressionType type, int64_t value, Range& range) {
  switch (type) {
    case ExpressionType::COMPARE_EQUAL:
      range.first = std::max(range.first, value);
      range.last = std::min(range.last, value);
      return true;
    case ExpressionType::COMPARE_LESSTHAN:
      range.last = std::min(range.last, value - 1);
      return true;
    case ExpressionType::COMPARE_LESSTHANOREQUALTO:
      range.last = std::min(range.last, value);
      return true;
    case ExpressionType::COMPARE_GREATERTHAN:
      range.first = std::max(range.first, value + 1);
      return true;
    case ExpressionType::COMPARE_GREATERTHANOREQUALTO:
      range.first = std::max(range.first, value);
      return true;
    default:
      return false;
  }
}

// Narrows `range` by a condition on the column alone; false: it is another condition.
bool Bound(const duckdb::Expression& condition, stream::ColumnIndex column, Range& range) {
  if (condition.GetExpressionClass() == duckdb::ExpressionClass::BOUND_BETWEEN) {
    const auto& between = condition.Cast<duckdb::BoundBetweenExpression>();
    const auto lower = AsConstant(*between.lower);
    const auto upper = AsConstant(*between.upper);
    if (AsColumn(*between.input) != column || !lower || !upper) return false;
    return Compare(between.LowerComparisonType(), *lower, range) &&
           Compare(between.UpperComparisonType(), *upper, range);
  }
  if (condition.GetExpressionClass() != duckdb::ExpressionClass::BOUND_COMPARISON) return false;
  const auto& comparison = condition.Cast<duckdb::BoundComparisonExpression>();
  if (AsColumn(*comparison.left) == column) {
    const auto value = AsConstant(*comparison.right);
    return value && Compare(condition.GetExpressionType(), *value, range);
  }
  if (AsColumn(*comparison.right) == column) {
    const auto value = AsConstant(*comparison.left);
    return value &&
           Compare(duckdb::FlipComparisonExpression(condition.GetExpressionType()), *value, range);
  }
  return false;
}

std::optional<stream::TopK::Ranking> RankingOf(ExpressionType call) {
  switch (call) {
    case ExpressionType::WINDOW_ROW_NUMBER:
      return stream::TopK::Ranking::kRowNumber;
    case ExpressionType::WINDOW_RANK:
      return stream::TopK::Ranking::kRank;
    case ExpressionType::WINDOW_RANK_DENSE:
      return stream::TopK::Ranking::kDenseRank;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::vector<const duckdb::BoundOrderByNode*> Pointers(
    const duckdb::vector<duckdb::BoundOrderByNode>& orders) {
  std::vector<const duckdb::BoundOrderByNode*> out;
  for (const auto& order : orders) out.push_back(&order);
  return out;
}

NodeId ViewPlanner::TopRows(NodeId input, const std::vector<stream::Expression>& partition,
                            const std::vector<const duckdb::BoundOrderByNode*>& orders,
                            int64_t limit, int64_t offset,
                            std::optional<stream::TopK::Ranking> numbered,
                            const std::string& number_name) {
  std::vector<stream::Expression> needed = partition;
  for (const auto* order : orders) needed.push_back(CopyOf(*order->expression));
  const size_t width = plan_.width(input);
  const PlanBuilder::Extended extended = plan_.Extend(input, needed);
  stream::TopK top;
  top.partition.assign(extended.columns.begin(),
                       extended.columns.begin() + static_cast<long>(partition.size()));
  for (size_t i = 0; i < orders.size(); ++i) {
    top.orders.push_back({extended.columns[partition.size() + i], OrderOf(*orders[i])});
  }
  top.limit = limit;
  top.offset = offset;
  top.with_number = numbered.has_value();
  if (numbered) top.ranking = *numbered;
  stream::Node node;
  node.types = plan_.types(extended.node);
  node.names = plan_.names(extended.node);
  PlanBuilder::Key key = plan_.key(extended.node);
  if (numbered) {
    node.types.push_back(duckdb::LogicalType::BIGINT);
    node.names.push_back(number_name);
    if (numbered == stream::TopK::Ranking::kRowNumber) {
      key = top.partition;
      if (limit > 1) key->push_back(plan_.width(extended.node));
    }
  } else if (limit <= 1) {
    key = top.partition;
  }
  node.op = std::move(top);
  node.inputs = {extended.node};
  const NodeId rows = plan_.Add(std::move(node), std::move(key));
  Columns wanted;
  for (size_t i = 0; i < width; ++i) wanted.push_back(i);
  if (numbered) wanted.push_back(plan_.width(extended.node));
  return plan_.Select(rows, wanted);
}

Result<NodeId> ViewPlanner::MapTopN(duckdb::LogicalTopN& op) {
  TRY(const NodeId input, Map(*op.children[0]));
  const auto limit = static_cast<int64_t>(std::min<duckdb::idx_t>(op.limit, kNoLimit));
  const auto offset = static_cast<int64_t>(std::min<duckdb::idx_t>(op.offset, kNoLimit));
  return TopRows(input, {}, Pointers(op.orders), limit, offset, std::nullopt, "");
}

Result<NodeId> ViewPlanner::FilterWindow(duckdb::LogicalFilter& filter,
                                         duckdb::LogicalWindow& window) {
  TRY(const NodeId rows, MapWindow(window));
  std::vector<stream::Expression> predicates;
  for (const auto& condition : filter.expressions) predicates.push_back(CopyOf(*condition));
  return Narrow(plan_.Filter(rows, predicates), filter.projection_map);
}

Result<NodeId> ViewPlanner::MapBoundedNumber(duckdb::LogicalFilter& filter,
                                             duckdb::LogicalWindow& window) {
  const auto& call = window.expressions[0]->Cast<duckdb::BoundWindowExpression>();
  // QUALIFY repeats the call that it names: the same number in several columns.
  const size_t copies = window.expressions.size();
  for (const auto& expression : window.expressions) {
    const auto& other = expression->Cast<duckdb::BoundWindowExpression>();
    if (!other.Equals(call)) return FilterWindow(filter, window);
  }
  const auto ranking = RankingOf(call.GetExpressionType());
  if (!ranking || !call.arg_orders.empty() ||
      call.exclude_clause != duckdb::WindowExcludeMode::NO_OTHER) {
    return FilterWindow(filter, window);
  }
  const size_t number = window.children[0]->types.size();
  Range range;
  std::vector<stream::Expression> others;
  for (const auto& condition : filter.expressions) {
    bool bound = false;
    for (size_t i = 0; i < copies && !bound; ++i) bound = Bound(*condition, number + i, range);
    if (!bound) others.push_back(CopyOf(*condition));
  }
  if (range.last >= kNoLimit) return FilterWindow(filter, window);
  TRY(const NodeId input, Map(*window.children[0]));
  std::vector<stream::Expression> partition;
  for (const auto& expression : call.partitions) partition.push_back(CopyOf(*expression));
  const int64_t limit = std::max<int64_t>(0, range.last - range.first + 1);
  const NodeId rows = TopRows(input, partition, Pointers(call.orders), limit, range.first - 1,
                              ranking, call.GetName());
  Columns columns;
  for (size_t i = 0; i <= number; ++i) columns.push_back(i);
  columns.insert(columns.end(), copies - 1, number);
  const NodeId top = plan_.Select(rows, columns);
  return Narrow(plan_.Filter(top, others), filter.projection_map);
}

}  // namespace millrace::sql
