// COPY … FROM STDIN: what the client sends, gathered and then read as rows of the relation's
// columns, in text, CSV or binary as PostgreSQL's COPY reads them. What is gathered is bounded:
// when it is full its rows are taken, and it goes on behind them. Not thread-safe: one per COPY.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "pg/session_statement.h"
#include "pg/time_zone.h"
#include "rows/schema.h"

namespace millrace::pg {

// A binary file begins with it.
inline constexpr std::string_view kCopySignature{"PGCOPY\n\377\r\n\0", 11};

// Of what a client sends that is gathered before its rows are taken.
inline constexpr size_t kCopyBytesMax = 32u << 20;

class CopyIn {
 public:
  // `schema`: the columns that come, in their order.
  CopyIn(std::string relation, rows::Schema schema, CopyOptions options, TimeZonePtr zone);

  // CopyInResponse.
  void Begin(std::string& out) const;
  // REQUIRES: it is not full.
  void Add(std::string_view bytes);
  // Its rows are to be taken before there is more.
  bool is_full() const { return bytes_.size() >= kCopyBytesMax; }
  // The rows that have come since the last call, without one that has not come whole yet; Finish:
  // the last ones. Errors name the line and the column; SQLSTATE 22P04 where it is no COPY data,
  // 22P02 and the like where a value is wrong, 54000 where one row is more than what is gathered.
  using Chunks = std::vector<std::shared_ptr<duckdb::DataChunk>>;
  Result<Chunks> Take();
  Result<Chunks> Finish();
  // Of the next row, from 1; in binary its number.
  size_t line() const { return line_; }

  const std::string& relation() const { return relation_; }
  const rows::Schema& schema() const { return schema_; }

 private:
  using Field = std::optional<std::string>;  // none: NULL
  // Each reads the rows that are there, `last`: to the end, and says how many bytes they took.
  Result<size_t> ReadText(bool last);
  Result<size_t> ReadCsv(bool last);
  Result<size_t> ReadBinary(bool last);
  Result<std::optional<std::vector<Field>>> CsvRecord(size_t& at, bool last);
  Result<std::optional<std::vector<duckdb::Value>>> BinaryRow(std::string_view& rest);
  Result<size_t> BinaryHeader(bool last);
  Result<Chunks> Read(bool last);
  Status AddRow(const std::vector<Field>& fields);
  Status AddValues(const std::vector<duckdb::Value>& values);
  Error At(Error error, size_t column) const;
  Error BadFile(std::string_view what) const;

  const std::string relation_;
  const rows::Schema schema_;
  const CopyOptions options_;
  const TimeZonePtr zone_;
  std::string bytes_;
  Chunks chunks_;
  size_t line_ = 1;
  bool in_header_;      // it is still to come
  bool ended_ = false;  // by a mark in the data
};

}  // namespace millrace::pg
