// Upsert turns a changelog of full rows by key into changes of the table that it describes.
//
//   out = Δ table
//
// where table[key] is the row of the key's change with the greatest `order`, none if that deletes.
// Within a step only a key's last change counts, whatever the batching. A change that leaves the
// row as it is (by its exact encoding) emits nothing; deleting a key that has no row is nothing.
// Keys follow SQL equality with NULLs equal.
//
// State: table + 0, a bag per key that holds the key's row with weight 1.
// Cost: one look-up per touched key, and the encoding of each change.
// REQUIRES: the input is insert-only, and no two changes of a key have the same order.
// Not thread-safe: one instance per worker.
// Errors: those of the state, kCorruption for a row that does not decode.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream {

class UpsertOperator final : public Operator {
 public:
  UpsertOperator(const Upsert& upsert, const OperatorContext& context);
  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override;

 private:
  // The last change of a key in this step.
  struct Change {
    std::string_view key;  // in keys_
    uint64_t hash;
    int64_t order;
    uint32_t part;
    uint32_t row;
    bool deleted;
  };

  void Collect(const rows::Batch& input);
  void KeepLast(const Change& change);
  void GrowSlots();
  Status Apply(duckdb::DataChunk& rows, std::span<const Change> changes);

  Upsert upsert_;
  KeyReader key_reader_;
  ColumnView row_columns_;
  rows::RowEncoder encoder_;
  state::BagTable& table_;

  // Of one step.
  ByteArena keys_;
  std::vector<Change> changes_;
  std::vector<uint32_t> slots_;  // open addressing: index into changes_ + 1, 0 = free
  ByteArena old_rows_;
  StoredRows removed_;
  rows::BatchBuilder added_;
};

}  // namespace millrace::stream
