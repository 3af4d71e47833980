// What watermarks say of the columns of a plan: which columns have values below which no later
// change lies (stream::TimeBound), and whether a node gives its rows out only when they are closed.
//
// A stream's event time is bounded by its watermark. A bound lives on through expressions that rise
// with their argument (time_bucket, date_trunc, + and - of days and times, casts between dates and
// times), through grouping and partitioning by the column, and through joins by equality of bounded
// columns. Pure functions.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "stream/plan.h"

namespace millrace::sql {

inline bool IsConstant(const duckdb::Expression& expression) {
  return expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CONSTANT;
}

struct TimeColumn {
  stream::TimeBound bound;
  // A table that was joined may still change rows below the bound. Only EMIT ON WINDOW CLOSE makes
  // use of such a bound: what was given out stays as it was.
  bool table_may_change = false;
};

struct NodeTimes {
  std::map<stream::ColumnIndex, TimeColumn> columns;
  // Rows come out when they are closed, not before; or the node has nothing to do with event time
  // (tables, constants).
  bool closed = false;
  // It has a row for each row of a stream, or more.
  bool grows = false;
};

// Of a node's output. `left_width`: columns of the first input.
NodeTimes TimesOf(const stream::Node& node, const std::vector<const NodeTimes*>& inputs,
                  size_t left_width);
// What follows for an expression over the columns of a node.
std::optional<TimeColumn> TimesOf(const duckdb::Expression& expression, const NodeTimes& input);

// By which of its keys a node's state closes: for a node with two inputs both columns must have a
// bound. None: its state is never dropped.
struct ClosingKey {
  stream::Node::Closing closing;
  std::vector<stream::ColumnIndex> columns;  // the key's column, by input
};
// `emit_on_close`: bounds that only tables break will do, if the input is not closed yet: what lies
// below them can be left out (DropClosed).
std::optional<ClosingKey> ClosingOf(const stream::Node& node,
                                    const std::vector<const NodeTimes*>& inputs,
                                    bool emit_on_close);

// The bound of the stream's own event time.
TimeColumn EventTime(const std::string& stream);

}  // namespace millrace::sql
