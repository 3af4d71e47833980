// The columns of a stream, table or view.
// Thread rule: values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rows/batch.h"

namespace millrace::rows {

struct Column {
  std::string name;
  duckdb::LogicalType type;
  bool not_null = false;
  // The constant that a missing field takes; NULL Value of the column's type where none was
  // declared.
  std::optional<duckdb::Value> default_value;
  int id = 0;  // stays the same over renames; never reused within a schema
  std::vector<std::string> aliases = {};  // earlier names, which records may still use
};

struct Schema {
  std::vector<Column> columns;

  // Index of the column, names compared without case.
  std::optional<size_t> Find(std::string_view name) const;
  // The column that a record's field of this name is for: aliases count too, after all names.
  std::optional<size_t> FindField(std::string_view name) const;
  std::optional<size_t> FindId(int id) const;
  Types types() const;
  std::vector<size_t> all() const;  // 0, 1, … of every column
  std::vector<std::string> names() const;
};

bool EqualNames(std::string_view a, std::string_view b);  // ASCII case folded
std::string LowerName(std::string_view name);

}  // namespace millrace::rows
