// Aggregate: per group of equal keys (NULL equals NULL) one row of group columns and calls.
//
//   out = Δ aggregate(I(in)): for each group that the step touches −old +new, nothing where they
//   are equal
//
// A step's change is first summed per group, so that state is touched once per group whatever the
// number of rows. How each call is kept:
//
//   count, sum, avg      accumulators in a cell, linear (accumulator.h); FILTER is a condition on
//                        what is added
//   … with DISTINCT      the same, fed by a weight per group and value when it comes (0 → 1) or
//                        goes (distinct_values.h)
//   min, max             ordered rows per group, the first one counts; where the input never
//                        retracts one value
//   any other, ORDER BY  the group's rows, evaluated again by DuckDB's function (evaluated_call.h)
//
// A group without rows is gone; without group columns there is always one row, given out in the
// first step. Where equal keys can differ (0.0 and -0.0, '30 days' and '1 month'), the group shows
// the first in the order of their encodings. A group whose result fails (a sum over HUGEINT) is
// left out and reported; it is taken back when it heals.
//
// With a closing, groups that no later row can belong to are forgotten after the step's changes;
// with `at_close` that is when their row is given out, once.
//
// Behind an exchange the sender's share of the sums is done already (pre_aggregate.h): the operator
// then has the inputs that PreAggregate names, not rows alone.
//
// State: table+0 cells (+6 with min/max in them), +1 encodings of the key columns, +2 digits of
// DOUBLE sums outside their window, +3 rows of min, max and evaluated calls (+7 where only the best
// is kept), +4 weights of distinct values, +5 the last results of evaluated calls. Cost: one cell
// look-up per touched group; for evaluated calls all its rows. Source: Budiu et al., "DBSP", VLDB
// 2023, section 7.2. Not thread-safe: one instance per worker.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "rows/key.h"
#include "rows/row_codec.h"
#include "stream/accumulator.h"
#include "stream/bag_row.h"
#include "stream/closing.h"
#include "stream/distinct_values.h"
#include "stream/evaluated_call.h"
#include "stream/group_index.h"
#include "stream/operator.h"

namespace millrace::stream {

class AggregateOperator final : public Operator {
 public:
  AggregateOperator(const Node& node, const OperatorContext& context);
  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override;

 private:
  using Groups = std::vector<state::BagTable::Group*>;

  // One step's change (PreAggregate's batches; without an exchange just rows).
  struct Input {
    const rows::Batch& rows;
    const rows::Batch& cells;
    std::span<const rows::Batch* const> feeds;
  };

  // A call that is not made from a slot.
  struct Kept {
    size_t call;
    std::unique_ptr<BagRowEncoder> encoder;
    std::optional<rows::RowDecoder> decoder;  // min, max
    std::optional<EvaluatedCall> evaluated;   // all others
    // Of min and max of an input that never retracts: each group's best row of the step, or empty.
    std::vector<std::string> best;
  };
  // Results of up to one chunk of groups, before or after the step.
  struct Results {
    std::shared_ptr<duckdb::DataChunk> rows;
    std::vector<uint8_t> shown;
    // Per group: the bytes that the results outside the cell were made from; equal bytes, equal
    // results.
    std::vector<std::string> bytes;
    std::unordered_map<size_t, std::string> failures;
  };

  Status Change(StepContext& context, const Input& input);
  Status NoteOpened();
  Status NoteValues(std::span<const DistinctValues::New> values);
  Status CloseGroups(StepContext& context);
  Status GiveOut(StepContext& context, std::span<const TimeIndex::Entry> closed);
  void PlaceCalls(const OperatorContext& context);
  void OpenTables(const OperatorContext& context);
  Status GroupInput(const Input& input);
  void FindGroups(duckdb::DataChunk& rows, std::span<const ColumnIndex> columns,
                  rows::BatchBuilder& keys, uint32_t* groups);
  void AccumulateRows(const rows::Batch& rows, rows::BatchBuilder& keys);
  Status AccumulateCells(const rows::Batch& cells, rows::BatchBuilder& keys);
  Status FindState();
  size_t blocks() const {
    return (groups_.size() + STANDARD_VECTOR_SIZE - 1) / STANDARD_VECTOR_SIZE;
  }
  Results Prepare(size_t block);
  Status ReadCells(size_t block, Results& results);
  Result<std::vector<Digit>> DigitsOf(size_t group, size_t slot) const;
  // The results that stand in bags: as they were, and as they are.
  Status ReadOldRows(size_t block, Results& results);
  Status ReadNewRows(const StepContext& context, size_t block, Results& results);
  Status ReadFirstRows(size_t block, Results& results);
  void UseStored(duckdb::DataChunk& stored, Results& results);
  // Rows, with those of a feed where there is one, and the group of each.
  struct Fed {
    rows::Batch rows;
    std::vector<uint32_t> groups;
  };
  Fed WithFeed(const Input& input, size_t feed) const;
  Status AddRows(const Input& input);
  void AddVariants(const rows::Batch& input);
  void AddKept(Kept& kept, const rows::Batch::Part& part, const uint32_t* groups);
  void AddBest(const Kept& kept);
  Status AddDistinct(const Input& input);
  Status AddOutside();
  void MergeCells(size_t block);
  bool Same(const Results& before, const Results& after, size_t row) const;
  void Emit(StepContext& context, size_t block, const Results& before, const Results& after);
  std::string DescribeGroup(const Results& results, size_t row) const;
  void EraseEmpty();

  size_t first_of(size_t block) const { return block * STANDARD_VECTOR_SIZE; }
  size_t count_of(size_t block) const;
  std::byte* delta(size_t group) { return deltas_.data() + group * layout_.bytes(); }
  size_t column_of(size_t call) const { return op_.groups.size() + call; }

  const Aggregate& op_;
  const rows::Types types_;
  const bool is_global_;
  const bool is_idle_;  // a worker that never sees a row of this global aggregate
  const bool insert_only_;
  const rows::Types group_types_;
  const bool has_variants_;
  bool has_extreme_slots_ = false;

  CellLayout layout_;
  std::vector<std::pair<size_t, SlotResult>> slot_calls_;  // call → how it is made
  std::vector<Kept> kept_;
  std::optional<DistinctValues> distinct_;
  std::vector<size_t> float_slots_;
  rows::Types stored_types_;  // per evaluated call: failure, result
  std::optional<rows::RowEncoder> stored_encoder_;
  std::optional<rows::RowDecoder> stored_decoder_;
  std::optional<rows::RowEncoder> variant_encoder_;
  std::optional<rows::RowDecoder> variant_decoder_;

  std::optional<ClosingKeys> closing_;
  ColumnIndex closing_group_ = 0;  // number of the group column that closes groups
  std::optional<rows::RowEncoder> key_row_encoder_;
  std::optional<rows::RowDecoder> key_row_decoder_;

  state::CellTable* cells_ = nullptr;
  state::BagTable* variants_ = nullptr;
  state::BagTable* digits_ = nullptr;
  state::BagTable* rows_ = nullptr;
  state::BagTable* stored_ = nullptr;

  // Of the step under way.
  rows::KeyEncoder key_encoder_;
  duckdb::DataChunk key_columns_;
  GroupIndex groups_;
  std::vector<uint32_t> group_of_row_;                // over all parts of the rows
  std::vector<std::vector<uint32_t>> group_of_feed_;  // the same for each feed
  std::vector<duckdb::sel_t> first_rows_;             // scratch
  // The groups' key columns, chunk b holds groups [b * 2048, …).
  rows::Batch keys_;
  std::vector<ClosingKeys::Opened> opened_;
  ByteArena payloads_;
  std::vector<std::byte> deltas_;
  std::vector<OutsideValue> outside_;
  std::vector<std::byte*> cell_of_;
  std::vector<uint8_t> created_;
  Groups variant_groups_, digit_groups_, row_groups_, stored_groups_;
  rows::Batch retractions_;
  rows::Batch insertions_;
  std::unique_ptr<rows::BatchBuilder> retraction_builder_;
  std::unique_ptr<rows::BatchBuilder> insertion_builder_;
};

}  // namespace millrace::stream
