// Takes the chunk framing (RFC 9112, section 7.1) off a request body, in place and in pieces of any
// size. Trailers are read and dropped. Not thread-safe: one per body.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace millrace::http {

class ChunkedDecoder {
 public:
  struct Step {
    size_t produced = 0;  // bytes of the body, moved to the front of `data`
    size_t consumed = 0;  // bytes of the input used: less than `size` only when the body has ended
    bool ended = false;
  };
  // kInvalidArgument where the framing is wrong: nothing after it can be trusted.
  Result<Step> Decode(char* data, size_t size);

 private:
  enum class State {
    kSize,          // hexadecimal digits of a chunk's size
    kExtension,     // up to the end of the size line, ignored
    kSizeEnd,       // LF of the size line
    kData,          // `left_` bytes of the chunk
    kDataEnd,       // CR after the chunk
    kDataEndLf,     // LF after the chunk
    kTrailerStart,  // first byte of a trailer line, or CR of the last one
    kTrailer,       // within a trailer line
    kTrailerEnd,    // LF of a trailer line
    kLastLf,        // LF of the empty line: then the body has ended
    kEnded,
  };
  Status Advance(char c);

  State state_ = State::kSize;
  uint64_t left_ = 0;
  int digits_ = 0;
  size_t overhead_ = 0;  // bytes of the extension, or of all trailers: bounded
};

}  // namespace millrace::http
