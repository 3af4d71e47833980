// Window functions and ASOF joins: what has no law by which a change of the input gives the change
// of the output. Each key that the step touches is computed anew, as it was before the step and as
// it is after it, by DuckDB's own operator over the key's rows.
//
//   out = Δ op(I(in₁), …): for each touched key − old + new; rows that stay as they were cancel out
//
// What SQL leaves open (which of two equal rows is first) is decided by the order of the rows'
// encodings (window_plan.h says how), so that what is taken away is what was given. A row of weight
// w stands w times.
//
// A key whose computation fails (a sum over HUGEINT) is left out and reported; it heals when a
// change takes back what failed.
//
// With a closing (of a Window), partitions that no later row can belong to are dropped after the
// step's changes.
//
// State: table + i, the rows of input i by key, ordered.
// Cost: all rows of the touched keys, twice, and two runs of DuckDB's operator for all of them
// together.
// Not thread-safe: one instance per worker. Errors: those of the state, out of memory.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rows/row_codec.h"
#include "stream/closing.h"
#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream {

class RecomputedOperator final : public Operator {
 public:
  // REQUIRES: the node is a Window or an AsofJoin.
  RecomputedOperator(const Node& node, const OperatorContext& context);
  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override;

 private:
  struct Row {
    std::string_view bytes;  // in bytes_
    rows::Weight weight;
  };
  // A key's rows, by input.
  using Rows = std::vector<std::vector<Row>>;
  struct Input {
    Input(const std::vector<ColumnIndex>& key, const rows::Types& input_types,
          state::BagTable& table);

    const rows::Types types;
    KeyReader keys;
    rows::RowEncoder encoder;
    rows::RowDecoder decoder;
    state::BagTable& table;
  };

  void NoteKeys(Input& input, const rows::Batch::Part& part);
  Status Apply(Input& input, const rows::Batch::Part& part);
  Result<std::vector<Rows>> ReadRows();
  // The output rows of all these keys, each with `weight`.
  Status Compute(StepContext& context, const std::vector<Rows>& keys, rows::Weight weight,
                 rows::Batch& out);
  // Of keys [begin, end). The error's message, where the rows are to blame.
  Result<std::optional<std::string>> Run(const Budget& budget, const std::vector<Rows>& keys,
                                         size_t begin, size_t end, rows::Weight weight,
                                         rows::Batch& out);
  // The input's rows of these keys, decoded, some at a time: visit(chunk, key of each row).
  using Visit = std::function<void(duckdb::DataChunk&, std::span<const size_t>)>;
  Status ForEachChunk(const Budget& budget, size_t input, const std::vector<Rows>& keys,
                      size_t begin, size_t end, const Visit& visit);
  // How an input's rows go into what DuckDB's operator reads.
  using Into = duckdb::ColumnDataCollection;
  static Visit AsTheyAre(Into& into);
  Visit Numbered(Into& into) const;
  Visit FirstOfEachValue(Into& into);
  Result<duckdb::unique_ptr<duckdb::LogicalOperator>> Collect(const Budget& budget, size_t input,
                                                              const std::vector<Rows>& keys,
                                                              size_t begin, size_t end);
  Result<std::string> Describe(const Rows& rows);

  const Node& node_;
  duckdb::ClientContext& client_;
  Watchdog& watchdog_;
  std::unique_ptr<duckdb::Connection> session_;  // opened when it is first needed
  std::vector<std::unique_ptr<Input>> inputs_;
  std::optional<KeyReader> right_values_;  // of an AsofJoin
  ColumnIndex closing_column_ = 0;
  std::optional<ClosingKeys> closing_;

  // Of one step.
  std::vector<state::Key> touched_;  // bytes in bytes_
  std::unordered_map<std::string_view, size_t> touched_at_;
  ByteArena bytes_;
  // Scratch.
  std::vector<state::BagTable::Group*> groups_;
  std::vector<state::BagTable::Entry> entries_;
  std::vector<ClosingKeys::Opened> opened_;
};

}  // namespace millrace::stream
