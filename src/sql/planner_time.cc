// EMIT ON WINDOW CLOSE, and what streams say of time.
#include <algorithm>
#include <numeric>

#include "duckdb/planner/expression/list.hpp"
#include "sql/clock.h"
#include "sql/view_planner.h"

namespace millrace::sql {
namespace {

stream::Expression Not(const stream::Expression& expression) {
  auto negated = duckdb::make_uniq<duckdb::BoundOperatorExpression>(
      duckdb::ExpressionType::OPERATOR_NOT, duckdb::LogicalType::BOOLEAN);
  negated->children.push_back(expression->Copy());
  return Share(std::move(negated));
}

bool ClosesAtEnd(const ClosingKey& closing) {
  const auto& terms = closing.closing.bound.terms;
  return std::all_of(terms.begin(), terms.end(), [](const auto& term) { return term.strict; });
}

}  // namespace

// A relation with all its columns. Of a stream with a watermark the event time is bounded by it
// where no late rows come: they are diverted, or the view takes none.
NodeId ViewPlanner::Relation(const ScanBinding& binding) {
  stream::Node node;
  node.op = stream::Relation{binding.relation};
  node.types = binding.shape.schema.types();
  node.names = binding.shape.schema.names();
  const catalog::Object* object = catalog_.FindRelation(binding.relation);
  const auto* stream =
      object == nullptr ? nullptr : std::get_if<catalog::StreamDefinition>(&object->definition);
  // What tables and views hold is taken as it is at each step.
  if (stream == nullptr) return plan_.AddRelation(std::move(node), {{}, true, false});
  if (!stream->watermark) return plan_.AddRelation(std::move(node), {{}, false, true});
  reads_event_time_ = true;
  const bool diverts = stream->late == catalog::StreamDefinition::Late::kDivert;
  NodeTimes times;
  times.grows = true;
  if (diverts || emit_on_close_) {
    times.columns.emplace(*binding.shape.schema.Find(stream->watermark->column),
                          EventTime(binding.relation));
  }
  const NodeId relation = plan_.AddRelation(std::move(node), std::move(times));
  if (diverts || !emit_on_close_) return relation;
  return plan_.Filter(relation, {Not(plan_.Column(relation, *binding.shape.schema.Find("_late")))});
}

Result<NodeId> ViewPlanner::WhenClosed(NodeId root) {
  const NodeTimes times = plan_.times(root);
  if (!reads_event_time_) {
    return Error(Code::kInvalidArgument,
                 "EMIT ON WINDOW CLOSE needs a stream with a watermark, which says when windows "
                 "close")
        .Hint("declare WATERMARK FOR a column of the stream");
  }
  if (times.closed) return root;
  // Of several columns the one that closes first: the end of a window rather than its start.
  std::optional<ClosingKey> closing;
  for (const auto& [column, time] : times.columns) {
    stream::Node hold;
    hold.op = stream::Hold{column};
    auto found = ClosingOf(hold, {&times}, /*emit_on_close=*/true);
    if (!found) continue;
    if (!closing || (!ClosesAtEnd(*closing) && ClosesAtEnd(*found))) closing = std::move(found);
  }
  if (!closing) {
    return Error(Code::kInvalidArgument,
                 "EMIT ON WINDOW CLOSE: no column of the result says when a row is final")
        .Hint(
            "group by a window of the event time (tumble, hop, cumulate, session, time_bucket), "
            "or select the event time; joins of streams need a condition that makes their "
            "windows equal");
  }
  return plan_.Add(
      {stream::Hold{closing->columns[0]}, {root}, plan_.types(root), plan_.names(root)},
      plan_.key(root));
}

std::vector<stream::Expression> ViewPlanner::TakeClockConditions(duckdb::LogicalFilter& op) {
  std::vector<stream::Expression> by_clock;
  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> others;
  for (const auto& expression : op.expressions) {
    for (const stream::Expression& part : Conjuncts(*expression)) {
      if (ReadsClock(*part)) {
        by_clock.push_back(part);
      } else {
        others.push_back(part->Copy());
      }
    }
  }
  if (!by_clock.empty()) op.expressions = std::move(others);
  return by_clock;
}

Result<NodeId> ViewPlanner::FilterByClock(NodeId input,
                                          const std::vector<stream::Expression>& conditions) {
  std::vector<ClockCondition> all;
  std::vector<stream::Expression> of_rows;
  for (const stream::Expression& expression : conditions) {
    auto condition = ClockConditionOf(*expression);
    if (!condition) return RefuseClock(*expression);
    of_rows.push_back(condition->row);
    all.push_back(std::move(*condition));
  }
  const PlanBuilder::Extended extended = plan_.Extend(input, of_rows);
  stream::TemporalFilter filter;
  for (size_t i = 0; i < all.size(); ++i) {
    filter.conditions.push_back(
        {extended.columns[i], all[i].comparison, all[i].of_clock, all[i].shift});
  }
  Columns wanted(plan_.width(input));
  std::iota(wanted.begin(), wanted.end(), size_t{0});
  const NodeId rows = plan_.Add(
      {std::move(filter), {extended.node}, plan_.types(extended.node), plan_.names(extended.node)},
      plan_.key(extended.node));
  return plan_.Select(rows, wanted);
}

Error ViewPlanner::RefuseClock(const duckdb::Expression& expression) const {
  return Refuse("now() here", expression)
      .Hint(
          "in a materialized view now() bounds a condition of WHERE or HAVING that compares "
          "it, plus or minus days and times, with the row: ts > now() - INTERVAL 1 HOUR");
}

}  // namespace millrace::sql
