// The types that columns have in files of a format, and the cast to them. Internal to columnar.
#pragma once

#include "columnar/encoder.h"
#include "duckdb.hpp"

namespace millrace::columnar {

// Nothing is lost: what a format, or most of its readers, cannot hold as it is becomes a type that
// can, down to the parts of nested types. docs/types.md lists them.
duckdb::LogicalType TypeIn(Format format, const duckdb::LogicalType& type);

// Casts chunks of a schema into the types of a format. Not thread-safe.
class FormatCast {
 public:
  FormatCast(duckdb::ClientContext& context, Format format, const rows::Schema& schema);

  const duckdb::vector<duckdb::LogicalType>& types() const { return types_; }
  // The chunk is valid until the next call or that of `rows` ends. May throw DuckDB's exceptions.
  Result<duckdb::DataChunk*> Cast(duckdb::DataChunk& rows);

 private:
  duckdb::ClientContext& context_;
  const rows::Schema schema_;
  duckdb::vector<duckdb::LogicalType> types_;
  duckdb::DataChunk cast_;
};

}  // namespace millrace::columnar
