#include "rows/chunk_bytes.h"

namespace millrace::rows {

uint64_t TextBytes(duckdb::Vector& column, size_t count) {
  uint64_t bytes = 0;
  switch (column.GetType().InternalType()) {
    case duckdb::PhysicalType::VARCHAR: {
      duckdb::UnifiedVectorFormat format;
      column.ToUnifiedFormat(count, format);
      const auto* texts = duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(format);
      for (size_t i = 0; i < count; ++i) {
        const size_t row = format.sel->get_index(i);
        if (format.validity.RowIsValid(row)) bytes += texts[row].GetSize();
      }
      return bytes;
    }
    case duckdb::PhysicalType::LIST:
      return TextBytes(duckdb::ListVector::GetEntry(column),
                       duckdb::ListVector::GetListSize(column));
    case duckdb::PhysicalType::ARRAY:
      return TextBytes(duckdb::ArrayVector::GetEntry(column),
                       count * duckdb::ArrayType::GetSize(column.GetType()));
    case duckdb::PhysicalType::STRUCT:
      for (auto& field : duckdb::StructVector::GetEntries(column))
        bytes += TextBytes(*field, count);
      return bytes;
    default:
      return 0;
  }
}

uint64_t BytesOf(duckdb::DataChunk& rows) {
  uint64_t bytes = rows.GetAllocationSize();
  for (duckdb::Vector& column : rows.data) bytes += TextBytes(column, rows.size());
  return bytes;
}

}  // namespace millrace::rows
