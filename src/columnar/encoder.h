// Rows as a Parquet file (the Apache Parquet format) or an Arrow stream (Arrow columnar format,
// "IPC streaming format"), made piece by piece.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "rows/schema.h"

namespace millrace::columnar {

enum class Format { kParquet, kArrowStream };

// One file or stream. Used by one thread at a time, not always the same one.
class Encoder {
 public:
  virtual ~Encoder() = default;
  // Rows of the schema's types. Errors: INVALID_ARGUMENT where a value has no place in the format,
  // with its column. After an error the encoder is of no more use.
  virtual Status Append(duckdb::DataChunk& rows) = 0;
  // The end of the file. Nothing is appended afterwards.
  virtual Status Finish() = 0;
  // The bytes that were made since the last call, in their order; often none: both formats gather
  // rows.
  virtual std::string Take() = 0;
};

// Opens encoders, with an embedded DuckDB of its own that opens with the first of them and that no
// user's statement reaches. Thread-safe; outlives its encoders.
class Encoders {
 public:
  Encoders();
  ~Encoders();

  // REQUIRES: the schema has columns.
  Result<std::unique_ptr<Encoder>> Open(Format format, const rows::Schema& schema);

 private:
  struct Impl;
  Status OpenDuckDb();

  std::mutex mutex_;
  std::unique_ptr<Impl> impl_;  // set once, under mutex_
};

}  // namespace millrace::columnar
