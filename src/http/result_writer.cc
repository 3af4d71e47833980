#include "http/result_writer.h"

#include "http/text.h"
#include "http/text_writer.h"

namespace millrace::http {
namespace {

class ColumnarWriter final : public ResultWriter {
 public:
  ColumnarWriter(std::shared_ptr<const sql::QueryResult> result,
                 std::unique_ptr<columnar::Encoder> encoder)
      : result_(std::move(result)), encoder_(std::move(encoder)) {}

  Result<std::string> Next() override {
    std::string out;
    while (!ended_ && out.size() < kAnswerPieceBytes) {
      if (chunk_ < result_->chunks.size()) {
        TRY(encoder_->Append(*result_->chunks[chunk_++]));
      } else {
        TRY(encoder_->Finish());
        ended_ = true;
      }
      out += encoder_->Take();
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

Result<std::shared_ptr<ResultWriter>> MakeResultWriter(
    columnar::Encoders& encoders, std::shared_ptr<const sql::QueryResult> result, ResultForm form) {
  std::shared_ptr<ResultWriter> writer;
  if (!IsColumnar(form.format)) {
    writer = std::make_shared<TextWriter>(std::move(result), form);
    return writer;
  }
  TRY(auto encoder, encoders.Open(form.format == Format::kArrow ? columnar::Format::kArrowStream
                                                                : columnar::Format::kParquet,
                                  result->schema));
  writer = std::make_shared<ColumnarWriter>(std::move(result), std::move(encoder));
  return writer;
}

std::string ResultText(std::shared_ptr<const sql::QueryResult> result, ResultForm form) {
  TextWriter writer(std::move(result), form);
  std::string text = writer.NextText();
  while (!writer.ended()) text += writer.NextText();
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
