// What the two halves of the row codec share: widths and the null bitmap. Internal to rows.
// The format is docs/formats/keys_and_rows.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "duckdb.hpp"

namespace millrace::rows {

// A value of 16 bytes (HUGEINT, UHUGEINT, UUID, INTERVAL, wide DECIMAL), copied as it lies in
// memory.
using Bytes16 = std::array<uint64_t, 2>;

// Bytes of a non-NULL value; 0 for strings and nested types.
inline size_t FixedWidth(duckdb::PhysicalType type) {
  switch (type) {
    case duckdb::PhysicalType::VARCHAR:
    case duckdb::PhysicalType::LIST:
    case duckdb::PhysicalType::STRUCT:
    case duckdb::PhysicalType::ARRAY:
      return 0;
    default:
      return duckdb::GetTypeIdSize(type);
  }
}

inline bool IsNested(duckdb::PhysicalType type) {
  return type == duckdb::PhysicalType::LIST || type == duckdb::PhysicalType::STRUCT ||
         type == duckdb::PhysicalType::ARRAY;
}

inline size_t NullBytes(size_t values) { return (values + 7) / 8; }
inline void SetNull(char* nulls, size_t i) {
  nulls[i / 8] = static_cast<char>(nulls[i / 8] | (1 << (i % 8)));
}
inline bool IsNull(const char* nulls, size_t i) { return (nulls[i / 8] >> (i % 8)) & 1; }

}  // namespace millrace::rows
