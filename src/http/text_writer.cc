#include "http/text_writer.h"

#include "base/check.h"

namespace millrace::http {

TextWriter::TextWriter(std::shared_ptr<const sql::QueryResult> result, ResultForm form,
                       size_t begin, size_t end)
    : result_(std::move(result)),
      form_(form),
      is_first_(begin == 0),
      is_last_(end == result_->chunk_count()),
      end_(end),
      next_chunk_(begin),
      has_rows_(!is_first_) {
  CHECK(!IsColumnar(form.format)) << "no text";
}

Result<bool> TextWriter::AppendRow(std::string& out) {
  while (rows_ == nullptr || row_ == rows_->size()) {
    if (next_chunk_ == end_) return false;
    TRY(rows_, result_->ReadChunk(next_chunk_++));
    row_ = 0;
    writer_->Bind(*rows_);
  }
  switch (form_.format) {
    case Format::kJson:
      if (has_rows_) out += ",\n";
      form_.shape == RowShape::kObjects ? writer_->JsonObject(row_, out)
                                        : writer_->JsonArray(row_, out);
      break;
    case Format::kNdjson:
      writer_->JsonObject(row_, out);
      out += '\n';
      break;
    case Format::kCsv:
      writer_->CsvRow(row_, out);
      break;
    case Format::kArrow:
    case Format::kParquet:
      break;  // the constructor has none
  }
  has_rows_ = true;
  ++row_;
  return true;
}

Result<std::string> TextWriter::Next() {
  std::string out;
  if (ended_) return out;
  if (writer_ == nullptr) {
    writer_ = std::make_unique<rows::RowWriter>(result_->schema.names(),
                                                rows::TextOptions{form_.numbers_as_strings});
    if (is_first_ && form_.format == Format::kJson) out += '[';
    if (is_first_ && form_.format == Format::kCsv && !result_->schema.columns.empty())
      writer_->CsvHeader(out);
  }
  while (out.size() < kAnswerPieceBytes) {
    TRY(const bool appended, AppendRow(out));
    if (appended) continue;
    ended_ = true;
    writer_.reset();
    rows_.reset();
    if (is_last_ && form_.format == Format::kJson)
      out += form_.shape == RowShape::kObjects ? "]\n" : "]";
    break;
  }
  return out;
}

}  // namespace millrace::http
