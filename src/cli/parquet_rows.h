// The rows of a Parquet file as JSON objects, chunk by chunk in the file's order, so that the same
// file always gives the same lines. Read by DuckDB within a bounded memory. Values are written by
// the rules of docs/types.md ("Out"), which read back exactly.
// Not thread-safe. DuckDB's exceptions end here.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace millrace::cli {

class ParquetRows {
 public:
  // kInvalidArgument: it is no Parquet file; kNotFound.
  static Result<std::unique_ptr<ParquetRows>> Open(const std::string& path);
  ~ParquetRows();

  const std::vector<std::string>& columns() const;
  uint64_t row_count() const;  // of the whole file

  // The next rows, an object each, without line ends; none: the end.
  Result<std::vector<std::string>> Next();

 private:
  struct Impl;
  explicit ParquetRows(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::cli
