// What a query answers: a schema and rows. Few rows are chunks in memory; of a large answer, those
// that do not fit there may stand with DuckDB's buffers, which count against the memory of ad-hoc
// queries and go to disk where that is used up.
#pragma once

#include <memory>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "duckdb.hpp"
#include "rows/batch.h"
#include "rows/schema.h"

namespace millrace::sql {

// What one answer has taken of the memory for all answers, until the end of its life.
class ResultShare {
 public:
  explicit ResultShare(std::shared_ptr<MemoryBudget> of) : of_(std::move(of)) {}
  ~ResultShare() { of_->Give(bytes_); }
  ResultShare(const ResultShare&) = delete;
  ResultShare& operator=(const ResultShare&) = delete;
  bool TryTake(uint64_t bytes);

 private:
  const std::shared_ptr<MemoryBudget> of_;
  uint64_t bytes_ = 0;
};

// Rows with DuckDB's buffers. Reading is thread-safe.
class SpilledRows {
 public:
  SpilledRows(duckdb::shared_ptr<duckdb::DatabaseInstance> database, rows::Types types);
  ~SpilledRows();
  // May throw DuckDB's exceptions: neither memory nor disk has room.
  void Append(duckdb::DataChunk& rows);
  size_t chunk_count() const;
  size_t row_count() const;
  // Errors: of the disk, or kTooLarge: no memory for it now.
  Result<std::shared_ptr<duckdb::DataChunk>> Read(size_t chunk) const;

 private:
  duckdb::shared_ptr<duckdb::DatabaseInstance> database_;  // whose buffers they are
  std::unique_ptr<duckdb::ColumnDataCollection> rows_;
};

struct QueryResult {
  rows::Schema schema;
  std::vector<std::shared_ptr<duckdb::DataChunk>> chunks;
  // The rows after those: only where QueryLimits::may_spill allowed it.
  std::shared_ptr<const SpilledRows> spilled = nullptr;
  std::shared_ptr<const ResultShare> share = nullptr;  // of the chunks, there too
  int64_t step = 0;

  size_t row_count() const;
  // Of all rows.
  size_t chunk_count() const;
  Result<std::shared_ptr<duckdb::DataChunk>> ReadChunk(size_t at) const;
};

}  // namespace millrace::sql
