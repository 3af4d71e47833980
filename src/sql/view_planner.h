// Maps DuckDB's logical plan of a SELECT to a circuit, operator by operator. What has no exact
// counterpart is refused, by name and place: nothing is ever mapped approximately.
//
//   planner.cc            the walk, filters, projections, what is refused
//   planner_relation.cc   relations, constants, common table expressions
//   planner_time.cc       EMIT ON WINDOW CLOSE, conditions with now()
//   planner_join.cc       joins of all kinds
//   planner_asof.cc       ASOF joins
//   planner_aggregate.cc  GROUP BY
//   planner_top_k.cc      ORDER BY … LIMIT, row_number(), rank() with a bound
//   planner_distinct.cc   DISTINCT, DISTINCT ON
//   planner_limit.cc      LIMIT and OFFSET, also such as are no constants
//   planner_window.cc     window functions, unnest()
//   planner_session.cc    session()
//   planner_set.cc        UNION, INTERSECT, EXCEPT
//
// REQUIRES: column references in the plan are positions (ColumnBindingResolver has run) and types
// are resolved. Not thread-safe; used for one plan, inside a transaction of its connection.
#pragma once

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "duckdb.hpp"
#include "duckdb/planner/operator/list.hpp"
#include "sql/duckdb_error.h"
#include "sql/plan_builder.h"
#include "sql/relation_binding.h"

namespace millrace::sql {

// A number of rows: no bound, such that an offset can still be added.
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max() / 2;

class ViewPlanner {
 public:
  ViewPlanner(duckdb::ClientContext& client, const catalog::Catalog& catalog, bool emit_on_close,
              const Place& place)
      : client_(client),
        catalog_(catalog),
        emit_on_close_(emit_on_close),
        place_(place),
        plan_(emit_on_close) {}

  Result<NodeId> Map(duckdb::LogicalOperator& op);
  // now() where it is no bound of a condition.
  Error RefuseClock(const duckdb::Expression& expression) const;
  // EMIT ON WINDOW CLOSE: the rows of `root` when they are final.
  Result<NodeId> WhenClosed(NodeId root);

  PlanBuilder& plan() { return plan_; }
  const std::vector<std::string>& notices() const { return notices_; }

 private:
  // "ROLLUP cannot be maintained …", at the place of the first expression below `op` that has one.
  Error Refuse(const std::string& what, const duckdb::LogicalOperator& op) const;
  Error Refuse(const std::string& what, const duckdb::Expression& expression) const;
  // What has no place in DuckDB's plan stands where one of these words does.
  Error Refuse(const std::string& what, const std::vector<std::string_view>& words) const;
  void Notice(const std::string& text);

  Result<NodeId> MapFilter(duckdb::LogicalFilter& op);
  // Takes the conditions that read the clock out of the filter.
  static std::vector<stream::Expression> TakeClockConditions(duckdb::LogicalFilter& op);
  Result<NodeId> FilterByClock(NodeId input, const std::vector<stream::Expression>& conditions);
  Result<NodeId> MapProjection(duckdb::LogicalProjection& op);
  // Keeps the columns that an operator's projection map names; an empty map: all.
  NodeId Narrow(NodeId node, const duckdb::vector<duckdb::idx_t>& map);

  Result<NodeId> MapGet(duckdb::LogicalGet& op);
  NodeId Relation(const ScanBinding& binding);
  Result<NodeId> MapArguments(duckdb::LogicalGet& op);
  Result<NodeId> MapFunctionRows(duckdb::LogicalGet& op);
  Result<NodeId> MapExpressionRows(duckdb::LogicalExpressionGet& op);
  Result<NodeId> MapLateralValues(duckdb::LogicalExpressionGet& op);
  Result<NodeId> MapCollection(duckdb::LogicalColumnDataGet& op);
  NodeId MapOneRow(duckdb::LogicalOperator& op);
  NodeId ConstantRows(const rows::Types& types,
                      const std::vector<std::vector<duckdb::Value>>& values);
  Result<NodeId> MapMaterializedCte(duckdb::LogicalMaterializedCTE& op);
  Result<NodeId> MapCteReference(duckdb::LogicalCTERef& op);

  // What a join needs, whatever it was written as. Expressions of the sides number their own
  // columns; residual ones the left columns, then the right ones.
  struct JoinTerms {
    std::vector<stream::Expression> left;
    std::vector<stream::Expression> right;
    std::vector<bool> nulls_equal;
    std::vector<stream::Expression> residual;
  };
  Result<NodeId> MapComparisonJoin(duckdb::LogicalComparisonJoin& op);
  Result<NodeId> MapAsofJoin(duckdb::LogicalComparisonJoin& op);
  Result<NodeId> MapDelimJoin(duckdb::LogicalComparisonJoin& op);
  Result<NodeId> MapDelimGet(duckdb::LogicalDelimGet& op);
  Result<NodeId> MapAnyJoin(duckdb::LogicalAnyJoin& op);
  Result<NodeId> MapCrossProduct(duckdb::LogicalCrossProduct& op);
  Result<JoinTerms> TermsOf(const duckdb::LogicalComparisonJoin& op, size_t left_width) const;
  JoinTerms TermsOf(const duckdb::Expression& condition, size_t left_width) const;
  Result<NodeId> JoinAs(duckdb::JoinType type, NodeId left, NodeId right, JoinTerms terms,
                        const duckdb::LogicalOperator& op);
  NodeId JoinRows(stream::JoinKind kind, NodeId left, NodeId right, const JoinTerms& terms);
  static JoinTerms Flipped(const JoinTerms& terms, size_t left_width, size_t right_width);
  // The left rows that have (have no) partner.
  NodeId RowsWith(NodeId left, NodeId right, const JoinTerms& terms);
  NodeId RowsWithout(NodeId left, NodeId right, const JoinTerms& terms);
  // The same by keys alone. REQUIRES: no residual terms.
  NodeId JoinPresence(bool present, NodeId left, NodeId right, const JoinTerms& terms);
  // A scalar subquery's value beside each left row.
  Result<NodeId> SingleJoin(NodeId left, NodeId right, const JoinTerms& terms,
                            const duckdb::LogicalOperator& op);
  Result<NodeId> MarkJoin(NodeId left, NodeId right, const JoinTerms& terms,
                          const duckdb::LogicalComparisonJoin& op);
  NodeId WithMark(NodeId rows);
  NodeId WithLonely(NodeId joined, NodeId left, NodeId lonely);
  NodeId FullJoin(NodeId left, NodeId right, const JoinTerms& terms);

  Result<NodeId> MapAggregate(duckdb::LogicalAggregate& op);
  Result<NodeId> MapGroups(duckdb::LogicalAggregate& op, NodeId input, const Columns& groups);
  Result<NodeId> MapGroupingSets(duckdb::LogicalAggregate& op, NodeId input);

  Result<NodeId> MapWindow(duckdb::LogicalWindow& op);
  Result<NodeId> MapSession(duckdb::LogicalWindow& op);
  Result<NodeId> MapUnnest(duckdb::LogicalUnnest& op);

  struct Numbering;
  Result<NodeId> MapTopN(duckdb::LogicalTopN& op);
  Result<NodeId> MapLimit(duckdb::LogicalLimit& op);
  Result<NodeId> MapDistinct(duckdb::LogicalDistinct& op);
  Result<NodeId> DistinctAndOrders(const duckdb::LogicalDistinct& op, NodeId input,
                                   const Columns& targets);
  NodeId CountOf(NodeId rows);
  NodeId TakeNumbers(duckdb::LogicalLimit& op, NodeId numbered, NodeId all);
  // FILTER over WINDOW: row_number(), rank() or dense_rank() with a bound, else a filter over any
  // window functions.
  Result<NodeId> MapBoundedNumber(duckdb::LogicalFilter& filter, duckdb::LogicalWindow& window);
  Result<NodeId> FilterWindow(duckdb::LogicalFilter& filter, duckdb::LogicalWindow& window);
  NodeId TopRows(NodeId input, const std::vector<stream::Expression>& partition,
                 const std::vector<const duckdb::BoundOrderByNode*>& orders, int64_t limit,
                 int64_t offset, std::optional<stream::TopK::Ranking> numbered,
                 const std::string& number_name);

  Result<NodeId> MapSetOperation(duckdb::LogicalSetOperation& op);

  duckdb::ClientContext& client_;
  const catalog::Catalog& catalog_;
  const bool emit_on_close_;
  bool reads_event_time_ = false;
  const Place& place_;
  PlanBuilder plan_;
  std::map<duckdb::idx_t, NodeId> ctes_;  // by table index
  std::vector<NodeId> outer_keys_;        // of the delim joins on the way down, innermost last
  std::vector<std::string> notices_;
};

stream::Expression CopyOf(const duckdb::Expression& expression);
// Whether the result depends on chance, not on the rows alone.
bool IsRandom(const duckdb::AggregateFunction& function);
std::vector<const duckdb::BoundOrderByNode*> Pointers(
    const duckdb::vector<duckdb::BoundOrderByNode>& orders);
rows::KeyOrder OrderOf(const duckdb::BoundOrderByNode& order);

}  // namespace millrace::sql
