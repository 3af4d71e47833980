// Deduplicate lets the first row of each key pass:
//
//   out = the rows that are no duplicates
//
// A row is a duplicate when an accepted row with equal key (NULLs equal) and |Δ time| < within
// stands earlier in append order (no `within`: whatever the times). A step's rows are taken in
// append order (order, offset, partition), so that the batching decides nothing. With `within`, a
// row whose time is NULL has no distance to any other: it passes and makes no duplicates.
//
// State: table + 0, a cell per key: nothing but its presence without `within`, else the earliest
// and the latest accepted time; table + 1, an ordered bag per key with the accepted times between
// these two. Accepted times of a key are at least `within` apart, so that only the two neighbours
// of a time can make it a duplicate.
//
// Kept: every accepted time. A late row (`late = 'keep'`) is an ordinary row of any event time, so
// there is none that no later row could be near; entries not in use are evicted to disk.
//
// Cost: one look-up per row; one more for a key with more than two accepted times where the row
// lies between them.
// REQUIRES: the input is insert-only, and steps come in append order.
// Not thread-safe: one instance per worker.
// Errors: those of the state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream {

class DeduplicateOperator final : public Operator {
 public:
  DeduplicateOperator(const Deduplicate& deduplicate, const OperatorContext& context);
  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override;

 private:
  struct Row {
    int64_t order;
    int64_t offset;
    int64_t time;
    std::string_view key;  // in keys_
    uint64_t hash;
    int32_t partition;
    uint32_t part;
    uint32_t row;
    bool has_time;
  };

  void Collect(const rows::Batch& input);
  Status Decide(std::span<const Row> rows, StepContext& context);
  Result<bool> AcceptTime(const Row& row, std::byte* cell, bool created);
  Result<bool> AcceptBetween(const Row& row, uint64_t within);
  Status Remember(const Row& row, int64_t time);
  rows::Batch Accepted(const rows::Batch& input);

  Deduplicate deduplicate_;
  rows::Types types_;
  KeyReader key_reader_;
  state::CellTable& cells_;
  state::BagTable* times_;  // null without `within`

  // Of one step.
  ByteArena keys_;
  std::vector<Row> rows_;
  std::vector<std::vector<uint8_t>>
      duplicate_;  // by part and row; a part without duplicates stays empty
  // Scratch.
  std::vector<state::Key> block_keys_;
  std::vector<std::byte*> block_cells_;
  std::vector<uint8_t> block_created_;
};

}  // namespace millrace::stream
