// What the definitions of system tables are written with.
// Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rows/schema.h"

namespace millrace::runtime::system_tables {

inline rows::Schema MakeSchema(
    const std::vector<std::pair<const char*, duckdb::LogicalType>>& columns) {
  rows::Schema schema;
  for (const auto& [name, type] : columns) {
    rows::Column column;
    column.name = name;
    column.type = type;
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

inline duckdb::Value Text(std::string_view text) { return duckdb::Value(std::string(text)); }
inline duckdb::Value Number(uint64_t value) {
  return duckdb::Value::BIGINT(static_cast<int64_t>(value));
}
inline duckdb::Value Number(int64_t value) { return duckdb::Value::BIGINT(value); }

// NULL where there is none.
inline duckdb::Value OptionalText(const std::string& text) {
  return text.empty() ? duckdb::Value(duckdb::LogicalType::VARCHAR) : duckdb::Value(text);
}

}  // namespace millrace::runtime::system_tables
