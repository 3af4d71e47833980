// Window functions, of any kind and frame: each partition that the step touches is computed anew,
// as it was before the step and as it is after it, by DuckDB's own operator over the partition's
// rows.
//
//   out = Δ window(I(in)): for each touched partition − old + new; rows that stay as they were
//   cancel out
//
// DuckDB sees the rows in the order of their encodings, so that what SQL leaves open (which of two
// equal rows is first) is decided by the rows and by nothing else. A row of weight w stands w
// times.
//
// A partition whose computation fails (a sum over HUGEINT) is left out and reported; it heals when
// a change takes back what failed.
//
// State: table + 0, the rows by partition, ordered.
// Cost: all rows of the touched partitions, twice, and one run of DuckDB's operator for all of them
// together.
// Not thread-safe: one instance per worker. Errors: those of the state, out of memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rows/row_codec.h"
#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream {

class WindowOperator final : public Operator {
 public:
  WindowOperator(const Node& node, const OperatorContext& context);
  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override;

 private:
  struct Row {
    std::string_view bytes;
    rows::Weight weight;
  };
  // A partition that this step changes.
  struct Touched {
    state::BagTable::Group* group;
    std::vector<Row> before;  // in bytes_
  };

  Status Apply(const rows::Batch::Part& part);
  void ReadRows(const state::BagTable::Group* group, std::vector<Row>& out);
  // The output rows of all these partitions, each with `weight`.
  Status Compute(StepContext& context, const std::vector<std::vector<Row>>& partitions,
                 rows::Weight weight, rows::Batch& out);
  // The error's message, where the rows are to blame.
  Result<std::optional<std::string>> Run(const std::vector<std::vector<Row>>& partitions,
                                         size_t begin, size_t end, rows::Weight weight,
                                         rows::Batch& out);
  duckdb::unique_ptr<duckdb::ColumnDataCollection> Collect(
      const std::vector<std::vector<Row>>& partitions, size_t begin, size_t end, Status& status);

  const Window& op_;
  const rows::Types input_types_;
  const rows::Types types_;
  duckdb::ClientContext& client_;
  std::unique_ptr<duckdb::Connection> session_;  // opened when it is first needed
  KeyReader partition_reader_;
  rows::RowEncoder encoder_;
  rows::RowDecoder decoder_;
  state::BagTable& rows_;

  // Of one step.
  std::vector<Touched> touched_;
  std::unordered_map<state::BagTable::Group*, size_t> touched_at_;
  ByteArena bytes_;
  // Scratch.
  std::vector<state::BagTable::Group*> groups_;
  std::vector<state::BagTable::Entry> entries_;
};

}  // namespace millrace::stream
