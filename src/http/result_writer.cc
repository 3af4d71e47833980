#include "http/result_writer.h"

#include "http/text.h"
#include "http/text_writer.h"

namespace millrace::http {
namespace {

constexpr size_t kPartRows = 16'384;

class ColumnarWriter final : public ResultWriter {
 public:
  ColumnarWriter(std::shared_ptr<const sql::QueryResult> result,
                 std::unique_ptr<columnar::Encoder> encoder)
      : result_(std::move(result)), encoder_(std::move(encoder)) {}

  Result<std::string> Next() override {
    std::string out;
    while (!ended_ && out.size() < kAnswerPieceBytes) {
      if (chunk_ < result_->chunk_count()) {
        TRY(const auto chunk, result_->ReadChunk(chunk_++));
        TRY(encoder_->Append(*chunk));
      } else {
        TRY(encoder_->Finish());
        ended_ = true;
      }
      std::string more = encoder_->Take();
      if (out.empty()) {
        out = std::move(more);
      } else {
        out += more;
      }
    }
    return out;
  }
  bool ended() const override { return ended_; }

 private:
  std::shared_ptr<const sql::QueryResult> result_;
  std::unique_ptr<columnar::Encoder> encoder_;
  size_t chunk_ = 0;  // the next
  bool ended_ = false;
};

}  // namespace

Result<ResultWriters> MakeResultWriters(columnar::Encoders& encoders,
                                        std::shared_ptr<const sql::QueryResult> result,
                                        ResultForm form) {
  ResultWriters writers;
  if (IsColumnar(form.format)) {
    TRY(auto encoder, encoders.Open(form.format == Format::kArrow ? columnar::Format::kArrowStream
                                                                  : columnar::Format::kParquet,
                                    result->schema));
    writers.push_back(std::make_shared<ColumnarWriter>(std::move(result), std::move(encoder)));
    return writers;
  }
  const size_t chunks = result->chunk_count();
  size_t begin = 0;
  size_t rows = 0;
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    // What stands elsewhere is full but for the last.
    rows += chunk < result->chunks.size() ? result->chunks[chunk]->size() : STANDARD_VECTOR_SIZE;
    if (rows < kPartRows && chunk + 1 < chunks) continue;
    writers.push_back(std::make_shared<TextWriter>(result, form, begin, chunk + 1));
    begin = chunk + 1;
    rows = 0;
  }
  if (writers.empty()) writers.push_back(std::make_shared<TextWriter>(result, form, 0, 0));
  return writers;
}

Result<std::string> ResultText(std::shared_ptr<const sql::QueryResult> result, ResultForm form) {
  const size_t chunks = result->chunk_count();
  TextWriter writer(std::move(result), form, 0, chunks);
  TRY(std::string text, writer.Next());
  while (!writer.ended()) {
    TRY(const std::string more, writer.Next());
    text += more;
  }
  return text;
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
