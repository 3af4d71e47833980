#include "stream/exact_sum.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace millrace::stream {
namespace {

constexpr int kMantissaBits = 52;
constexpr int kExponentMask = 0x7ff;
// All bits of a DOUBLE, 64 bits of growth, a sign.
constexpr size_t kWideWords = (1024 - kLeastExponent + 64) / 64 + 1;
constexpr size_t kWindowWord = (kWindowExponent - kLeastExponent) / 64;
static_assert((kWindowExponent - kLeastExponent) % 64 == 0);

using Wide = std::array<uint64_t, kWideWords>;

// value = mantissa * 2^exponent, exactly. REQUIRES: finite.
struct Parts {
  int64_t mantissa;
  int exponent;
};

Parts Split(double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const int biased = static_cast<int>(bits >> kMantissaBits) & kExponentMask;
  int64_t mantissa = static_cast<int64_t>(bits & ((uint64_t{1} << kMantissaBits) - 1));
  if (biased != 0) mantissa |= int64_t{1} << kMantissaBits;
  return {std::signbit(value) ? -mantissa : mantissa, std::max(biased, 1) + kLeastExponent - 1};
}

// Adds the two words of `value` at `word`, sign-extended through all of `words`.
void AddAt(std::span<uint64_t> words, size_t word, Int128 value) {
  const uint64_t sign = value < 0 ? ~uint64_t{0} : 0;
  unsigned __int128 carry = 0;
  for (size_t i = word; i < words.size(); ++i) {
    const uint64_t term = i == word       ? static_cast<uint64_t>(value)
                          : i == word + 1 ? static_cast<uint64_t>(value >> 64)
                                          : sign;
    carry += static_cast<unsigned __int128>(words[i]) + term;
    words[i] = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
}

// Adds value * 2^shift.
void AddShifted(std::span<uint64_t> words, Int128 value, unsigned shift) {
  const unsigned bits = shift % 64;
  // Low and high half apart, so that no bit leaves the 128.
  const Int128 low =
      static_cast<Int128>(static_cast<unsigned __int128>(static_cast<uint64_t>(value)) << bits);
  const Int128 high = static_cast<Int128>(static_cast<int64_t>(value >> 64)) * (Int128{1} << bits);
  // `low` is not negative as a number of up to 127 bits: bits <= 63.
  AddAt(words, shift / 64, low);
  if (high != 0) AddAt(words, shift / 64 + 1, high);
}

// The top 53 bits of the magnitude, rounded to even.
double Round(Wide words) {
  const bool negative = static_cast<int64_t>(words.back()) < 0;
  if (negative) {
    unsigned __int128 carry = 1;
    for (uint64_t& word : words) {
      carry += static_cast<unsigned __int128>(~word);
      word = static_cast<uint64_t>(carry);
      carry >>= 64;
    }
  }
  size_t top = words.size();
  while (top > 0 && words[top - 1] == 0) --top;
  if (top == 0) return 0.0;
  const int high_bit = static_cast<int>(top) * 64 - 1 - std::countl_zero(words[top - 1]);
  const int drop = std::max(0, high_bit - kMantissaBits);
  const auto bit = [&](int index) { return (words[index / 64] >> (index % 64)) & 1; };
  uint64_t mantissa = words[drop / 64] >> (drop % 64);
  if (drop % 64 != 0 && static_cast<size_t>(drop / 64 + 1) < words.size()) {
    mantissa |= words[drop / 64 + 1] << (64 - drop % 64);
  }
  mantissa &= (uint64_t{1} << (kMantissaBits + 1)) - 1;
  if (drop > 0 && bit(drop - 1)) {
    bool more = mantissa & 1;
    for (int i = 0; !more && i < drop - 1; ++i) more = bit(i);
    if (more) ++mantissa;
  }
  const double magnitude = std::ldexp(static_cast<double>(mantissa), drop + kLeastExponent);
  return negative ? -magnitude : magnitude;
}

}  // namespace

void Int256::Add(const Int256& other) {
  unsigned __int128 carry = 0;
  for (int i = 0; i < 4; ++i) {
    carry += static_cast<unsigned __int128>(words[i]) + other.words[i];
    words[i] = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
}

void Int256::AddProduct(int64_t value, int64_t weight, unsigned shift) {
  AddShifted(words, static_cast<Int128>(value) * weight, shift);
}

void Int256::AddProduct(Int128 value, int64_t weight) {
  // value = high * 2^64 + low, low unsigned: split once more so that products stay in 128 bits.
  const auto low = static_cast<uint64_t>(value);
  const auto high = static_cast<int64_t>(value >> 64);
  AddAt(words, 0, static_cast<Int128>(static_cast<uint32_t>(low)) * weight);
  AddShifted(words, static_cast<Int128>(low >> 32) * weight, 32);
  AddAt(words, 1, static_cast<Int128>(high) * weight);
}

std::optional<Int128> Int256::ToInt128() const {
  const uint64_t sign = static_cast<int64_t>(words[1]) < 0 ? ~uint64_t{0} : 0;
  if (words[2] != sign || words[3] != sign) return std::nullopt;
  return static_cast<Int128>((static_cast<unsigned __int128>(words[1]) << 64) | words[0]);
}

bool AddToWindow(Int256& window, double value, int64_t weight) {
  if (value == 0) return true;
  if (!std::isfinite(value)) return false;
  const Parts parts = Split(value);
  // With trailing zeros shifted out, more values have all their bits in the window.
  const int zeros = std::countr_zero(static_cast<uint64_t>(parts.mantissa));
  const int low = parts.exponent + zeros;
  if (low < kWindowExponent || parts.exponent + kMantissaBits + 1 > kWindowLimit) return false;
  window.AddProduct(parts.mantissa >> zeros, weight, static_cast<unsigned>(low - kWindowExponent));
  return true;
}

void AppendDigits(double value, int64_t weight, std::vector<Digit>& digits) {
  if (std::isnan(value)) return digits.push_back({kNanBucket, weight});
  if (std::isinf(value))
    return digits.push_back({value > 0 ? kPlusInfinityBucket : kMinusInfinityBucket, weight});
  const Parts parts = Split(value);
  const int shift = parts.exponent - kLeastExponent;
  const int64_t signed_weight = parts.mantissa < 0 ? -weight : weight;
  unsigned __int128 bits =
      static_cast<unsigned __int128>(parts.mantissa < 0 ? -parts.mantissa : parts.mantissa)
      << (shift % kDigitBits);
  for (int bucket = shift / kDigitBits; bits != 0; ++bucket, bits >>= kDigitBits) {
    const auto digit = static_cast<int64_t>(bits & ((1u << kDigitBits) - 1));
    if (digit != 0) digits.push_back({static_cast<uint16_t>(bucket), digit * signed_weight});
  }
}

double RoundSum(const Int256& window, std::span<const Digit> digits) {
  Wide sum{};
  int64_t nans = 0;
  int64_t plus = 0;
  int64_t minus = 0;
  for (const Digit& digit : digits) {
    if (digit.bucket == kNanBucket) {
      nans += digit.coefficient;
    } else if (digit.bucket == kPlusInfinityBucket) {
      plus += digit.coefficient;
    } else if (digit.bucket == kMinusInfinityBucket) {
      minus += digit.coefficient;
    } else {
      AddShifted(sum, digit.coefficient, static_cast<unsigned>(digit.bucket) * kDigitBits);
    }
  }
  if (nans > 0 || (plus > 0 && minus > 0)) return std::numeric_limits<double>::quiet_NaN();
  if (plus > 0) return std::numeric_limits<double>::infinity();
  if (minus > 0) return -std::numeric_limits<double>::infinity();
  const uint64_t sign = static_cast<int64_t>(window.words[3]) < 0 ? ~uint64_t{0} : 0;
  unsigned __int128 carry = 0;
  for (size_t i = kWindowWord; i < kWideWords; ++i) {
    carry += static_cast<unsigned __int128>(sum[i]) +
             (i - kWindowWord < 4 ? window.words[i - kWindowWord] : sign);
    sum[i] = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
  return Round(sum);
}

}  // namespace millrace::stream
