// Bytes → rows, column by column, with errors that name row, column and value. One bad row never
// harms another.
//
// The rules of what becomes what are those of docs/types.md ("In"): numbers from their text and
// never through a double, a fraction only where it is zero, overflow invalid and never wrapped,
// timestamps with an offset become UTC, text as DuckDB's CAST takes it, missing → DEFAULT else
// NULL, explicit null → NULL, unknown fields ignored and counted, of repeated fields the last,
// invalid UTF-8 invalid, NULL in a NOT NULL column invalid.
//
// Not thread-safe: one decoder per thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rows/schema.h"

namespace millrace::rows {

struct RowError {
  size_t row;        // index in the input of this call
  std::string kind;  // "syntax", "type", "not_null", "range", "encoding", "missing_column", "check"
  std::string column;   // empty where the error concerns the whole row
  std::string message;  // names column and value
};

struct Decoded {
  // The rows that were good, in input order. Chunks hold at most STANDARD_VECTOR_SIZE rows.
  std::vector<std::unique_ptr<duckdb::DataChunk>> chunks;
  // For each good row the index of its input value.
  std::vector<uint32_t> inputs;
  std::vector<RowError> errors;     // ascending by row
  size_t unknown_fields = 0;        // fields that the schema does not know
  std::string first_unknown_field;  // one of them, for a notice
};

// Decodes JSON objects, one per input value. Columns outside `wanted` (indexes of schema columns,
// ascending) are checked neither for type nor presence and are not in the chunks; pass all columns
// to check everything.
class JsonDecoder {
 public:
  JsonDecoder(const Schema& schema, std::vector<size_t> wanted);
  ~JsonDecoder();
  JsonDecoder(JsonDecoder&&) noexcept;
  JsonDecoder& operator=(JsonDecoder&&) noexcept;
  // The values need not be padded; they stay valid until the call returns.
  Decoded Decode(std::span<const std::string_view> values);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::rows
