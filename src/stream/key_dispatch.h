// KeyDispatch finds the rows of many Filters at once, where each keeps the rows of one relation in
// which a column equals a constant (`WHERE tenant = 17`): one look-up per row and column, whatever
// the number of filters, instead of one comparison per row and filter.
//
//   rows(slot) = the rows of the batch whose column equals the slot's constant, in their order
//
// The circuit (circuit.h) looks for such filters and gives the nodes in front of them only these
// rows; the filter still runs over them. Thread rule: one per worker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "rows/batch.h"
#include "rows/key.h"
#include "stream/plan.h"
#include "stream/state_rows.h"

namespace millrace::stream {

// What a predicate asks of one column, beside all else that it asks.
struct KeyEquality {
  ColumnIndex column;
  duckdb::Value constant;
};
// Nothing: the predicate asks for no such thing, or may fail on rows that do not have the value
// (they would have to be reported), or equal values of the column's type can differ.
std::optional<KeyEquality> KeyEqualityOf(const Filter& filter);

class KeyDispatch {
 public:
  KeyDispatch(ColumnIndex column, const rows::Types& types);

  // A slot for the rows with this value; the same one for equal values. REQUIRES: of the column's
  // type, not NULL.
  size_t AddSlot(const duckdb::Value& constant);

  // Divides the batch, unless it was divided already with this ticket: a different number for each
  // step.
  const rows::Batch& RowsOf(size_t slot, uint32_t ticket, const rows::Batch& batch);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Match {
    uint32_t slot;
    uint32_t part;
    duckdb::sel_t row;
  };
  // An entry of the open-addressing table of integers.
  struct Number {
    int64_t value = 0;
    uint32_t slot = kNone;
  };

  // The slot of each row of the chunk, in slots_.
  void Find(duckdb::DataChunk& rows);
  void FindNumbers(duckdb::Vector& column, size_t count);
  void FindKeys(duckdb::DataChunk& rows);
  uint32_t SlotOfNumber(int64_t value) const;
  void GrowNumbers();
  void Divide(const rows::Batch& batch);
  // Rows of one slot.
  rows::Batch Gather(const rows::Batch& batch, const Match* begin, const Match* end) const;

  const ColumnIndex column_;
  const rows::Types types_;
  const bool is_number_;  // at most 64 bits
  std::vector<Number> numbers_;
  std::unordered_map<std::string, uint32_t> keys_;  // where it is no number
  ColumnView view_;
  rows::KeyEncoder encoder_;

  uint32_t ticket_ = 0;
  std::vector<rows::Batch> batches_;  // by slot
  std::vector<uint32_t> filled_;      // slots with rows
  std::vector<uint32_t> slots_;       // scratch
  std::vector<Match> matches_;
  std::string key_;
};

}  // namespace millrace::stream
