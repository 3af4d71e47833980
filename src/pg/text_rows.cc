#include "pg/text_rows.h"

#include <algorithm>

namespace millrace::pg {

std::shared_ptr<const sql::QueryResult> TextRows(
    const std::vector<std::string>& names, const std::vector<std::vector<std::string>>& rows) {
  auto result = std::make_shared<sql::QueryResult>();
  for (const std::string& name : names) {
    rows::Column column;
    column.name = name;
    column.type = duckdb::LogicalType::VARCHAR;
    result->schema.columns.push_back(std::move(column));
  }
  for (size_t begin = 0; begin < rows.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, rows.size() - begin);
    auto chunk = std::make_shared<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), result->schema.types());
    for (size_t row = 0; row < count; ++row) {
      for (size_t column = 0; column < names.size(); ++column)
        chunk->SetValue(column, row, duckdb::Value(rows[begin + row][column]));
    }
    chunk->SetCardinality(count);
    result->chunks.push_back(std::move(chunk));
  }
  return result;
}

}  // namespace millrace::pg
