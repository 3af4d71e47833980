// What a query answers: a schema and rows. Few rows are chunks in memory; of a large answer, those
// that do not fit there may stand with DuckDB's buffers, which count against the memory of ad-hoc
// queries and go to disk where that is used up.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/result.h"
#include "duckdb.hpp"
#include "rows/batch.h"
#include "rows/schema.h"

namespace millrace::sql {

// Memory that the answers of all queries may take together. Thread-safe.
class ResultMemory {
 public:
  explicit ResultMemory(uint64_t bytes_max) : bytes_max_(bytes_max) {}
  bool TryTake(uint64_t bytes);
  void Give(uint64_t bytes) { used_.fetch_sub(bytes); }
  uint64_t used() const { return used_.load(); }

 private:
  const uint64_t bytes_max_;
  std::atomic<uint64_t> used_{0};
};

// What one answer has taken of it, until the end of its life.
class ResultShare {
 public:
  explicit ResultShare(std::shared_ptr<ResultMemory> of) : of_(std::move(of)) {}
  ~ResultShare() { of_->Give(bytes_); }
  ResultShare(const ResultShare&) = delete;
  ResultShare& operator=(const ResultShare&) = delete;
  bool TryTake(uint64_t bytes);

 private:
  const std::shared_ptr<ResultMemory> of_;
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
  // Errors: kIo, kTooLarge (no memory for it now).
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
