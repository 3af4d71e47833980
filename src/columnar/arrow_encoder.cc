#include "columnar/arrow_encoder.h"

#include <utility>

#include "columnar/duck_call.h"
#include "columnar/types.h"
#include "duckdb/common/arrow/arrow_appender.hpp"
#include "duckdb/common/arrow/arrow_converter.hpp"
#include "nanoarrow/nanoarrow_ipc.h"
#include "rows/chunk_bytes.h"

namespace millrace::columnar {
namespace {

constexpr size_t kBatchRows = 65'536;
constexpr size_t kBatchTextBytes = size_t{64} << 20;  // offsets have 31 bits

// The parts that C has: each is released once.
struct Schema {
  ArrowSchema c = {};
  ~Schema() {
    if (c.release != nullptr) c.release(&c);
  }
};
struct Array {
  ArrowArray c = {};
  ~Array() {
    if (c.release != nullptr) c.release(&c);
  }
};
struct View {
  ArrowArrayView c = {};
  ~View() { ArrowArrayViewReset(&c); }
};

Status StatusOf(ArrowErrorCode code, const ArrowError& error) {
  if (code == NANOARROW_OK) return Ok();
  return Error(code == ENOMEM ? Code::kTooLarge : Code::kInternal, "Arrow: {}", error.message);
}

ArrowErrorCode AppendToString(ArrowIpcOutputStream* stream, const void* bytes, int64_t size,
                              int64_t* written, ArrowError* /*error*/) {
  static_cast<std::string*>(stream->private_data)
      ->append(static_cast<const char*>(bytes), static_cast<size_t>(size));
  *written = size;
  return NANOARROW_OK;
}

class ArrowEncoder final : public Encoder {
 public:
  ArrowEncoder(std::unique_ptr<duckdb::Connection> connection, const rows::Schema& schema)
      : connection_(std::move(connection)),
        cast_(*connection_->context, Format::kArrowStream, schema) {
    connection_->BeginTransaction();
    properties_.client_context = connection_->context.get();
  }
  ~ArrowEncoder() override {
    if (opened_) ArrowIpcWriterReset(&writer_);
  }

  Status Open(const rows::Schema& schema) {
    duckdb::vector<duckdb::string> names;
    for (const rows::Column& column : schema.columns) names.push_back(column.name);
    duckdb::ArrowConverter::ToArrowSchema(&schema_.c, cast_.types(), names, properties_);
    ArrowError error = {};
    ArrowIpcOutputStream out = {};
    out.write = AppendToString;
    out.release = [](ArrowIpcOutputStream* stream) { stream->release = nullptr; };
    out.private_data = &bytes_;
    TRY(StatusOf(ArrowIpcWriterInit(&writer_, &out), error));
    opened_ = true;
    TRY(StatusOf(ArrowIpcWriterWriteSchema(&writer_, &schema_.c, &error), error));
    return StatusOf(ArrowArrayViewInitFromSchema(&view_.c, &schema_.c, &error), error);
  }

  Status Append(duckdb::DataChunk& rows) override {
    return Guarded([&]() -> Status {
      TRY(duckdb::DataChunk * cast, cast_.Cast(rows));
      if (!batch_) {
        batch_ = std::make_unique<duckdb::ArrowAppender>(
            cast_.types(), STANDARD_VECTOR_SIZE, properties_,
            std::unordered_map<duckdb::idx_t,
                               const duckdb::shared_ptr<duckdb::ArrowTypeExtensionData>>());
        batch_text_bytes_ = 0;
      }
      cast->Flatten();
      batch_->Append(*cast, 0, cast->size(), cast->size());
      for (duckdb::Vector& column : cast->data)
        batch_text_bytes_ += rows::TextBytes(column, cast->size());
      if (batch_->RowCount() < kBatchRows && batch_text_bytes_ < kBatchTextBytes) return Ok();
      return WriteBatch();
    });
  }

  Status Finish() override {
    return Guarded([&]() -> Status {
      TRY(WriteBatch());
      ArrowError error = {};
      return StatusOf(ArrowIpcWriterWriteArrayView(&writer_, nullptr, &error), error);
    });
  }

  std::string Take() override { return std::exchange(bytes_, {}); }

 private:
  Status WriteBatch() {
    if (!batch_) return Ok();
    Array array;
    array.c = batch_->Finalize();
    batch_.reset();
    ArrowError error = {};
    TRY(StatusOf(ArrowArrayViewSetArray(&view_.c, &array.c, &error), error));
    return StatusOf(ArrowIpcWriterWriteArrayView(&writer_, &view_.c, &error), error);
  }

  std::unique_ptr<duckdb::Connection> connection_;
  FormatCast cast_;
  duckdb::ClientProperties properties_;
  std::string bytes_;
  Schema schema_;
  View view_;
  ArrowIpcWriter writer_ = {};
  bool opened_ = false;
  std::unique_ptr<duckdb::ArrowAppender> batch_;  // null: no row since the last
  size_t batch_text_bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<Encoder>> MakeArrowEncoder(std::unique_ptr<duckdb::Connection> connection,
                                                  const rows::Schema& schema) {
  auto encoder = std::make_unique<ArrowEncoder>(std::move(connection), schema);
  TRY(encoder->Open(schema));
  return std::unique_ptr<Encoder>(std::move(encoder));
}

}  // namespace millrace::columnar
