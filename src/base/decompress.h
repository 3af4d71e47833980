// Streaming decompression of gzip and zstd: fed in pieces of any size, gives pieces of at most 64
// KiB, in constant memory. Several members (gzip, RFC 1952 section 2.2) or frames (zstd, RFC 8878
// section 3) one after another are one stream. Errors: kInvalidArgument for bytes that are not such
// a stream or end too early, kTooLarge when the output limit is passed (a small body can expand a
// thousandfold). Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/result.h"

namespace millrace {

enum class Compression { kNone, kGzip, kZstd };

// By the magic bytes. Needs the first 4 bytes of the stream; fewer are kNone.
Compression DetectCompression(std::string_view first_bytes);
// "gzip", "x-gzip" and "zstd" as in a Content-Encoding; "" and "identity" are kNone.
Result<Compression> CompressionByName(std::string_view name);

class Decompressor {
 public:
  using Sink = std::function<Status(std::string_view piece)>;

  // `output_bytes_max`: more decompressed bytes than that are an error. kNone passes pieces
  // through.
  Decompressor(Compression compression, uint64_t output_bytes_max);
  ~Decompressor();
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) noexcept;

  // Passes what the piece yields to `sink`; an error of the sink ends the call and is returned.
  Status Feed(std::string_view piece, const Sink& sink);
  // The stream has ended: an error where it ends inside a member or frame.
  Status Finish();
  uint64_t output_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
