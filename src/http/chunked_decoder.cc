#include "http/chunked_decoder.h"

#include <algorithm>
#include <cstring>

#include "http/text.h"

namespace millrace::http {
namespace {

constexpr int kSizeDigitsMax = 15;  // fits 64 bits with room
constexpr size_t kExtensionBytesMax = 1024;
constexpr size_t kTrailerBytesMax = 8 * 1024;

Error Bad(std::string_view what) { return Error(Code::kInvalidArgument, "chunked body: {}", what); }

}  // namespace

// One byte of the framing: everything but a chunk's content.
Status ChunkedDecoder::Advance(char c) {
  switch (state_) {
    case State::kSize:
      if (const int digit = HexDigit(c); digit >= 0) {
        if (++digits_ > kSizeDigitsMax) return Bad("a chunk is too large");
        left_ = left_ * 16 + static_cast<uint64_t>(digit);
        return Ok();
      }
      if (digits_ == 0) return Bad("a chunk has no size");
      if (c == '\r') {
        state_ = State::kSizeEnd;
      } else if (c == ';' || c == ' ' || c == '\t') {
        state_ = State::kExtension;
      } else {
        return Bad("a chunk's size is not hexadecimal");
      }
      return Ok();
    case State::kExtension:
      if (++overhead_ > kExtensionBytesMax) return Bad("a chunk extension is too long");
      if (c == '\r') state_ = State::kSizeEnd;
      if (c == '\n') return Bad("a line ends without CR");
      return Ok();
    case State::kSizeEnd:
      if (c != '\n') return Bad("a line ends without LF");
      state_ = left_ == 0 ? State::kTrailerStart : State::kData;
      digits_ = 0;
      overhead_ = 0;
      return Ok();
    case State::kDataEnd:
      if (c != '\r') return Bad("a chunk is longer than it said");
      state_ = State::kDataEndLf;
      return Ok();
    case State::kDataEndLf:
      if (c != '\n') return Bad("a chunk is longer than it said");
      state_ = State::kSize;
      return Ok();
    case State::kTrailerStart:
      state_ = c == '\r' ? State::kLastLf : State::kTrailer;
      return Ok();
    case State::kTrailer:
      if (++overhead_ > kTrailerBytesMax) return Bad("the trailers are too long");
      if (c == '\r') state_ = State::kTrailerEnd;
      return Ok();
    case State::kTrailerEnd:
      if (c != '\n') return Bad("a line ends without LF");
      state_ = State::kTrailerStart;
      return Ok();
    case State::kLastLf:
      if (c != '\n') return Bad("a line ends without LF");
      state_ = State::kEnded;
      return Ok();
    case State::kData:
    case State::kEnded:
      break;
  }
  return Bad("bytes after its end");
}

Result<ChunkedDecoder::Step> ChunkedDecoder::Decode(char* data, size_t size) {
  Step step;
  while (step.consumed < size && state_ != State::kEnded) {
    if (state_ != State::kData) {
      TRY(Advance(data[step.consumed]));
      ++step.consumed;
      continue;
    }
    const size_t take = static_cast<size_t>(std::min<uint64_t>(left_, size - step.consumed));
    std::memmove(data + step.produced, data + step.consumed, take);
    step.produced += take;
    step.consumed += take;
    left_ -= take;
    if (left_ == 0) state_ = State::kDataEnd;
  }
  step.ended = state_ == State::kEnded;
  return step;
}

}  // namespace millrace::http
