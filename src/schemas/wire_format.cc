#include "schemas/wire_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/coding.h"

namespace millrace::schemas {

namespace {
// Messages nest no deeper in any sensible file.
constexpr int64_t kPathMax = 64;
}  // namespace

std::string GuidText(const Guid& guid) {
  std::string out;
  for (size_t i = 0; i < guid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    fmt::format_to(std::back_inserter(out), "{:02x}", guid[i]);
  }
  return out;
}

std::optional<Guid> GuidOf(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  Guid guid;
  size_t at = 0;
  for (uint8_t& byte : guid) {
    if (at == 8 || at == 13 || at == 18 || at == 23) {
      if (text[at++] != '-') return std::nullopt;
    }
    const char* digits = text.data() + at;
    if (std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return std::nullopt;
    at += 2;
  }
  return guid;
}

std::optional<Prefixed> ReadPrefix(std::string_view bytes) {
  if (bytes.size() >= 5 && bytes[0] == 0)
    return Prefixed{GetBig<int32_t>(bytes.data() + 1), bytes.substr(5)};
  if (bytes.size() >= 17 && bytes[0] == 1) {
    Guid guid;
    std::copy_n(bytes.data() + 1, guid.size(), reinterpret_cast<char*>(guid.data()));
    return Prefixed{guid, bytes.substr(17)};
  }
  return std::nullopt;
}

Result<Message> ReadMessagePath(std::string_view bytes) {
  Reader reader(bytes);
  TRY(const int64_t count, reader.Zigzag());
  if (count < 0 || count > kPathMax)
    return Error(Code::kCorruption, "a path of {} message indexes", count);
  Message message;
  for (int64_t i = 0; i < count; ++i) {
    TRY(const int64_t index, reader.Zigzag());
    if (index < 0 || index > INT32_MAX) return Error(Code::kCorruption, "message index {}", index);
    message.path.push_back(static_cast<int32_t>(index));
  }
  message.rest = bytes.substr(bytes.size() - reader.remaining());
  return message;
}

}  // namespace millrace::schemas
