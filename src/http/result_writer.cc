#include "http/result_writer.h"

#include "http/text.h"

namespace millrace::http {
namespace {

constexpr size_t kAnswerPieceBytes = 256 * 1024;

}  // namespace

ResultWriter::ResultWriter(std::shared_ptr<const sql::QueryResult> result, Format format,
                           RowShape shape, bool numbers_as_strings)
    : result_(std::move(result)),
      format_(format),
      shape_(shape),
      writer_(result_->schema.names(), result_->schema.types(),
              rows::TextOptions{numbers_as_strings}) {}

bool ResultWriter::AppendRow(std::string& out) {
  while (chunk_ < result_->chunks.size() && row_ == result_->chunks[chunk_]->size()) {
    ++chunk_;
    row_ = 0;
  }
  if (chunk_ == result_->chunks.size()) return false;
  if (row_ == 0) writer_.Bind(*result_->chunks[chunk_]);
  switch (format_) {
    case Format::kJson:
      if (has_rows_) out += ",\n";
      shape_ == RowShape::kObjects ? writer_.JsonObject(row_, out) : writer_.JsonArray(row_, out);
      break;
    case Format::kNdjson:
      writer_.JsonObject(row_, out);
      out += '\n';
      break;
    case Format::kCsv:
      writer_.CsvRow(row_, out);
      break;
  }
  has_rows_ = true;
  ++row_;
  return true;
}

std::string ResultWriter::Next() {
  std::string out;
  if (ended_) return out;
  if (!began_) {
    began_ = true;
    if (format_ == Format::kJson) out += '[';
    if (format_ == Format::kCsv && !result_->schema.columns.empty()) writer_.CsvHeader(out);
  }
  while (out.size() < kAnswerPieceBytes) {
    if (AppendRow(out)) continue;
    ended_ = true;
    if (format_ == Format::kJson) out += shape_ == RowShape::kObjects ? "]\n" : "]";
    break;
  }
  return out;
}

std::string ResultHead(const runtime::StatementResult& result) {
  std::string out = "{\"columns\": [";
  if (result.rows) {
    bool first = true;
    for (const rows::Column& column : result.rows->schema.columns) {
      out += first ? "{\"name\": " : ", {\"name\": ";
      first = false;
      AppendJsonString(out, column.name);
      out += ", \"type\": ";
      AppendJsonString(out, column.type.ToString());
      out += '}';
    }
  }
  out += "], \"tag\": ";
  AppendJsonString(out, result.tag);
  out +=
      fmt::format(", \"step\": {}, \"affected\": {}, \"notices\": [", result.step, result.affected);
  for (size_t i = 0; i < result.notices.size(); ++i) {
    if (i > 0) out += ", ";
    AppendJsonString(out, result.notices[i]);
  }
  out += "], \"token\": ";
  AppendJsonString(out, result.token);
  return out + ", \"rows\": ";
}

}  // namespace millrace::http
