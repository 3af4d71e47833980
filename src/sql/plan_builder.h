// Builds a stream::Plan node by node, and keeps what the nodes need to know of one another: types,
// names, keys. Projections that do nothing are left out, and one that only passes columns on melts
// into the next. Not thread-safe; used for one plan.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "duckdb.hpp"
#include "sql/time_bounds.h"
#include "stream/plan.h"

namespace millrace::sql {

using NodeId = size_t;
using Columns = std::vector<stream::ColumnIndex>;

class PlanBuilder {
 public:
  // Columns whose values identify a row of a node's output; none known: nullopt. Empty: the node
  // has at most one row.
  using Key = std::optional<Columns>;

  // `emit_on_close`: the rows of a window are given out when it closes.
  explicit PlanBuilder(bool emit_on_close = false) : emit_on_close_(emit_on_close) {}

  // State that watermarks close is dropped, as time_bounds.h says.
  NodeId Add(stream::Node node, Key key);
  // A relation, with what is known of its columns.
  NodeId AddRelation(stream::Node node, NodeTimes times);
  const NodeTimes& times(NodeId node) const { return times_[node]; }

  const rows::Types& types(NodeId node) const { return plan_.nodes[node].types; }
  const std::vector<std::string>& names(NodeId node) const { return plan_.nodes[node].names; }
  const Key& key(NodeId node) const { return keys_[node]; }
  size_t width(NodeId node) const { return types(node).size(); }

  stream::Expression Column(NodeId node, stream::ColumnIndex column) const;

  NodeId Project(NodeId input, std::vector<stream::Expression> expressions,
                 std::vector<std::string> names);
  // Some of the input's columns, in this order.
  NodeId Select(NodeId input, const Columns& columns);
  // Keeps the rows for which all predicates are true. None: the input.
  NodeId Filter(NodeId input, const std::vector<stream::Expression>& predicates);
  // One row for each set of values, equal as SQL has it (-0.0 and 0.0, '30 days' and '1 month').
  NodeId DistinctRows(NodeId input);
  // The rows' columns, and after them those of `expressions` that are not columns already; where
  // each of `expressions` stands.
  struct Extended {
    NodeId node;
    Columns columns;
  };
  Extended Extend(NodeId input, const std::vector<stream::Expression>& expressions);
  NodeId NoRows(const rows::Types& types, const std::vector<std::string>& names);

  // The plan of what `root` needs, with an Output of this name at its end.
  stream::Plan Finish(NodeId root, const std::string& name) const;

 private:
  void Close(stream::Node& node);
  NodeId DropClosed(NodeId input, stream::ColumnIndex column);
  std::vector<const NodeTimes*> TimesOfInputs(const stream::Node& node) const;

  stream::Plan plan_;
  std::vector<Key> keys_;
  std::vector<NodeTimes> times_;
  const bool emit_on_close_;
};

// The column that an expression is; none where it is more.
std::optional<stream::ColumnIndex> AsColumn(const duckdb::Expression& expression);
stream::Expression Share(duckdb::unique_ptr<duckdb::Expression> expression);
// The expression with every column number replaced.
stream::Expression Renumber(const duckdb::Expression& expression,
                            const std::function<stream::ColumnIndex(stream::ColumnIndex)>& number);
stream::Expression All(const std::vector<stream::Expression>& predicates);

}  // namespace millrace::sql
