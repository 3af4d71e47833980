// Accumulators: what a group remembers of count, sum, avg, and (where rows are never retracted) min
// and max. They lie one after the other in a cell; cells of equal layout add up, which is all that
// a step does with them.
//
//   cell = number of rows, int64 | slot | slot | …
//   count    int64 of the values that count
//   sum128   count | 128 bits: integers and decimals of up to 64 bits
//   sum256   count | 256 bits: integers and decimals of 128 bits
//   float    count | 256 bits (exact_sum.h) | 1 once values lay outside of them: their digits stand
//   in a bag extreme  count | 16 bytes: the least or greatest value
//
// Thread rule: a layout is immutable; cells belong to their worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rows/batch.h"
#include "stream/exact_sum.h"
#include "stream/plan.h"

namespace millrace::stream {

struct Slot {
  enum class Kind { kCount, kSum128, kSum256, kFloat, kMin, kMax };
  Kind kind;
  std::optional<ColumnIndex> argument;  // none: every row counts
  std::optional<ColumnIndex> filter;
  // Fed with the different values of `argument` only (by the owner of the slot), not by Accumulate.
  bool distinct = false;
  duckdb::PhysicalType type = duckdb::PhysicalType::INVALID;  // of the argument
  size_t offset = 0;                                          // in the cell
};

// A value of a kFloat slot that does not lie in its window.
struct OutsideValue {
  uint32_t group;
  uint16_t slot;
  double value;
  int64_t weight;
};

// How a call's result is made from its slot.
struct SlotResult {
  enum class Kind { kCount, kSum, kAverage, kRoundedAverage, kExtreme };
  Kind kind;
  size_t slot;
  duckdb::LogicalType argument;
  std::string name;  // "sum(price)", for errors
};

class CellLayout {
 public:
  // The slot that the call needs, shared with other calls where it is the same one. Nothing where
  // the call is not made from accumulators. `insert_only`: the input never retracts, so that min
  // and max can be slots.
  std::optional<SlotResult> Place(const AggregateCall& call, const rows::Types& input,
                                  bool insert_only);

  size_t bytes() const { return bytes_; }
  const std::vector<Slot>& slots() const { return slots_; }

  static int64_t Rows(const std::byte* cell) {
    int64_t rows;
    std::memcpy(&rows, cell, sizeof(rows));
    return rows;
  }
  static void AddRows(std::byte* cell, int64_t weight) {
    const int64_t rows = Rows(cell) + weight;
    std::memcpy(cell, &rows, sizeof(rows));
  }

  // Adds the rows of `part` to the cells of their groups: the cell of group g lies at cells + g *
  // bytes().
  void Accumulate(size_t slot, const rows::Batch::Part& part, const uint32_t* groups,
                  std::byte* cells, std::vector<OutsideValue>& outside) const;
  // Adds one row of `part` to one cell, `weight` times.
  void AccumulateRow(size_t slot, const rows::Batch::Part& part, size_t row, int64_t weight,
                     uint32_t group, std::byte* cell, std::vector<OutsideValue>& outside) const;
  void Merge(std::byte* cell, const std::byte* delta) const;
  // Says in the cell that values of the slot lie outside.
  void MarkOutside(size_t slot, std::byte* cell) const;
  bool HasOutside(size_t slot, const std::byte* cell) const;

  // Writes the result into row `at` of the flat `out`. Returns why it has none ("sum(x)
  // overflows"), or nothing.
  std::optional<std::string> Finish(const SlotResult& result, const std::byte* cell,
                                    std::span<const Digit> digits, duckdb::Vector& out,
                                    size_t at) const;

 private:
  size_t AddSlot(Slot slot);

  std::vector<Slot> slots_;
  size_t bytes_ = sizeof(int64_t);
};

}  // namespace millrace::stream
