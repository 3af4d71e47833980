// PostgreSQL's types as clients know them, by their OIDs, and DuckDB's types as they are shown to
// clients (docs/types.md). Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "duckdb.hpp"

namespace millrace::pg {

// PostgreSQL's binary times count from 2000-01-01, DuckDB's from 1970-01-01.
inline constexpr int32_t kEpochDays = 10'957;
inline constexpr int64_t kEpochMicros = int64_t{kEpochDays} * 86'400 * 1'000'000;

namespace oid {
inline constexpr uint32_t kBool = 16, kBytea = 17, kChar = 18, kName = 19, kInt8 = 20, kInt2 = 21,
                          kInt2Vector = 22, kInt4 = 23, kRegproc = 24, kText = 25, kOid = 26,
                          kXid = 28, kOidVector = 30, kJson = 114, kFloat4 = 700, kFloat8 = 701,
                          kUnknown = 705, kBpchar = 1042, kVarchar = 1043, kDate = 1082,
                          kTime = 1083, kTimestamp = 1114, kTimestamptz = 1184, kInterval = 1186,
                          kTimetz = 1266, kNumeric = 1700, kRegclass = 2205, kRegtype = 2206,
                          kUuid = 2950, kJsonb = 3802, kTextArray = 1009, kVoid = 2278;
}  // namespace oid

// One of PostgreSQL's base types.
struct BaseType {
  uint32_t oid;
  uint32_t array_oid;    // 0: none
  int16_t length;        // -1: varies
  const char* name;      // as pg_type has it: "int8"
  const char* sql_name;  // as format_type has it: "bigint"
  char category;         // pg_type.typcategory
  char delimiter_align;  // pg_type.typalign
  bool by_value;
};
const std::vector<BaseType>& BaseTypes();
// nullptr: unknown.
const BaseType* FindType(uint32_t oid);
// The element type of an array type; nullptr: it is none.
const BaseType* ElementOf(uint32_t array_oid);

// How a column is described to clients.
struct ColumnType {
  uint32_t oid = oid::kText;
  int16_t length = -1;
  int32_t modifier = -1;  // of numeric: ((precision << 16) | scale) + 4
};
ColumnType TypeOf(const duckdb::LogicalType& type);

// The type that a parameter of this OID has in DuckDB; none: it is unknown here, or is left to be
// inferred (0, unknown).
std::optional<duckdb::LogicalType> DuckDbTypeOf(uint32_t oid);

}  // namespace millrace::pg
