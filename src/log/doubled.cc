#include "log/doubled.h"

#include "base/coding.h"

namespace millrace::log {
namespace {

Result<std::string_view> CheckedCopy(std::string_view bytes) {
  Reader in(bytes);
  TRY(const uint64_t size, in.Fixed<uint64_t>());
  TRY(const uint32_t crc, in.Fixed<uint32_t>());
  TRY(const std::string_view content, in.Raw(size));
  if (Crc32c(content, static_cast<uint32_t>(size)) != crc) {
    return Error(Code::kCorruption, "crc mismatch");
  }
  return content;
}

}  // namespace

std::string EncodeDoubled(std::string_view magic, std::string_view content) {
  CHECK(magic.size() == kMagicBytes) << magic;
  std::string copy;
  PutFixed(copy, static_cast<uint64_t>(content.size()));
  PutFixed(copy, Crc32c(content, static_cast<uint32_t>(content.size())));
  copy += content;
  std::string out(magic);
  out += copy;
  out += copy;
  out += magic;
  return out;
}

bool HasMagic(std::string_view bytes, std::string_view magic) {
  return bytes.starts_with(magic) || bytes.ends_with(magic);
}

Result<std::string_view> DecodeDoubled(std::string_view bytes) {
  const size_t copy_bytes =
      bytes.size() < 2 * kMagicBytes ? 0 : (bytes.size() - 2 * kMagicBytes) / 2;
  if (copy_bytes == 0) return Error(Code::kCorruption, "only {} bytes", bytes.size());
  Result<std::string_view> content = CheckedCopy(bytes.substr(kMagicBytes, copy_bytes));
  if (content.ok()) return content;
  return CheckedCopy(bytes.substr(kMagicBytes + copy_bytes, copy_bytes));
}

}  // namespace millrace::log
