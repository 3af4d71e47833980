// The way of one text into a typed value: parameters, fields of a CSV record.
// Pure functions, thread-safe.
#pragma once

#include <string_view>

#include "base/result.h"
#include "rows/batch.h"

namespace millrace::rows {

// A text parameter as a value of `type`: as DuckDB's CAST takes it, a BLOB as \x…, nested types
// also as JSON. The error says what it is not: `"abc" is not a BIGINT`.
Result<duckdb::Value> ParseValue(std::string_view text, const duckdb::LogicalType& type);

}  // namespace millrace::rows
