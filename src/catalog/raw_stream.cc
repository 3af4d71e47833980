#include "catalog/raw_stream.h"

#include <array>

namespace millrace::catalog {

rows::Schema RawSchema() {
  using duckdb::LogicalType;
  const LogicalType header =
      LogicalType::STRUCT({{"key", LogicalType::VARCHAR}, {"value", LogicalType::BLOB}});
  const std::array<std::pair<const char*, LogicalType>, 4> columns = {
      {{"key", LogicalType::BLOB},
       {"value", LogicalType::BLOB},
       {"headers", LogicalType::LIST(header)},
       {"timestamp", LogicalType::TIMESTAMP}}};
  rows::Schema schema;
  int id = 1;
  for (const auto& [name, type] : columns) {
    rows::Column column;
    column.name = name;
    column.type = type;
    column.id = id++;
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

}  // namespace millrace::catalog
