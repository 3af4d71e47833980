// What the operators with state share: keys as the tables want them, bytes that outlive an
// encoder's call, and output rows that come out of a table as bytes.
//
// Thread rule: none of these is thread-safe; each belongs to one operator instance.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "rows/batch.h"
#include "rows/key.h"
#include "rows/row_codec.h"
#include "state/tables.h"
#include "stream/plan.h"

namespace millrace::stream {

inline rows::Types TypesOf(const std::vector<ColumnIndex>& columns, const rows::Types& input) {
  rows::Types types;
  for (const ColumnIndex column : columns) {
    CHECK(column < input.size());
    types.push_back(input[column]);
  }
  return types;
}

// The columns of a chunk by number, without copying them. The view is valid until the next call.
class ColumnView {
 public:
  ColumnView(std::vector<ColumnIndex> columns, const rows::Types& input_types);
  duckdb::DataChunk& Of(duckdb::DataChunk& rows);

 private:
  std::vector<ColumnIndex> columns_;
  duckdb::DataChunk view_;
};

// Table keys of all rows of a chunk: the encoding and the hash by which an exchange sends rows to
// workers, so that a key's state lies with the worker that gets its rows.
class KeyReader {
 public:
  KeyReader(std::vector<ColumnIndex> columns, const rows::Types& input_types);
  // Valid until the next call.
  const std::vector<state::Key>& Read(duckdb::DataChunk& rows);

 private:
  ColumnView columns_;
  rows::KeyEncoder encoder_;
  std::vector<state::Key> keys_;
};

// Bytes that stay where they are until Clear().
class ByteArena {
 public:
  std::string_view Copy(std::string_view bytes);
  // Room for `size` bytes, to be written by the caller.
  char* Allocate(size_t size);
  void Clear();

 private:
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size;
  };
  static constexpr size_t kBlockBytes = 64 << 10;
  std::vector<Block> blocks_;
  size_t block_ = 0;  // the one being filled
  size_t used_ = 0;   // bytes of it in use
};

// Collects output rows that are given as bytes (rows/row_codec.h) and decodes them many at a time
// into a batch.
class StoredRows {
 public:
  // `numbers`: so many columns of `number_type` (of 64 bits) come after those of the rows.
  StoredRows(rows::Types types, size_t numbers,
             const duckdb::LogicalType& number_type = duckdb::LogicalType::BIGINT);
  // The bytes must stay valid until the next Flush.
  // REQUIRES: as many numbers as there are columns for them.
  Status Add(std::string_view row, rows::Weight weight,
             std::initializer_list<int64_t> numbers = {});
  // Decodes what was added. kCorruption: bytes from disk that no row encodes to.
  Status Flush();
  // What was flushed since the last call. REQUIRES: nothing was added after the last Flush.
  rows::Batch Take();

 private:
  rows::Types output_types_;
  size_t row_columns_;
  rows::RowDecoder decoder_;
  rows::BatchBuilder builder_;
  std::vector<std::string_view> rows_;
  std::vector<rows::Weight> weights_;
  std::vector<int64_t> numbers_;  // row by row
};

// The int64 values of a BIGINT or TIMESTAMP column (32-bit ones of an INTEGER column), any vector
// type.
class Int64Column {
 public:
  Int64Column(duckdb::Vector& column, size_t rows);
  bool is_null(size_t row) const {
    return !format_.validity.RowIsValid(format_.sel->get_index(row));
  }
  int64_t operator[](size_t row) const {
    const auto at = format_.sel->get_index(row);
    return wide_ ? reinterpret_cast<const int64_t*>(format_.data)[at]
                 : reinterpret_cast<const int32_t*>(format_.data)[at];
  }

 private:
  duckdb::UnifiedVectorFormat format_;
  bool wide_;
};

}  // namespace millrace::stream
