// TopK shows the rows at some places of each partition's order: ORDER BY … LIMIT, row_number() <=
// k; or those of some ranks: rank() <= k, dense_rank() <= k.
//
//   out = Δ { the rows at places offset < n <= offset + limit of I(in)[partition] },
//
// ordered by the order keys, ties by the whole row (row-codec order). A row of weight w takes w
// places. Its rank is 1 + the places of lesser order keys, its dense rank 1 + how many lesser order
// keys there are; all rows of an order key share it. With a number the place or rank is part of the
// output row, so that a row that moves is taken away at its old place and added at its new one.
//
// The rows shown are not stored a second time: a touched partition is scanned once before and once
// after the step's changes, and the difference is emitted. A change behind the last shown row costs
// nothing but its own addition: the boundary cell holds the first bytes of that row, and where
// these are equal the scan decides. With very few places there is no such cell, and the scan always
// does.
//
// With insert-only input a row behind the last shown one will never be shown and is not kept; nor
// is one with as many rows of lesser order keys in the step as there are places, which is seen
// before the row is even encoded.
//
// With a closing, partitions that no later row can belong to are dropped after the step's changes.
//
// State: table + 0, an ordered bag per partition of `order key | row | length of the order key`;
// table + 1, the boundary.
// Cost: O(offset + limit) for each partition that is touched at or before its last shown row, else
// one addition.
// Not thread-safe: one instance per worker.
// Errors: those of the state, kCorruption for a row that does not decode.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stream/closing.h"
#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream {

class TopKOperator final : public Operator {
 public:
  TopKOperator(const Node& node, const OperatorContext& context);
  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override;

 private:
  // A row that takes `weight` of the shown places.
  struct Shown {
    std::string_view bytes;  // order key | row | length
    rows::Weight weight;
    int64_t rank = 0;  // with ranks
  };
  // A partition whose shown rows this step may change.
  struct Touched {
    state::BagTable::Group* group;
    std::byte* boundary;    // null without boundaries
    size_t before;          // its rows in before_ are [before, before of the next one)
    std::string_view last;  // of these (of ranks, its order key) where all are taken; in bytes_
    bool changed;           // some change was not behind the last one
    size_t best;            // how many of its keys in best_ are filled
  };
  // With insert-only input: copies of a row behind the last shown place.
  struct Excess {
    state::BagTable::Group* group;
    std::string_view bytes;
    rows::Weight weight;
  };

  Status Change(const rows::Batch::Part& part);
  Status DropClosed(StepContext& context);
  // The rows of the part that may get a place, in candidates_.
  void Choose(const rows::Batch::Part& part, const std::vector<std::string_view>& order_keys);
  bool MayGetAPlace(size_t partition, std::string_view order_key);
  void NoteBest(size_t partition, std::string_view order_key);
  const std::vector<std::string_view>& EncodeCandidates(duckdb::DataChunk& rows);
  Touched& Touch(state::BagTable::Group* group, std::byte* boundary);
  void GrowSlots();
  bool IsBehindLast(const Touched& touched, std::string_view order_key) const;
  std::string_view LastOf(const Shown& shown) const;
  bool Scan(state::BagTable::Group* group, std::vector<Shown>& shown, bool trims);
  bool ScanPlaces(state::BagTable::Group* group, std::vector<Shown>& shown, bool trims);
  bool ScanRanks(state::BagTable::Group* group, std::vector<Shown>& shown, bool trims);
  Status EmitDifference(std::span<const Shown> before, std::span<const Shown> after);
  Status EmitRowDifference(std::span<const Shown> before, std::span<const Shown> after);
  Status EmitPlaceDifference(std::span<const Shown> before, std::span<const Shown> after);
  Status EmitRow(const Shown& shown, rows::Weight weight);

  TopK top_k_;
  const bool ranks_;
  KeyReader partition_reader_;
  ColumnView order_columns_;
  rows::KeyEncoder order_encoder_;
  rows::RowEncoder row_encoder_;
  state::BagTable& table_;
  state::CellTable* boundaries_;  // null where few places make it a waste
  const bool insert_only_;
  const size_t best_places_;  // 0: best_ is not kept
  const bool latest_first_;   // rows are looked at from the last to the first
  ColumnIndex closing_column_ = 0;
  std::optional<ClosingKeys> closing_;

  // Of one step.
  std::vector<Touched> touched_;
  std::vector<uint32_t> slots_;  // open addressing by group: index into touched_ + 1, 0 = free
  std::vector<Shown> before_;
  std::vector<Excess> excess_;
  // For each touched partition the least order keys of rows that stand in it, ascending, at most as
  // many as there are places. Only with insert-only input and few places.
  std::vector<std::string_view> best_;
  ByteArena bytes_;  // of before_, excess_ and best_
  StoredRows out_;
  // Scratch.
  std::vector<state::BagTable::Group*> groups_;
  std::vector<std::byte*> cells_;
  std::vector<uint8_t> created_;
  std::vector<Shown> after_;
  std::vector<ClosingKeys::Opened> opened_;
  std::vector<duckdb::sel_t> candidates_;
  duckdb::DataChunk chosen_;
  std::string row_;
};

}  // namespace millrace::stream
