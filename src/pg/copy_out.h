// COPY … TO STDOUT: rows as PostgreSQL's COPY writes them, in text, CSV or binary, one CopyData
// message a row. Not thread-safe: one per COPY.
#pragma once

#include <memory>
#include <string>

#include "pg/message.h"
#include "pg/session_statement.h"
#include "pg/value_encoder.h"
#include "rows/schema.h"

namespace millrace::pg {

class CopyOut {
 public:
  CopyOut(rows::Schema schema, CopyOptions options, TimeZonePtr zone);

  // CopyOutResponse, and what stands before the rows.
  void Begin(std::string& out);
  bool begun() const { return begun_; }
  // `rows` stays as it is while rows of it are written.
  void Bind(duckdb::DataChunk& rows) { encoder_.Bind(rows); }
  void Row(size_t row, std::string& out);
  // What stands behind the rows, and CopyDone.
  void End(std::string& out);

 private:
  void BinaryHeader(MessageWriter& message);
  // Of the text or CSV format.
  void Line(size_t row, std::string& out);
  void CsvField(std::string_view text, bool force, std::string& out) const;

  const rows::Schema schema_;
  const CopyOptions options_;
  RowEncoder encoder_;
  std::vector<bool> force_quote_;
  bool begun_ = false;
  bool header_sent_ = false;  // of the binary format
  std::string field_;
};

}  // namespace millrace::pg
