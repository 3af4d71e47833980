// An EvaluatedCall computes an aggregate call anew from all rows of a group, with DuckDB's own
// function: the way of every aggregate that has no law of its own here, and of DISTINCT and ORDER
// BY inside such a call.
//
// The function sees the rows in the order of their BagRowEncoder bytes: ORDER BY, then the
// arguments. That fixes what SQL leaves open (first, list, string_agg without ORDER BY). Cost: all
// rows of each touched group. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "rows/row_codec.h"
#include "state/tables.h"
#include "stream/bag_row.h"
#include "stream/budget.h"
#include "stream/plan.h"

namespace millrace::stream {

class EvaluatedCall {
 public:
  EvaluatedCall(const AggregateCall& spec, const rows::Types& argument_types);

  // Writes the result over the call's rows of `group` (null: none) into row `at` of the flat `out`.
  // Returns why the function failed, or nothing. Errors: kCorruption, out of memory,
  // kTimeout.
  Result<std::optional<std::string>> Evaluate(const state::BagTable& bag,
                                              const state::BagTable::Group* group,
                                              std::string_view prefix, const Budget& budget,
                                              duckdb::Vector& out, size_t at);

 private:
  class State;
  void Gather(const state::BagTable& bag, const state::BagTable::Group* group,
              std::string_view prefix);
  Status Update(State& state, const Budget& budget);

  const AggregateCall& spec_;
  rows::Types types_;
  std::optional<rows::RowDecoder> decoder_;
  std::vector<std::string_view> rows_;  // the arguments' encodings, one per occurrence
};

}  // namespace millrace::stream
