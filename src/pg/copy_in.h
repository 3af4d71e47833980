// COPY … FROM STDIN: what the client sends, gathered and then read as rows of the relation's
// columns, in text, CSV or binary as PostgreSQL's COPY reads them. All of it is one change, so it
// is bounded. Not thread-safe: one per COPY.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "pg/session_statement.h"
#include "rows/schema.h"

namespace millrace::pg {

// Of what a client sends in one COPY.
inline constexpr size_t kCopyBytesMax = 32u << 20;

class CopyIn {
 public:
  // `schema`: the columns that come, in their order.
  CopyIn(std::string relation, rows::Schema schema, CopyOptions options);

  // CopyInResponse.
  void Begin(std::string& out) const;
  // kTooLarge.
  Status Add(std::string_view bytes);
  // The rows. Errors name the line and the column; SQLSTATE 22P04 where it is no COPY data, 22P02
  // and the like where a value is wrong.
  using Chunks = std::vector<std::shared_ptr<duckdb::DataChunk>>;
  Result<Chunks> Finish();

  const std::string& relation() const { return relation_; }
  const rows::Schema& schema() const { return schema_; }

 private:
  using Field = std::optional<std::string>;  // none: NULL
  Status ReadText();
  Status ReadCsv();
  Status ReadBinary();
  Result<std::vector<Field>> CsvRecord(size_t& at);
  Status AddRow(const std::vector<Field>& fields);
  Status AddValues(const std::vector<duckdb::Value>& values);
  Error At(Error error, size_t column) const;
  Error BadFile(std::string_view what) const;

  const std::string relation_;
  const rows::Schema schema_;
  const CopyOptions options_;
  std::string bytes_;
  Chunks chunks_;
  size_t line_ = 1;
};

}  // namespace millrace::pg
