#include "log/unpack.h"

#include <lz4frame.h>
#include <snappy.h>

#include <memory>

#include "base/coding.h"
#include "base/decompress.h"

namespace millrace::log {

namespace {

constexpr size_t kLengthAt = 8;
constexpr size_t kAttributesAt = 21;
constexpr char kCodecBits = 7;
constexpr std::string_view kSnappyJava("\x82SNAPPY\0", 8);
constexpr size_t kSnappyJavaVersions = 8;
constexpr size_t kLz4PieceBytes = 64u << 10;

Error TooLarge(size_t bytes_max) {
  return Error(Code::kTooLarge, "the records of a batch unpack to more than {} bytes", bytes_max);
}

Status UnpackStream(Compression compression, std::string_view packed, size_t bytes_max,
                    std::string& out) {
  Decompressor decompressor(compression, bytes_max);
  TRY(decompressor.Feed(packed, [&](std::string_view piece) {
    out += piece;
    return Ok();
  }));
  return decompressor.Finish();
}

Status UnpackRawSnappy(std::string_view packed, size_t bytes_max, std::string& out) {
  size_t size = 0;
  if (!snappy::GetUncompressedLength(packed.data(), packed.size(), &size))
    return Error(Code::kCorruption, "invalid snappy data");
  if (size > bytes_max || out.size() > bytes_max - size) return TooLarge(bytes_max);
  const size_t before = out.size();
  out.resize(before + size);
  if (!snappy::RawUncompress(packed.data(), packed.size(), out.data() + before))
    return Error(Code::kCorruption, "invalid snappy data");
  return Ok();
}

Status UnpackSnappy(std::string_view packed, size_t bytes_max, std::string& out) {
  if (!packed.starts_with(kSnappyJava)) return UnpackRawSnappy(packed, bytes_max, out);
  if (packed.size() < kSnappyJava.size() + kSnappyJavaVersions)
    return Error(Code::kCorruption, "snappy data ends too early");
  packed.remove_prefix(kSnappyJava.size() + kSnappyJavaVersions);
  while (!packed.empty()) {
    if (packed.size() < sizeof(uint32_t))
      return Error(Code::kCorruption, "snappy data ends too early");
    const auto size = GetBig<uint32_t>(packed.data());
    packed.remove_prefix(sizeof(uint32_t));
    if (size > packed.size()) return Error(Code::kCorruption, "snappy data ends too early");
    TRY(UnpackRawSnappy(packed.substr(0, size), bytes_max, out));
    packed.remove_prefix(size);
  }
  return Ok();
}

Status UnpackLz4(std::string_view packed, size_t bytes_max, std::string& out) {
  LZ4F_dctx* made = nullptr;
  const size_t created = LZ4F_createDecompressionContext(&made, LZ4F_VERSION);
  CHECK(!LZ4F_isError(created)) << "LZ4F_createDecompressionContext";
  const std::unique_ptr<LZ4F_dctx, decltype(&LZ4F_freeDecompressionContext)> context(
      made, &LZ4F_freeDecompressionContext);
  size_t wanted = 1;
  while (wanted != 0) {
    const size_t before = out.size();
    if (before >= bytes_max) return TooLarge(bytes_max);
    out.resize(before + kLz4PieceBytes);
    size_t out_size = kLz4PieceBytes;
    size_t in_size = packed.size();
    wanted = LZ4F_decompress(context.get(), out.data() + before, &out_size, packed.data(), &in_size,
                             nullptr);
    if (LZ4F_isError(wanted))
      return Error(Code::kCorruption, "invalid lz4 data: {}", LZ4F_getErrorName(wanted));
    out.resize(before + out_size);
    packed.remove_prefix(in_size);
    if (wanted != 0 && in_size == 0 && out_size == 0)
      return Error(Code::kCorruption, "lz4 data ends too early");
  }
  return Ok();
}

Status UnpackRecords(Codec codec, std::string_view packed, size_t bytes_max, std::string& out) {
  switch (codec) {
    case Codec::kGzip:
      return UnpackStream(Compression::kGzip, packed, bytes_max, out);
    case Codec::kZstd:
      return UnpackStream(Compression::kZstd, packed, bytes_max, out);
    case Codec::kSnappy:
      return UnpackSnappy(packed, bytes_max, out);
    case Codec::kLz4:
      return UnpackLz4(packed, bytes_max, out);
    case Codec::kNone:
      out += packed;
      return Ok();
  }
  return Error(Code::kCorruption, "unknown codec {}", static_cast<int>(codec));
}

}  // namespace

Result<std::string> Unpack(const RecordBatchView& batch, size_t bytes_max) {
  std::string out(batch.bytes().substr(0, kRecordBatchHeaderBytes));
  const Status unpacked =
      UnpackRecords(batch.codec(), batch.bytes().substr(kRecordBatchHeaderBytes), bytes_max, out);
  if (!unpacked.ok()) {
    const Code code =
        unpacked.error().code() == Code::kTooLarge ? Code::kTooLarge : Code::kCorruption;
    return Error(code, "{}", unpacked.error().message());
  }
  std::string length;
  PutBig(length, static_cast<int32_t>(out.size() - kRecordBatchSizeFieldEnd));
  out.replace(kLengthAt, length.size(), length);
  char& attributes = out[kAttributesAt + 1];  // the low byte of two
  attributes = static_cast<char>(attributes & ~kCodecBits);
  TRY(const RecordBatchView view, RecordBatchView::Parse(out, CrcCheck::kAlreadyVerified));
  TRY(view.CheckRecords());
  return out;
}

void UnpackAll(ReadResult& result) {
  std::vector<ReadBatch> batches;
  for (ReadBatch& batch : result.batches) {
    const RecordBatchView view = batch.view();
    if (view.codec() == Codec::kNone) {
      batches.push_back(batch);
      continue;
    }
    Result<std::string> unpacked = Unpack(view);
    if (!unpacked.ok()) {
      result.damaged.push_back({batch.base_offset, batch.last_offset, unpacked.error().message()});
      continue;
    }
    auto hold = std::make_shared<const std::string>(std::move(*unpacked));
    batch.bytes = *hold;
    result.holds.push_back(std::move(hold));
    batches.push_back(batch);
  }
  result.batches = std::move(batches);
}

}  // namespace millrace::log
