#include "base/decompress.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace millrace {
namespace {

constexpr size_t kPieceBytes = 64 << 10;
// A frame may ask for a window of up to 128 MiB, what `zstd --long` and its highest level use; more
// is refused.
constexpr int kZstdWindowLogMax = 27;
// 15 bits of window, and a gzip header.
constexpr int kGzipWindowBits = 15 + 16;

}  // namespace

struct Decompressor::Impl {
  Impl(Compression compression_in, uint64_t output_bytes_max_in)
      : compression(compression_in), output_bytes_max(output_bytes_max_in) {
    if (compression == Compression::kGzip) {
      CHECK(inflateInit2(&gzip, kGzipWindowBits) == Z_OK) << "inflateInit2";
    } else if (compression == Compression::kZstd) {
      zstd = ZSTD_createDStream();
      CHECK(zstd != nullptr) << "ZSTD_createDStream";
      CHECK(!ZSTD_isError(ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, kZstdWindowLogMax)))
          << "ZSTD_d_windowLogMax";
    }
    if (compression != Compression::kNone) buffer.resize(kPieceBytes);
  }
  ~Impl() {
    if (compression == Compression::kGzip) inflateEnd(&gzip);
    ZSTD_freeDStream(zstd);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status Emit(std::string_view piece, const Sink& sink) {
    output_bytes += piece.size();
    if (output_bytes > output_bytes_max) {
      return Error(Code::kTooLarge, "decompressed data is larger than {} bytes", output_bytes_max);
    }
    return piece.empty() ? Ok() : sink(piece);
  }
  Status FeedGzip(std::string_view piece, const Sink& sink);
  Status FeedZstd(std::string_view piece, const Sink& sink);
  Error Broken(std::string_view format, std::string_view cause) const {
    return Error(Code::kInvalidArgument, "invalid {} data near byte {}: {}", format, input_bytes,
                 cause);
  }

  Compression compression;
  uint64_t output_bytes_max;
  z_stream gzip{};
  ZSTD_DStream* zstd = nullptr;
  std::vector<char> buffer;
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
  bool inside = false;     // a member or frame has begun and not ended
  bool zero_tail = false;  // only zero bytes may follow: padding behind the last gzip member
};

Status Decompressor::Impl::FeedGzip(std::string_view piece, const Sink& sink) {
  while (!piece.empty()) {
    // Tapes and some tools pad the last member with zeros.
    if (!inside && input_bytes > 0 && piece.front() == '\0') zero_tail = true;
    if (zero_tail) {
      const size_t other = piece.find_first_not_of('\0');
      if (other != std::string_view::npos) return Broken("gzip", "bytes behind the last member");
      input_bytes += piece.size();
      return Ok();
    }
    inside = true;
    const auto offered =
        static_cast<uInt>(std::min<size_t>(piece.size(), std::numeric_limits<uInt>::max()));
    gzip.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    gzip.avail_in = offered;
    int code = Z_OK;
    do {
      gzip.next_out = reinterpret_cast<Bytef*>(buffer.data());
      gzip.avail_out = static_cast<uInt>(buffer.size());
      code = inflate(&gzip, Z_NO_FLUSH);
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        return Broken("gzip", gzip.msg != nullptr ? gzip.msg : "not a gzip stream");
      }
      TRY(Emit(std::string_view(buffer.data(), buffer.size() - gzip.avail_out), sink));
    } while (code == Z_OK && (gzip.avail_in > 0 || gzip.avail_out == 0));
    const size_t used = offered - gzip.avail_in;
    input_bytes += used;
    piece.remove_prefix(used);
    if (code == Z_STREAM_END) {
      inside = false;
      CHECK(inflateReset(&gzip) == Z_OK) << "inflateReset";
    }
  }
  return Ok();
}

Status Decompressor::Impl::FeedZstd(std::string_view piece, const Sink& sink) {
  ZSTD_inBuffer in{piece.data(), piece.size(), 0};
  bool full = false;
  while (in.pos < in.size || full) {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    const size_t before = in.pos;
    const size_t left = ZSTD_decompressStream(zstd, &out, &in);
    input_bytes += in.pos - before;
    if (ZSTD_isError(left)) return Broken("zstd", ZSTD_getErrorName(left));
    // 0: the frame is complete and flushed.
    inside = left != 0;
    full = inside && out.pos == out.size;
    TRY(Emit(std::string_view(buffer.data(), out.pos), sink));
  }
  return Ok();
}

Decompressor::Decompressor(Compression compression, uint64_t output_bytes_max)
    : impl_(std::make_unique<Impl>(compression, output_bytes_max)) {}
Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;

Status Decompressor::Feed(std::string_view piece, const Sink& sink) {
  switch (impl_->compression) {
    case Compression::kGzip:
      return impl_->FeedGzip(piece, sink);
    case Compression::kZstd:
      return impl_->FeedZstd(piece, sink);
    default:
      return impl_->Emit(piece, sink);
  }
}

Status Decompressor::Finish() {
  const bool nothing = impl_->compression != Compression::kNone && impl_->input_bytes == 0;
  if (!impl_->inside && !nothing) return Ok();
  return Error(Code::kInvalidArgument, "{} data ends too early, after {} bytes",
               impl_->compression == Compression::kGzip ? "gzip" : "zstd", impl_->input_bytes);
}

uint64_t Decompressor::output_bytes() const { return impl_->output_bytes; }

Compression DetectCompression(std::string_view first_bytes) {
  if (first_bytes.size() < 4) return Compression::kNone;
  if (first_bytes.starts_with("\x1f\x8b\x08")) return Compression::kGzip;
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd")) return Compression::kZstd;
  // A zstd stream may begin with a skippable frame: 0x184D2A50 to 0x184D2A5F.
  const bool skippable = (static_cast<uint8_t>(first_bytes[0]) & 0xf0) == 0x50 &&
                         first_bytes.substr(1, 3) == "\x2a\x4d\x18";
  return skippable ? Compression::kZstd : Compression::kNone;
}

Result<Compression> CompressionByName(std::string_view name) {
  if (name.empty() || name == "identity") return Compression::kNone;
  if (name == "gzip" || name == "x-gzip") return Compression::kGzip;
  if (name == "zstd") return Compression::kZstd;
  return Error(Code::kNotSupported, "content encoding {} is not supported", Quoted(name))
      .Hint("use gzip, zstd or none");
}

}  // namespace millrace
