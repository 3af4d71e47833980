#include "duckdb/planner/logical_operator_visitor.hpp"
#include "sql/view_planner.h"

namespace millrace::sql {
namespace {

using duckdb::LogicalOperatorType;

duckdb::optional_idx LocationIn(const duckdb::Expression& expression) {
  duckdb::optional_idx location = expression.GetQueryLocation();
  if (location.IsValid()) return location;
  duckdb::ExpressionIterator::EnumerateChildren(expression, [&](const duckdb::Expression& child) {
    if (!location.IsValid()) location = LocationIn(child);
  });
  return location;
}

// A construct as a person wrote it, for the operators that can come out of a SELECT, and the words
// that it is written with.
struct Construct {
  std::string name;
  std::vector<std::string_view> words = {};
};
Construct ConstructOf(const duckdb::LogicalOperator& op) {
  switch (op.type) {
    case LogicalOperatorType::LOGICAL_RECURSIVE_CTE:
      return {"a recursive common table expression", {"recursive"}};
    case LogicalOperatorType::LOGICAL_SAMPLE:
      return {"a sample (USING SAMPLE, TABLESAMPLE)", {"sample", "tablesample"}};
    case LogicalOperatorType::LOGICAL_PIVOT:
      return {"PIVOT", {"pivot"}};
    case LogicalOperatorType::LOGICAL_POSITIONAL_JOIN:
      return {"a POSITIONAL join, which pairs rows by an order that relations do not have,",
              {"positional"}};
    case LogicalOperatorType::LOGICAL_DEPENDENT_JOIN:
      return {"this correlated subquery"};
    default:
      return {"the operator " + op.GetName()};
  }
}

Error NotMaintained(const std::string& what) {
  return Error(Code::kNotSupported, "{} cannot be maintained in a materialized view", what);
}

}  // namespace

stream::Expression CopyOf(const duckdb::Expression& expression) { return Share(expression.Copy()); }

rows::KeyOrder OrderOf(const duckdb::BoundOrderByNode& order) {
  return {order.type == duckdb::OrderType::DESCENDING,
          order.null_order == duckdb::OrderByNullType::NULLS_FIRST};
}

Error ViewPlanner::Refuse(const std::string& what, const duckdb::Expression& expression) const {
  return place_.Mark(NotMaintained(what), LocationIn(expression));
}

Error ViewPlanner::Refuse(const std::string& what,
                          const std::vector<std::string_view>& words) const {
  return place_.MarkWord(NotMaintained(what), words);
}

Error ViewPlanner::Refuse(const std::string& what, const duckdb::LogicalOperator& op) const {
  duckdb::optional_idx location;
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      const_cast<duckdb::LogicalOperator&>(op),
      [&](duckdb::unique_ptr<duckdb::Expression>* expression) {
        if (!location.IsValid()) location = LocationIn(**expression);
      });
  return place_.Mark(NotMaintained(what), location);
}

void ViewPlanner::Notice(const std::string& text) {
  if (std::find(notices_.begin(), notices_.end(), text) == notices_.end()) notices_.push_back(text);
}

Result<NodeId> ViewPlanner::Map(duckdb::LogicalOperator& op) {
  switch (op.type) {
    case LogicalOperatorType::LOGICAL_GET:
      return MapGet(op.Cast<duckdb::LogicalGet>());
    case LogicalOperatorType::LOGICAL_EXPRESSION_GET:
      return MapExpressionRows(op.Cast<duckdb::LogicalExpressionGet>());
    case LogicalOperatorType::LOGICAL_CHUNK_GET:
      return MapCollection(op.Cast<duckdb::LogicalColumnDataGet>());
    case LogicalOperatorType::LOGICAL_DUMMY_SCAN:
      return MapOneRow(op);
    case LogicalOperatorType::LOGICAL_EMPTY_RESULT:
      return plan_.NoRows(op.types, std::vector<std::string>(op.types.size()));
    case LogicalOperatorType::LOGICAL_MATERIALIZED_CTE:
      return MapMaterializedCte(op.Cast<duckdb::LogicalMaterializedCTE>());
    case LogicalOperatorType::LOGICAL_CTE_REF:
      return MapCteReference(op.Cast<duckdb::LogicalCTERef>());
    case LogicalOperatorType::LOGICAL_FILTER:
      return MapFilter(op.Cast<duckdb::LogicalFilter>());
    case LogicalOperatorType::LOGICAL_PROJECTION:
      return MapProjection(op.Cast<duckdb::LogicalProjection>());
    case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY:
      return MapAggregate(op.Cast<duckdb::LogicalAggregate>());
    case LogicalOperatorType::LOGICAL_COMPARISON_JOIN:
      return MapComparisonJoin(op.Cast<duckdb::LogicalComparisonJoin>());
    case LogicalOperatorType::LOGICAL_ASOF_JOIN:
      return MapAsofJoin(op.Cast<duckdb::LogicalComparisonJoin>());
    case LogicalOperatorType::LOGICAL_DELIM_JOIN:
      return MapDelimJoin(op.Cast<duckdb::LogicalComparisonJoin>());
    case LogicalOperatorType::LOGICAL_DELIM_GET:
      return MapDelimGet(op.Cast<duckdb::LogicalDelimGet>());
    case LogicalOperatorType::LOGICAL_ANY_JOIN:
      return MapAnyJoin(op.Cast<duckdb::LogicalAnyJoin>());
    case LogicalOperatorType::LOGICAL_CROSS_PRODUCT:
      return MapCrossProduct(op.Cast<duckdb::LogicalCrossProduct>());
    case LogicalOperatorType::LOGICAL_DISTINCT:
      return MapDistinct(op.Cast<duckdb::LogicalDistinct>());
    case LogicalOperatorType::LOGICAL_TOP_N:
      return MapTopN(op.Cast<duckdb::LogicalTopN>());
    case LogicalOperatorType::LOGICAL_LIMIT:
      return MapLimit(op.Cast<duckdb::LogicalLimit>());
    case LogicalOperatorType::LOGICAL_ORDER_BY: {
      auto& order = op.Cast<duckdb::LogicalOrder>();
      Notice("ORDER BY without LIMIT is ignored in a materialized view");
      TRY(const NodeId input, Map(*op.children[0]));
      return Narrow(input, order.projection_map);
    }
    case LogicalOperatorType::LOGICAL_WINDOW:
      return MapWindow(op.Cast<duckdb::LogicalWindow>());
    case LogicalOperatorType::LOGICAL_UNNEST:
      return MapUnnest(op.Cast<duckdb::LogicalUnnest>());
    case LogicalOperatorType::LOGICAL_UNION:
    case LogicalOperatorType::LOGICAL_INTERSECT:
    case LogicalOperatorType::LOGICAL_EXCEPT:
      return MapSetOperation(op.Cast<duckdb::LogicalSetOperation>());
    default: {
      const Construct construct = ConstructOf(op);
      return construct.words.empty() ? Refuse(construct.name, op)
                                     : Refuse(construct.name, construct.words);
    }
  }
}

Result<NodeId> ViewPlanner::MapFilter(duckdb::LogicalFilter& op) {
  std::vector<stream::Expression> by_clock = TakeClockConditions(op);
  if (!by_clock.empty()) {
    const auto wanted = std::move(op.projection_map);
    op.projection_map.clear();
    TRY(NodeId input, op.expressions.empty() ? Map(*op.children[0]) : MapFilter(op));
    TRY(input, FilterByClock(input, by_clock));
    return Narrow(input, wanted);
  }
  if (op.children[0]->type == LogicalOperatorType::LOGICAL_WINDOW) {
    return MapBoundedNumber(op, op.children[0]->Cast<duckdb::LogicalWindow>());
  }
  TRY(const NodeId input, Map(*op.children[0]));
  std::vector<stream::Expression> predicates;
  for (const auto& expression : op.expressions) predicates.push_back(CopyOf(*expression));
  return Narrow(plan_.Filter(input, predicates), op.projection_map);
}

Result<NodeId> ViewPlanner::MapProjection(duckdb::LogicalProjection& op) {
  TRY(const NodeId input, Map(*op.children[0]));
  std::vector<stream::Expression> expressions;
  std::vector<std::string> names;
  for (const auto& expression : op.expressions) {
    expressions.push_back(CopyOf(*expression));
    names.push_back(expression->GetName());
  }
  return plan_.Project(input, std::move(expressions), std::move(names));
}

NodeId ViewPlanner::Narrow(NodeId node, const duckdb::vector<duckdb::idx_t>& map) {
  if (map.empty()) return node;
  return plan_.Select(node, Columns(map.begin(), map.end()));
}

}  // namespace millrace::sql
