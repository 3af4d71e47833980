// The rows that a group keeps for one aggregate call, as bytes whose memcmp order is the order in
// which the call sees them:
//
//   number of the call, big-endian u16 | key of ORDER BY | key of the arguments | the arguments'
//   exact encoding | length of the arguments' key, u32 | length of the encoding, u32
//
// min is the first row of its call; max too, with the key descending.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rows/batch.h"
#include "rows/key.h"
#include "rows/row_codec.h"
#include "stream/plan.h"

namespace millrace::stream {

class BagRowEncoder {
 public:
  // `argument_order`: how the arguments' key sorts behind ORDER BY.
  BagRowEncoder(uint16_t call, const AggregateCall& spec, const rows::Types& input,
                rows::KeyOrder argument_order);

  // One row of bytes per row of the chunk; views stay valid until the next call.
  const std::vector<std::string_view>& Encode(duckdb::DataChunk& chunk);
  // Whether the row is the call's business: FILTER is true. Of the last Encode.
  bool Passes(size_t row) const;
  // Whether any argument is NULL. Of the last Encode.
  bool HasNull(size_t row) const;

  // What all rows of the call start with.
  std::string_view prefix() const { return prefix_; }
  static std::string_view ArgumentsOf(std::string_view row);
  // What rows with equal arguments have in common (SQL equality, where the types have an order).
  // REQUIRES: the call has no ORDER BY.
  static std::string_view ArgumentsKeyOf(std::string_view row);
  const rows::Types& argument_types() const { return argument_types_; }

 private:
  std::string prefix_;
  std::vector<ColumnIndex> arguments_;
  std::vector<ColumnIndex> order_columns_;
  std::optional<ColumnIndex> filter_;
  rows::Types argument_types_;
  duckdb::DataChunk argument_columns_;
  duckdb::DataChunk order_chunk_;
  bool has_argument_key_;
  rows::KeyEncoder order_key_;
  rows::KeyEncoder argument_key_;
  rows::RowEncoder encoder_;
  duckdb::UnifiedVectorFormat filter_format_;
  std::vector<duckdb::UnifiedVectorFormat> argument_formats_;
  std::string bytes_;
  std::vector<size_t> ends_;
  std::vector<std::string_view> rows_;
};

}  // namespace millrace::stream
