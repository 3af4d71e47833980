#include "ingest/token.h"

#include <algorithm>
#include <charconv>

#include "ingest/ingest.h"

namespace millrace::ingest {

namespace {
constexpr std::string_view kPrefix = "f-";
}

std::string EncodeToken(log::FrameSequence frame) {
  return fmt::format("{}{:x}", kPrefix, frame.value);
}

Result<log::FrameSequence> DecodeToken(std::string_view token) {
  log::FrameSequence frame;
  if (token.starts_with(kPrefix)) {
    const char* end = token.data() + token.size();
    const auto [at, error] = std::from_chars(token.data() + kPrefix.size(), end, frame.value, 16);
    if (error == std::errc() && at == end) return frame;
  }
  return Error(Code::kInvalidArgument, "{} is no token", Quoted(token.substr(0, 100)))
      .Hint("a token is what the answer of a write holds under \"token\"");
}

std::string MergeTokens(const std::vector<std::string>& tokens) {
  log::FrameSequence newest;
  for (const std::string& token : tokens) {
    const Result<log::FrameSequence> frame = DecodeToken(token);
    if (frame.ok()) newest = std::max(newest, *frame);
  }
  return newest.value == 0 ? "" : EncodeToken(newest);
}

}  // namespace millrace::ingest
