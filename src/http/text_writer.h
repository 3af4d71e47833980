// A result as JSON, NDJSON or CSV. Internal to result_writer.
#pragma once

#include "http/result_writer.h"
#include "rows/encode.h"

namespace millrace::http {

inline constexpr size_t kAnswerPieceBytes = 256 * 1024;

// REQUIRES: neither Arrow nor Parquet.
class TextWriter final : public ResultWriter {
 public:
  TextWriter(std::shared_ptr<const sql::QueryResult> result, ResultForm form);

  Result<std::string> Next() override { return NextText(); }
  bool ended() const override { return ended_; }

  std::string NextText();

 private:
  bool AppendRow(std::string& out);  // false: there was none

  std::shared_ptr<const sql::QueryResult> result_;
  const ResultForm form_;
  rows::RowWriter writer_;
  size_t chunk_ = 0;  // of the next row
  size_t row_ = 0;    // within its chunk
  bool began_ = false;
  bool ended_ = false;
  bool has_rows_ = false;
};

}  // namespace millrace::http
