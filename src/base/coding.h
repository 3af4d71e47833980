// Numbers and strings as bytes, and back with every length checked. Little-endian unless the name
// says Big.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace {

static_assert(std::endian::native == std::endian::little,
              "on-disk formats assume a little-endian machine");

template <typename T>
void PutFixed(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}
template <typename T>
T GetFixed(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}
inline uint16_t ByteSwap(uint16_t v) { return __builtin_bswap16(v); }
inline uint32_t ByteSwap(uint32_t v) { return __builtin_bswap32(v); }
inline uint64_t ByteSwap(uint64_t v) { return __builtin_bswap64(v); }
template <typename T>
void PutBig(std::string& out, T value) {
  PutFixed(out, ByteSwap(static_cast<std::make_unsigned_t<T>>(value)));
}
template <typename T>
T GetBig(const char* at) {
  return static_cast<T>(ByteSwap(GetFixed<std::make_unsigned_t<T>>(at)));
}
// LEB128.
void PutVarint(std::string& out, uint64_t value);
void PutZigzag(std::string& out, int64_t value);
void PutBytes(std::string& out, std::string_view bytes);  // varint length, then the bytes

// Reads from the front of a byte range. Every call fails with kCorruption when the range ends too
// early.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  size_t remaining() const { return bytes_.size(); }
  template <typename T>
  Result<T> Fixed() {
    if (bytes_.size() < sizeof(T)) return Short(sizeof(T));
    const T value = GetFixed<T>(bytes_.data());
    bytes_.remove_prefix(sizeof(T));
    return value;
  }
  Result<uint64_t> Varint();
  Result<int64_t> Zigzag();
  Result<std::string_view> Bytes();  // varint length, then the bytes
  Result<std::string_view> Raw(size_t size);

 private:
  Error Short(size_t wanted) const;
  std::string_view bytes_;
};

// CRC32C (Castagnoli), in hardware. `seed`: the CRC of what goes before.
uint32_t Crc32c(std::string_view bytes, uint32_t seed = 0);
// The CRC of two pieces one behind the other, from the CRC of each, without their bytes: about half
// a microsecond.
uint32_t Crc32cCombine(uint32_t first, uint32_t second, uint64_t second_bytes);
// A fast 64-bit hash, the same on every machine and for ever: it decides which shard owns a key.
uint64_t StableHash(std::string_view bytes, uint64_t seed = 0);

}  // namespace millrace
