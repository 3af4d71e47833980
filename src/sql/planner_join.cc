#include <numeric>

#include "base/check.h"
#include "duckdb/function/function_binder.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "sql/view_planner.h"

namespace millrace::sql {
namespace {

using duckdb::ExpressionType;
using duckdb::JoinType;

bool IsKeyComparison(ExpressionType type) {
  return type == ExpressionType::COMPARE_EQUAL || type == ExpressionType::COMPARE_NOT_DISTINCT_FROM;
}

enum class Side { kNone, kLeft, kRight, kBoth };

Side SideOf(const duckdb::Expression& expression, size_t left_width) {
  bool left = false;
  bool right = false;
  duckdb::ExpressionIterator::VisitExpression<duckdb::BoundReferenceExpression>(
      expression, [&](const duckdb::BoundReferenceExpression& reference) {
        (reference.index < left_width ? left : right) = true;
      });
  if (left && right) return Side::kBoth;
  if (left) return Side::kLeft;
  return right ? Side::kRight : Side::kNone;
}

stream::Expression Shift(const duckdb::Expression& expression, size_t by) {
  return Renumber(expression, [by](stream::ColumnIndex column) { return column + by; });
}

void SplitConjunction(const duckdb::Expression& condition,
                      std::vector<const duckdb::Expression*>& out) {
  if (condition.GetExpressionType() != ExpressionType::CONJUNCTION_AND) {
    out.push_back(&condition);
    return;
  }
  for (const auto& child : condition.Cast<duckdb::BoundConjunctionExpression>().children)
    SplitConjunction(*child, out);
}

stream::Expression ConstantOf(duckdb::Value value) {
  return Share(duckdb::make_uniq<duckdb::BoundConstantExpression>(std::move(value)));
}
stream::Expression BooleanConstant(bool value) { return ConstantOf(duckdb::Value::BOOLEAN(value)); }

stream::Expression NullTest(ExpressionType type, const duckdb::Expression& of) {
  auto test =
      duckdb::make_uniq<duckdb::BoundOperatorExpression>(type, duckdb::LogicalType::BOOLEAN);
  test->children.push_back(of.Copy());
  return Share(std::move(test));
}
stream::Expression IsNull(const duckdb::Expression& of) {
  return NullTest(ExpressionType::OPERATOR_IS_NULL, of);
}

// AND or OR of the terms; there is at least one.
stream::Expression Conjunction(ExpressionType type, const std::vector<stream::Expression>& terms) {
  if (terms.size() == 1) return terms[0];
  auto out = duckdb::make_uniq<duckdb::BoundConjunctionExpression>(type);
  for (const auto& term : terms) out->children.push_back(term->Copy());
  return Share(std::move(out));
}

constexpr const char* kSeveralRows =
    "More than one row returned by a subquery used as an expression - scalar subqueries can only "
    "return a single row.";

// A BOOLEAN expression that fails with this message.
duckdb::unique_ptr<duckdb::Expression> Failure(duckdb::ClientContext& client,
                                               const std::string& message) {
  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> arguments;
  arguments.push_back(ConstantOf(duckdb::Value(message))->Copy());
  duckdb::ErrorData error;
  auto call = duckdb::FunctionBinder(client).BindScalarFunction(DEFAULT_SCHEMA, "error",
                                                                std::move(arguments), error);
  CHECK(call != nullptr) << error.RawMessage();
  return duckdb::BoundCastExpression::AddCastToType(client, std::move(call),
                                                    duckdb::LogicalType::BOOLEAN);
}

Columns FirstColumns(size_t count) {
  Columns columns(count);
  std::iota(columns.begin(), columns.end(), size_t{0});
  return columns;
}

}  // namespace

ViewPlanner::JoinTerms ViewPlanner::Flipped(const JoinTerms& terms, size_t left_width,
                                            size_t right_width) {
  JoinTerms flipped{terms.right, terms.left, terms.nulls_equal, {}};
  for (const auto& expression : terms.residual) {
    flipped.residual.push_back(Renumber(*expression, [&](stream::ColumnIndex column) {
      return column < left_width ? column + right_width : column - left_width;
    }));
  }
  return flipped;
}

Result<ViewPlanner::JoinTerms> ViewPlanner::TermsOf(const duckdb::LogicalComparisonJoin& op,
                                                    size_t left_width) const {
  JoinTerms terms;
  for (const duckdb::JoinCondition& condition : op.conditions) {
    if (IsKeyComparison(condition.comparison)) {
      terms.left.push_back(CopyOf(*condition.left));
      terms.right.push_back(CopyOf(*condition.right));
      terms.nulls_equal.push_back(condition.comparison ==
                                  ExpressionType::COMPARE_NOT_DISTINCT_FROM);
      continue;
    }
    terms.residual.push_back(Share(duckdb::make_uniq<duckdb::BoundComparisonExpression>(
        condition.comparison, condition.left->Copy(),
        Shift(*condition.right, left_width)->Copy())));
  }
  if (op.predicate) terms.residual.push_back(CopyOf(*op.predicate));
  return terms;
}

ViewPlanner::JoinTerms ViewPlanner::TermsOf(const duckdb::Expression& condition,
                                            size_t left_width) const {
  std::vector<const duckdb::Expression*> parts;
  SplitConjunction(condition, parts);
  JoinTerms terms;
  const auto to_right = [left_width](stream::ColumnIndex column) { return column - left_width; };
  for (const duckdb::Expression* part : parts) {
    if (IsKeyComparison(part->GetExpressionType())) {
      const auto& equal = part->Cast<duckdb::BoundComparisonExpression>();
      const Side a = SideOf(*equal.left, left_width);
      const Side b = SideOf(*equal.right, left_width);
      if ((a == Side::kLeft && b == Side::kRight) || (a == Side::kRight && b == Side::kLeft)) {
        const bool flipped = a == Side::kRight;
        terms.left.push_back(CopyOf(flipped ? *equal.right : *equal.left));
        terms.right.push_back(Renumber(flipped ? *equal.left : *equal.right, to_right));
        terms.nulls_equal.push_back(part->GetExpressionType() ==
                                    ExpressionType::COMPARE_NOT_DISTINCT_FROM);
        continue;
      }
    }
    terms.residual.push_back(CopyOf(*part));
  }
  return terms;
}

NodeId ViewPlanner::JoinRows(stream::JoinKind kind, NodeId left, NodeId right,
                             const JoinTerms& terms) {
  const size_t left_width = plan_.width(left);
  const size_t right_width = plan_.width(right);
  const PlanBuilder::Extended a = plan_.Extend(left, terms.left);
  const PlanBuilder::Extended b = plan_.Extend(right, terms.right);
  const size_t extended_width = plan_.width(a.node);
  std::vector<stream::Expression> residual;
  for (const auto& expression : terms.residual) {
    residual.push_back(Renumber(*expression, [&](stream::ColumnIndex column) {
      return column < left_width ? column : column - left_width + extended_width;
    }));
  }
  stream::Node node;
  node.op = stream::Join{kind, a.columns, b.columns, terms.nulls_equal, All(residual)};
  node.inputs = {a.node, b.node};
  node.types = plan_.types(a.node);
  node.names = plan_.names(a.node);
  for (size_t i = 0; i < plan_.width(b.node); ++i) {
    node.types.push_back(plan_.types(b.node)[i]);
    node.names.push_back(plan_.names(b.node)[i]);
  }
  // A row of the output is a pair of rows. Where the right side has at most one row for each join
  // key, the left row says it all.
  PlanBuilder::Key key = plan_.key(a.node);
  const PlanBuilder::Key& right_key = plan_.key(b.node);
  const auto joined_on = [](const Columns& columns, stream::ColumnIndex column) {
    return std::find(columns.begin(), columns.end(), column) != columns.end();
  };
  const bool right_single = right_key && std::all_of(right_key->begin(), right_key->end(),
                                                     [&](stream::ColumnIndex column) {
                                                       return joined_on(b.columns, column);
                                                     });
  if (key && !right_single) {
    if (right_key && kind == stream::JoinKind::kInner) {
      for (const stream::ColumnIndex column : *right_key) key->push_back(extended_width + column);
    } else {
      key.reset();
    }
  }
  const NodeId joined = plan_.Add(std::move(node), std::move(key));
  Columns wanted;
  for (size_t i = 0; i < left_width; ++i) wanted.push_back(i);
  for (size_t i = 0; i < right_width; ++i) wanted.push_back(extended_width + i);
  return plan_.Select(joined, wanted);
}

NodeId ViewPlanner::JoinPresence(bool present, NodeId left, NodeId right, const JoinTerms& terms) {
  // The right side's keys, each once and with a mark: a left row meets at most one of them.
  std::vector<std::string> names(terms.right.size());
  const NodeId keys = plan_.DistinctRows(plan_.Project(right, terms.right, std::move(names)));
  std::vector<stream::Expression> marked;
  JoinTerms on_keys = terms;
  for (size_t i = 0; i < terms.right.size(); ++i) {
    marked.push_back(plan_.Column(keys, i));
    on_keys.right[i] = plan_.Column(keys, i);
  }
  marked.push_back(BooleanConstant(true));
  const NodeId with_mark =
      plan_.Project(keys, std::move(marked), std::vector<std::string>(terms.right.size() + 1));
  const size_t left_width = plan_.width(left);
  NodeId joined = JoinRows(present ? stream::JoinKind::kInner : stream::JoinKind::kLeft, left,
                           with_mark, on_keys);
  if (!present) {
    joined = plan_.Filter(joined, {IsNull(*plan_.Column(joined, left_width + terms.right.size()))});
  }
  return plan_.Select(joined, FirstColumns(left_width));
}

NodeId ViewPlanner::RowsWithout(NodeId left, NodeId right, const JoinTerms& terms) {
  if (terms.residual.empty()) return JoinPresence(false, left, right, terms);
  // A left join keeps each row without partner, beside NULLs: the mark is NULL there alone.
  const size_t left_width = plan_.width(left);
  NodeId joined = JoinRows(stream::JoinKind::kLeft, left, WithMark(right), terms);
  joined = plan_.Filter(joined, {IsNull(*plan_.Column(joined, plan_.width(joined) - 1))});
  return plan_.Select(joined, FirstColumns(left_width));
}

NodeId ViewPlanner::RowsWith(NodeId left, NodeId right, const JoinTerms& terms) {
  if (terms.residual.empty()) return JoinPresence(true, left, right, terms);
  const NodeId without = RowsWithout(left, right, terms);
  const NodeId taken_away =
      plan_.Add({stream::Negate{}, {without}, plan_.types(left), plan_.names(left)}, std::nullopt);
  return plan_.Add({stream::UnionAll{}, {left, taken_away}, plan_.types(left), plan_.names(left)},
                   plan_.key(left));
}

// `joined`, and the rows of the right side alone beside NULLs for `left`.
NodeId ViewPlanner::WithLonely(NodeId joined, NodeId left, NodeId lonely) {
  std::vector<stream::Expression> padded;
  for (const duckdb::LogicalType& type : plan_.types(left)) {
    padded.push_back(
        Share(duckdb::make_uniq<duckdb::BoundConstantExpression>(duckdb::Value(type))));
  }
  for (size_t i = 0; i < plan_.width(lonely); ++i) padded.push_back(plan_.Column(lonely, i));
  const NodeId rows = plan_.Project(lonely, std::move(padded), plan_.names(joined));
  return plan_.Add({stream::UnionAll{}, {joined, rows}, plan_.types(joined), plan_.names(joined)},
                   std::nullopt);
}

NodeId ViewPlanner::FullJoin(NodeId left, NodeId right, const JoinTerms& terms) {
  // The left join, and the right rows without partner.
  const NodeId joined = JoinRows(stream::JoinKind::kLeft, left, right, terms);
  return WithLonely(
      joined, left,
      RowsWithout(right, left, Flipped(terms, plan_.width(left), plan_.width(right))));
}

// The left rows and a last column: TRUE with a partner; else NULL where a NULL among the values
// compared may stand for one, FALSE where not. A condition IS NOT DISTINCT FROM says which right
// rows belong to the left row (a correlated subquery); the others compare.
Result<NodeId> ViewPlanner::MarkJoin(NodeId left, NodeId right, const JoinTerms& terms,
                                     const duckdb::LogicalComparisonJoin& op) {
  if (op.predicate) return Refuse("IN or ANY with this subquery", op);
  JoinTerms group;  // which right rows belong to the left row
  std::vector<stream::Expression> null_left;
  std::vector<stream::Expression> null_right;
  for (const duckdb::JoinCondition& condition : op.conditions) {
    if (condition.comparison == ExpressionType::COMPARE_NOT_DISTINCT_FROM) {
      group.left.push_back(CopyOf(*condition.left));
      group.right.push_back(CopyOf(*condition.right));
      group.nulls_equal.push_back(true);
    } else {
      null_left.push_back(IsNull(*condition.left));
      null_right.push_back(IsNull(*condition.right));
    }
  }
  const size_t width = plan_.width(left);
  const auto with_mark = [&](NodeId rows, stream::Expression mark) {
    std::vector<stream::Expression> expressions;
    for (size_t i = 0; i < width; ++i) expressions.push_back(plan_.Column(rows, i));
    expressions.push_back(std::move(mark));
    std::vector<std::string> names = plan_.names(left);
    names.push_back("");
    return plan_.Project(rows, std::move(expressions), std::move(names));
  };
  const NodeId matched = with_mark(RowsWith(left, right, terms), BooleanConstant(true));
  NodeId unmatched = RowsWithout(left, right, terms);
  stream::Expression mark = BooleanConstant(false);
  if (!null_left.empty()) {
    // One row per group: that there are right rows, and that there are such with a NULL.
    const auto groups_of = [&](NodeId rows) {
      std::vector<stream::Expression> expressions = group.right;
      expressions.push_back(BooleanConstant(true));
      std::vector<std::string> names(expressions.size());
      return plan_.DistinctRows(plan_.Project(rows, std::move(expressions), std::move(names)));
    };
    const auto note = [&](NodeId groups) {
      JoinTerms on = group;
      for (size_t i = 0; i < on.right.size(); ++i) on.right[i] = plan_.Column(groups, i);
      unmatched = JoinRows(stream::JoinKind::kLeft, unmatched, groups, on);
      return plan_.width(unmatched) - 1;
    };
    const size_t some = note(groups_of(right));
    const size_t some_null = note(
        groups_of(plan_.Filter(right, {Conjunction(ExpressionType::CONJUNCTION_OR, null_right)})));
    null_left.push_back(
        NullTest(ExpressionType::OPERATOR_IS_NOT_NULL, *plan_.Column(unmatched, some_null)));
    const stream::Expression unknown =
        Conjunction(ExpressionType::CONJUNCTION_AND,
                    {NullTest(ExpressionType::OPERATOR_IS_NOT_NULL, *plan_.Column(unmatched, some)),
                     Conjunction(ExpressionType::CONJUNCTION_OR, null_left)});
    mark = Share(duckdb::make_uniq<duckdb::BoundCaseExpression>(
        unknown->Copy(), ConstantOf(duckdb::Value(duckdb::LogicalType::BOOLEAN))->Copy(),
        BooleanConstant(false)->Copy()));
  }
  const NodeId rest = with_mark(unmatched, std::move(mark));
  return plan_.Add(
      {stream::UnionAll{}, {matched, rest}, plan_.types(matched), plan_.names(matched)},
      plan_.key(left));
}

// A left join where each left row can meet one right row only. Where it could meet more, a left row
// that does fails, as DuckDB's whole query does.
Result<NodeId> ViewPlanner::SingleJoin(NodeId left, NodeId right, const JoinTerms& terms,
                                       const duckdb::LogicalOperator& op) {
  const PlanBuilder::Key& key = plan_.key(right);
  const bool single =
      key && std::all_of(key->begin(), key->end(), [&](stream::ColumnIndex column) {
        return std::any_of(terms.right.begin(), terms.right.end(),
                           [&](const auto& expression) { return AsColumn(*expression) == column; });
      });
  if (single) return JoinRows(stream::JoinKind::kLeft, left, right, terms);
  if (!terms.residual.empty())
    return Refuse("a scalar subquery that may give more than one row, by this condition,", op);
  const NodeId first = TopRows(right, terms.right, {}, 1, 0, std::nullopt, "");
  const NodeId second = TopRows(right, terms.right, {}, 1, 1, std::nullopt, "");
  std::vector<stream::Expression> marked = terms.right;
  marked.push_back(BooleanConstant(true));
  std::vector<std::string> names(marked.size());
  const NodeId mark = plan_.Project(second, std::move(marked), std::move(names));
  JoinTerms on_mark = terms;
  for (size_t i = 0; i < terms.right.size(); ++i) on_mark.right[i] = plan_.Column(mark, i);
  NodeId joined = JoinRows(stream::JoinKind::kLeft, left, first, terms);
  const size_t width = plan_.width(joined);
  joined = JoinRows(stream::JoinKind::kLeft, joined, mark, on_mark);
  const stream::Expression one = IsNull(*plan_.Column(joined, plan_.width(joined) - 1));
  joined = plan_.Filter(
      joined, {Share(duckdb::make_uniq<duckdb::BoundCaseExpression>(
                  one->Copy(), BooleanConstant(true)->Copy(), Failure(client_, kSeveralRows)))});
  return plan_.Select(joined, FirstColumns(width));
}

Result<NodeId> ViewPlanner::JoinAs(JoinType type, NodeId left, NodeId right, JoinTerms terms,
                                   const duckdb::LogicalOperator& op) {
  const size_t left_width = plan_.width(left);
  const size_t right_width = plan_.width(right);
  switch (type) {
    case JoinType::INNER:
      return JoinRows(stream::JoinKind::kInner, left, right, terms);
    case JoinType::LEFT:
      return JoinRows(stream::JoinKind::kLeft, left, right, terms);
    case JoinType::RIGHT: {
      const NodeId joined =
          JoinRows(stream::JoinKind::kLeft, right, left, Flipped(terms, left_width, right_width));
      Columns wanted;
      for (size_t i = 0; i < left_width; ++i) wanted.push_back(right_width + i);
      for (size_t i = 0; i < right_width; ++i) wanted.push_back(i);
      return plan_.Select(joined, wanted);
    }
    case JoinType::OUTER:
      return FullJoin(left, right, terms);
    case JoinType::SEMI:
      return RowsWith(left, right, terms);
    case JoinType::ANTI:
      return RowsWithout(left, right, terms);
    case JoinType::SINGLE:
      return SingleJoin(left, right, terms, op);
    case JoinType::MARK:
      return MarkJoin(left, right, terms, op.Cast<duckdb::LogicalComparisonJoin>());
    default:
      return Refuse(fmt::format("a join of type {}", duckdb::JoinTypeToString(type)), op);
  }
}

Result<NodeId> ViewPlanner::MapComparisonJoin(duckdb::LogicalComparisonJoin& op) {
  if (op.HasProjectionMap()) return Refuse("this join", op);
  TRY(const NodeId left, Map(*op.children[0]));
  TRY(const NodeId right, Map(*op.children[1]));
  TRY(JoinTerms terms, TermsOf(op, plan_.width(left)));
  return JoinAs(op.join_type, left, right, std::move(terms), op);
}

Result<NodeId> ViewPlanner::MapDelimJoin(duckdb::LogicalComparisonJoin& op) {
  if (op.HasProjectionMap() || op.delim_flipped) return Refuse("this correlated subquery", op);
  TRY(const NodeId left, Map(*op.children[0]));
  std::vector<stream::Expression> keys;
  for (const auto& expression : op.duplicate_eliminated_columns)
    keys.push_back(CopyOf(*expression));
  std::vector<std::string> names(keys.size());
  outer_keys_.push_back(plan_.DistinctRows(plan_.Project(left, std::move(keys), std::move(names))));
  Result<NodeId> right = Map(*op.children[1]);
  outer_keys_.pop_back();
  if (!right.ok()) return right;
  TRY(JoinTerms terms, TermsOf(op, plan_.width(left)));
  return JoinAs(op.join_type, left, *right, std::move(terms), op);
}

Result<NodeId> ViewPlanner::MapDelimGet(duckdb::LogicalDelimGet& op) {
  if (outer_keys_.empty()) return Refuse("this correlated subquery", op);
  return outer_keys_.back();
}

Result<NodeId> ViewPlanner::MapAnyJoin(duckdb::LogicalAnyJoin& op) {
  if (op.HasProjectionMap()) return Refuse("this join", op);
  TRY(const NodeId left, Map(*op.children[0]));
  TRY(const NodeId right, Map(*op.children[1]));
  return JoinAs(op.join_type, left, right, TermsOf(*op.condition, plan_.width(left)), op);
}

Result<NodeId> ViewPlanner::MapCrossProduct(duckdb::LogicalCrossProduct& op) {
  TRY(const NodeId left, Map(*op.children[0]));
  TRY(const NodeId right, Map(*op.children[1]));
  return JoinRows(stream::JoinKind::kInner, left, right, {});
}

}  // namespace millrace::sql
