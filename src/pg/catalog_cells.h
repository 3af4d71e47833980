// Values and OIDs that rows of pg_catalog are made of. Internal to pg.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "duckdb.hpp"

namespace millrace::pg {

inline constexpr uint32_t kOwner = 10;
inline constexpr uint32_t kPgCatalog = 11;
inline constexpr uint32_t kPublic = 2'200;
inline constexpr uint32_t kMillraceSchema = 13'001;
inline constexpr uint32_t kHeap = 2;
inline constexpr uint32_t kBtree = 403;
inline constexpr uint32_t kPgType = 1'247;
inline constexpr uint32_t kPgClass = 1'259;
inline constexpr uint32_t kPgRewrite = 2'618;
inline constexpr uint32_t kSqlLanguage = 14;
inline constexpr uint32_t kInt4Ops = 1'978;
inline constexpr uint32_t kDefaultCollation = 100;

inline duckdb::Value Oid(uint32_t oid) { return duckdb::Value::UINTEGER(oid); }
inline duckdb::Value Int(int64_t value) {
  return duckdb::Value::INTEGER(static_cast<int32_t>(value));
}
inline duckdb::Value Small(int64_t value) {
  return duckdb::Value::SMALLINT(static_cast<int16_t>(value));
}
inline duckdb::Value Bool(bool value) { return duckdb::Value::BOOLEAN(value); }
inline duckdb::Value Text(const std::string& text) { return duckdb::Value(text); }
inline duckdb::Value Null() { return duckdb::Value(); }

template <typename T>
duckdb::Value Smalls(const std::vector<T>& values) {
  duckdb::vector<duckdb::Value> list;
  for (const T value : values) list.push_back(Small(static_cast<int64_t>(value)));
  return duckdb::Value::LIST(duckdb::LogicalType::SMALLINT, std::move(list));
}

inline duckdb::Value Oids(size_t count, uint32_t value) {
  duckdb::vector<duckdb::Value> list(count, duckdb::Value::UINTEGER(value));
  return duckdb::Value::LIST(duckdb::LogicalType::UINTEGER, std::move(list));
}

}  // namespace millrace::pg
