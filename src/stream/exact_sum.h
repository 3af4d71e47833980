// Sums that do not depend on the order of their terms, and from which every term can be taken back
// exactly: fixed-point integers wide enough that nothing is ever rounded before the result is asked
// for.
//
// Integers and decimals: Int256 holds 2^63 terms of 128 bits. DOUBLEs: bit 0 of an Int256 stands
// for 2^kWindowExponent, which takes every value whose bits lie in the window [2^kWindowExponent,
// 2^kWindowLimit), 63 bits of growth on top. What lies outside (and NaN, +∞, −∞, counted apart) is
// kept as Digits: a sparse superaccumulator, exponent bucket → coefficient. Source: Kulisch &
// Miranker, "The arithmetic of the digital computer", SIAM Review 1986 (the long accumulator).
// Thread rule: values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace millrace::stream {

using Int128 = __int128;

// Two's complement, least significant word first. Lies in cells as it is.
struct Int256 {
  uint64_t words[4] = {0, 0, 0, 0};

  void Add(const Int256& other);
  // Adds value * weight * 2^shift. REQUIRES: 0 <= shift < 192, and the result fits.
  void AddProduct(int64_t value, int64_t weight, unsigned shift);
  // Adds value * weight.
  void AddProduct(Int128 value, int64_t weight);
  bool IsZero() const { return (words[0] | words[1] | words[2] | words[3]) == 0; }
  // Nothing where it does not fit.
  std::optional<Int128> ToInt128() const;
};

inline constexpr int kLeastExponent = -1074;  // of the smallest positive DOUBLE
inline constexpr int kWindowExponent = kLeastExponent + 15 * 64;
inline constexpr int kWindowLimit = kWindowExponent + 255 - 63;

// One term of what lies outside the window: `coefficient` times 2^(kLeastExponent + bucket *
// kDigitBits), or how often NaN, +∞, −∞ stand in the sum.
struct Digit {
  uint16_t bucket;
  int64_t coefficient;
};
inline constexpr int kDigitBits = 24;  // 2^39 terms of one bucket fit a coefficient
inline constexpr uint16_t kNanBucket = 0xfffd;
inline constexpr uint16_t kPlusInfinityBucket = 0xfffe;
inline constexpr uint16_t kMinusInfinityBucket = 0xffff;

// Adds value * weight to the window and returns true, or returns false where it does not lie in the
// window.
bool AddToWindow(Int256& window, double value, int64_t weight);
// value * weight as digits. REQUIRES: AddToWindow refused it.
void AppendDigits(double value, int64_t weight, std::vector<Digit>& digits);
// The sum, rounded once to the nearest DOUBLE, ties to even; an exact zero is +0.0. Buckets may
// repeat.
double RoundSum(const Int256& window, std::span<const Digit> digits);

}  // namespace millrace::stream
