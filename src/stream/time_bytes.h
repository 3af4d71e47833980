// A time as the first part of a table's row: eight bytes whose memcmp order is that of the times.
// Pure functions, thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/check.h"

namespace millrace::stream {

inline constexpr size_t kTimeBytes = sizeof(int64_t);

inline std::array<char, kTimeBytes> TimeBytes(int64_t time) {
  const uint64_t bits = __builtin_bswap64(static_cast<uint64_t>(time) ^ (uint64_t{1} << 63));
  std::array<char, kTimeBytes> bytes;
  std::memcpy(bytes.data(), &bits, kTimeBytes);
  return bytes;
}

inline std::string_view View(const std::array<char, kTimeBytes>& bytes) {
  return {bytes.data(), bytes.size()};
}

// Of the first eight bytes.
inline int64_t TimeOf(std::string_view bytes) {
  CHECK(bytes.size() >= kTimeBytes) << "a time of " << bytes.size() << " bytes";
  uint64_t bits;
  std::memcpy(&bits, bytes.data(), kTimeBytes);
  return static_cast<int64_t>(__builtin_bswap64(bits) ^ (uint64_t{1} << 63));
}

}  // namespace millrace::stream
