#include "rows/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

#include "rows/json_text.h"

namespace millrace::rows {
namespace {

// The digits that matter, without point, leading and trailing zeros: value = 0.digits... see
// `exponent`.
struct Decimal {
  std::string_view text;  // mantissa: digits with at most one point
  bool negative = false;
  int64_t exponent = 0;  // of the last significant digit
  size_t significant = 0;
};

// Exponents beyond this are all the same: nothing that they make fits, or nothing is left.
constexpr int64_t kExponentMax = 100'000;

Decimal Split(std::string_view text) {
  Decimal d;
  if (text.front() == '-') {
    d.negative = true;
    text.remove_prefix(1);
  }
  const size_t e = text.find_first_of("eE");
  if (e != std::string_view::npos) {
    std::string_view digits = text.substr(e + 1);
    const bool minus = digits.front() == '-';
    if (minus || digits.front() == '+') digits.remove_prefix(1);
    for (const char c : digits) d.exponent = std::min(d.exponent * 10 + (c - '0'), kExponentMax);
    if (minus) d.exponent = -d.exponent;
    text = text.substr(0, e);
  }
  const size_t point = text.find('.');
  size_t after_point = point == std::string_view::npos ? 0 : text.size() - point - 1;
  // Trailing zeros, then leading ones.
  while (!text.empty() && (text.back() == '0' || text.back() == '.')) {
    if (text.back() == '0') {
      // A zero before the point raises the exponent, one behind it only makes the fraction shorter.
      if (after_point > 0) {
        --after_point;
      } else {
        ++d.exponent;
      }
    }
    text.remove_suffix(1);
  }
  d.exponent -= static_cast<int64_t>(after_point);
  while (!text.empty() && (text.front() == '0' || text.front() == '.')) text.remove_prefix(1);
  d.text = text;
  d.significant = static_cast<size_t>(std::count_if(text.begin(), text.end(), IsDigit));
  return d;
}

template <typename T>
Parsed FloatFromText(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc()) return Parsed::kOk;
  // Too large or too small: only strtod tells which.
  const std::string copy(text);
  if constexpr (sizeof(T) == sizeof(float)) {
    out = std::strtof(copy.c_str(), nullptr);
  } else {
    out = std::strtod(copy.c_str(), nullptr);
  }
  return std::isfinite(out) ? Parsed::kOk : Parsed::kRange;
}

}  // namespace

bool IsJsonNumber(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  const auto digits = [&] {
    const char* begin = at;
    while (at != end && IsDigit(*at)) ++at;
    return at != begin;
  };
  if (at != end && *at == '-') ++at;
  if (at != end && *at == '0') {
    ++at;
  } else if (!digits()) {
    return false;
  }
  if (at != end && *at == '.') {
    ++at;
    if (!digits()) return false;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    if (!digits()) return false;
  }
  return at == end;
}

UInt128 PowerOfTen(int power) {
  UInt128 result = 1;
  for (int i = 0; i < power; ++i) result *= 10;
  return result;
}

Parsed ParseScaled(std::string_view text, int scale, bool round, Magnitude& out) {
  const Decimal d = Split(text);
  out.negative = d.negative && d.significant > 0;
  out.value = 0;
  if (d.significant == 0) return Parsed::kOk;
  const int64_t shift = d.exponent + scale;
  if (shift < 0 && !round) return Parsed::kWrong;
  // Digits of the result; 128 bits hold no number of 40.
  const int64_t kept = static_cast<int64_t>(d.significant) + shift;
  if (kept > 39) return Parsed::kRange;
  if (kept < 0) return Parsed::kOk;
  int64_t seen = 0;
  const auto push = [&](unsigned digit) {
    UInt128 next;
    if (__builtin_mul_overflow(out.value, UInt128{10}, &next)) return false;
    return !__builtin_add_overflow(next, UInt128{digit}, &out.value);
  };
  for (const char c : d.text) {
    if (c == '.') continue;
    if (seen == kept) {
      if (c >= '5' && __builtin_add_overflow(out.value, UInt128{1}, &out.value)) {
        return Parsed::kRange;
      }
      break;
    }
    if (!push(static_cast<unsigned>(c - '0'))) return Parsed::kRange;
    ++seen;
  }
  for (; seen < kept; ++seen) {
    if (!push(0)) return Parsed::kRange;
  }
  return Parsed::kOk;
}

Parsed ParseInteger(std::string_view text, Int128 min, Int128 max, Int128& out) {
  // Nearly all numbers: a few digits.
  if (text.size() <= 18) {
    const bool negative = text.front() == '-';
    int64_t value = 0;
    size_t i = negative ? 1 : 0;
    for (; i < text.size() && IsDigit(text[i]); ++i) value = value * 10 + (text[i] - '0');
    if (i == text.size()) {
      out = negative ? -value : value;
      return out < min || out > max ? Parsed::kRange : Parsed::kOk;
    }
  }
  Magnitude magnitude;
  if (const Parsed parsed = ParseScaled(text, 0, /*round=*/false, magnitude);
      parsed != Parsed::kOk) {
    return parsed;
  }
  constexpr UInt128 kSign = UInt128{1} << 127;
  if (magnitude.value > kSign || (magnitude.value == kSign && !magnitude.negative)) {
    return Parsed::kRange;
  }
  out = static_cast<Int128>(magnitude.negative ? -magnitude.value : magnitude.value);
  return out < min || out > max ? Parsed::kRange : Parsed::kOk;
}

Parsed ParseFloat(std::string_view text, float& out) { return FloatFromText(text, out); }
Parsed ParseFloat(std::string_view text, double& out) { return FloatFromText(text, out); }

}  // namespace millrace::rows
