#include "base/coding.h"

namespace millrace {

void PutVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void PutZigzag(std::string& out, int64_t value) {
  PutVarint(out, (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
}

void PutBytes(std::string& out, std::string_view bytes) {
  PutVarint(out, bytes.size());
  out.append(bytes);
}

Error Reader::Short(size_t wanted) const {
  return Error(Code::kCorruption, "{} bytes expected, {} left", wanted, bytes_.size());
}

Result<uint64_t> Reader::Varint() {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes_.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(bytes_[i]);
    if (i == 9 && byte > 1) break;
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if ((byte & 0x80) == 0) {
      bytes_.remove_prefix(i + 1);
      return value;
    }
  }
  return Error(Code::kCorruption, "bad varint with {} bytes left", bytes_.size());
}

Result<int64_t> Reader::Zigzag() {
  TRY(const uint64_t raw, Varint());
  return static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1);
}

Result<std::string_view> Reader::Bytes() {
  TRY(const uint64_t size, Varint());
  return Raw(size);
}

Result<std::string_view> Reader::Raw(size_t size) {
  if (bytes_.size() < size) return Short(size);
  const std::string_view out = bytes_.substr(0, size);
  bytes_.remove_prefix(size);
  return out;
}

namespace {
// The 128-bit product folded to 64 bits, the mixing step of wyhash (Wang Yi, public domain).
uint64_t Mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}
constexpr uint64_t kP0 = 0xa0761d6478bd642full;
constexpr uint64_t kP1 = 0xe7037ed1a0b428dbull;
}  // namespace

uint64_t StableHash(std::string_view bytes, uint64_t seed) {
  uint64_t hash = seed ^ Mix(kP0 ^ bytes.size(), kP1);
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 16; left -= 16, at += 16) {
    hash = Mix(GetFixed<uint64_t>(at) ^ kP0 ^ hash, GetFixed<uint64_t>(at + 8) ^ kP1);
  }
  uint64_t a = 0, b = 0;
  if (left >= 8) {
    a = GetFixed<uint64_t>(at);
    b = GetFixed<uint64_t>(at + left - 8);
  } else if (left > 0) {
    std::memcpy(&a, at, left);
    b = left;
  }
  return Mix(kP1 ^ bytes.size(), Mix(a ^ kP1, b ^ hash));
}

}  // namespace millrace
