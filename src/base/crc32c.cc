// The crc32 instruction takes three cycles but starts one each cycle: three stretches at once keep
// it busy. Their CRCs are then joined, for which a CRC is moved over n zero bytes, that is
// multiplied by x^(8n) modulo the polynomial (Mark Adler's crc32c.c and zlib's crc32_combine).
#include <nmmintrin.h>

#include <array>

#include "base/coding.h"

namespace millrace {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // Castagnoli, lowest power in the highest bit
constexpr size_t kLongBytes = 8192;
constexpr size_t kShortBytes = 256;
static_assert(kLongBytes % 8 == 0 && kShortBytes % 8 == 0);

constexpr uint32_t Multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b >> 1) ^ ((b & 1) != 0 ? kPolynomial : 0);
  }
  return product;
}

// x^(2^n), for shifts by up to 2^64 bytes.
constexpr std::array<uint32_t, 67> kPowers = [] {
  std::array<uint32_t, 67> powers{};
  powers[0] = 1u << 30;  // x
  for (size_t n = 1; n < powers.size(); ++n) powers[n] = Multiply(powers[n - 1], powers[n - 1]);
  return powers;
}();

// x^(8 * bytes)
constexpr uint32_t ShiftFactor(uint64_t bytes) {
  uint32_t factor = 1u << 31;  // 1
  for (size_t n = 3; bytes != 0; bytes >>= 1, ++n) {
    if ((bytes & 1) != 0) factor = Multiply(kPowers[n], factor);
  }
  return factor;
}

// Moves a CRC over a fixed number of zero bytes, one table for each byte of it.
class Shift {
 public:
  explicit Shift(size_t bytes) {
    const uint32_t factor = ShiftFactor(bytes);
    for (uint32_t at = 0; at < 4; ++at) {
      for (uint32_t byte = 0; byte < 256; ++byte) {
        tables_[at][byte] = Multiply(factor, byte << (8 * at));
      }
    }
  }
  uint64_t operator()(uint64_t crc) const {
    return tables_[0][crc & 0xFF] ^ tables_[1][(crc >> 8) & 0xFF] ^ tables_[2][(crc >> 16) & 0xFF] ^
           tables_[3][(crc >> 24) & 0xFF];
  }

 private:
  std::array<std::array<uint32_t, 256>, 4> tables_;
};

// Three stretches of `bytes` each, from `at` on.
inline uint64_t ThreeStretches(uint64_t crc, const char* at, size_t bytes, const Shift& shift) {
  uint64_t second = 0, third = 0;
  for (const char* end = at + bytes; at < end; at += 8) {
    crc = _mm_crc32_u64(crc, GetFixed<uint64_t>(at));
    second = _mm_crc32_u64(second, GetFixed<uint64_t>(at + bytes));
    third = _mm_crc32_u64(third, GetFixed<uint64_t>(at + 2 * bytes));
  }
  return shift(shift(crc) ^ second) ^ third;
}

}  // namespace

uint32_t Crc32c(std::string_view bytes, uint32_t seed) {
  uint64_t crc = seed ^ 0xFFFFFFFFu;
  const char* at = bytes.data();
  size_t left = bytes.size();
  if (left >= 3 * kShortBytes) {
    static const Shift kLongShift(kLongBytes);
    static const Shift kShortShift(kShortBytes);
    for (; left >= 3 * kLongBytes; left -= 3 * kLongBytes, at += 3 * kLongBytes) {
      crc = ThreeStretches(crc, at, kLongBytes, kLongShift);
    }
    for (; left >= 3 * kShortBytes; left -= 3 * kShortBytes, at += 3 * kShortBytes) {
      crc = ThreeStretches(crc, at, kShortBytes, kShortShift);
    }
  }
  for (; left >= 8; left -= 8, at += 8) crc = _mm_crc32_u64(crc, GetFixed<uint64_t>(at));
  for (; left > 0; --left, ++at) {
    crc = _mm_crc32_u8(static_cast<uint32_t>(crc), static_cast<uint8_t>(*at));
  }
  return static_cast<uint32_t>(crc) ^ 0xFFFFFFFFu;
}

uint32_t Crc32cCombine(uint32_t first, uint32_t second, uint64_t second_bytes) {
  return Multiply(ShiftFactor(second_bytes), first) ^ second;
}

}  // namespace millrace
