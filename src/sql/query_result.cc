#include "sql/query_result.h"

#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/storage/buffer_manager.hpp"
#include "sql/duckdb_error.h"

namespace millrace::sql {

bool ResultShare::TryTake(uint64_t bytes) {
  if (!of_->TryTake(bytes)) return false;
  bytes_ += bytes;
  return true;
}

SpilledRows::SpilledRows(duckdb::shared_ptr<duckdb::DatabaseInstance> database, rows::Types types)
    : database_(std::move(database)),
      rows_(std::make_unique<duckdb::ColumnDataCollection>(
          duckdb::BufferManager::GetBufferManager(*database_), std::move(types))) {}

SpilledRows::~SpilledRows() = default;

void SpilledRows::Append(duckdb::DataChunk& rows) { rows_->Append(rows); }

size_t SpilledRows::chunk_count() const { return rows_->ChunkCount(); }

size_t SpilledRows::row_count() const { return rows_->Count(); }

Result<std::shared_ptr<duckdb::DataChunk>> SpilledRows::Read(size_t chunk) const {
  const auto read = [&]() -> Result<std::shared_ptr<duckdb::DataChunk>> {
    auto rows = std::make_shared<duckdb::DataChunk>();
    rows_->InitializeScanChunk(*rows);
    rows_->FetchChunk(chunk, *rows);
    return rows;
  };
  return Guard(
      read, [](const duckdb::ErrorData& error) -> Result<std::shared_ptr<duckdb::DataChunk>> {
        return FromDuckDb(error, Place::OfWhole(""), "", {}).With("read the answer's rows back");
      });
}

size_t QueryResult::row_count() const {
  size_t count = spilled == nullptr ? 0 : spilled->row_count();
  for (const auto& chunk : chunks) count += chunk->size();
  return count;
}

size_t QueryResult::chunk_count() const {
  return chunks.size() + (spilled == nullptr ? 0 : spilled->chunk_count());
}

Result<std::shared_ptr<duckdb::DataChunk>> QueryResult::ReadChunk(size_t at) const {
  if (at < chunks.size()) return chunks[at];
  return spilled->Read(at - chunks.size());
}

}  // namespace millrace::sql
