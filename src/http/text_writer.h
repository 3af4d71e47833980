// A result as JSON, NDJSON or CSV. Internal to result_writer.
#pragma once

#include "http/result_writer.h"
#include "rows/encode.h"

namespace millrace::http {

inline constexpr size_t kAnswerPieceBytes = 256 * 1024;

// Writes the chunks [begin, end). REQUIRES: neither Arrow nor Parquet; where it does not begin with
// the first chunk, there are rows before.
class TextWriter final : public ResultWriter {
 public:
  TextWriter(std::shared_ptr<const sql::QueryResult> result, ResultForm form, size_t begin,
             size_t end);

  Result<std::string> Next() override;
  bool ended() const override { return ended_; }

 private:
  Result<bool> AppendRow(std::string& out);  // false: there was none

  const std::shared_ptr<const sql::QueryResult> result_;
  const ResultForm form_;
  const bool is_first_;
  const bool is_last_;
  const size_t end_;
  size_t next_chunk_;
  std::unique_ptr<rows::RowWriter> writer_;  // there while it is needed: parts may be many
  std::shared_ptr<duckdb::DataChunk> rows_;  // of the next row
  size_t row_ = 0;                           // within them
  bool ended_ = false;
  bool has_rows_;
};

}  // namespace millrace::http
