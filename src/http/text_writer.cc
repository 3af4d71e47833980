#include "http/text_writer.h"

#include "base/check.h"

namespace millrace::http {

TextWriter::TextWriter(std::shared_ptr<const sql::QueryResult> result, ResultForm form)
    : result_(std::move(result)),
      form_(form),
      writer_(result_->schema.names(), result_->schema.types(),
              rows::TextOptions{form.numbers_as_strings}) {
  CHECK(!IsColumnar(form.format)) << "no text";
}

bool TextWriter::AppendRow(std::string& out) {
  while (chunk_ < result_->chunks.size() && row_ == result_->chunks[chunk_]->size()) {
    ++chunk_;
    row_ = 0;
  }
  if (chunk_ == result_->chunks.size()) return false;
  if (row_ == 0) writer_.Bind(*result_->chunks[chunk_]);
  switch (form_.format) {
    case Format::kJson:
      if (has_rows_) out += ",\n";
      form_.shape == RowShape::kObjects ? writer_.JsonObject(row_, out)
                                        : writer_.JsonArray(row_, out);
      break;
    case Format::kNdjson:
      writer_.JsonObject(row_, out);
      out += '\n';
      break;
    case Format::kCsv:
      writer_.CsvRow(row_, out);
      break;
    case Format::kArrow:
    case Format::kParquet:
      break;  // the constructor has none
  }
  has_rows_ = true;
  ++row_;
  return true;
}

std::string TextWriter::NextText() {
  std::string out;
  if (ended_) return out;
  if (!began_) {
    began_ = true;
    if (form_.format == Format::kJson) out += '[';
    if (form_.format == Format::kCsv && !result_->schema.columns.empty()) writer_.CsvHeader(out);
  }
  while (out.size() < kAnswerPieceBytes) {
    if (AppendRow(out)) continue;
    ended_ = true;
    if (form_.format == Format::kJson) out += form_.shape == RowShape::kObjects ? "]\n" : "]";
    break;
  }
  return out;
}

}  // namespace millrace::http
