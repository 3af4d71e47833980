// Texts of single values, appended to `out`: the parts that rows/encode.h puts together.
// Pure functions, thread-safe.
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

#include "rows/json_value.h"

namespace millrace::rows {

template <typename T>
void AppendInteger(T value, std::string& out) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

// From here on floats are written with an exponent, as DuckDB does: their digits alone would be an
// integer, which many readers of JSON bound.
inline constexpr double kFloatWithExponent = 1e16;

// The shortest text that reads back as the same value. False: it is a word ("NaN", "-Infinity"),
// which JSON has as a string only.
template <typename T>
bool AppendFloat(T value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
    return false;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
    return false;
  }
  std::array<char, 48> digits;
  char* const last = digits.data() + digits.size();
  const auto end =
      std::abs(value) < kFloatWithExponent
          ? std::to_chars(digits.data(), last, value).ptr
          : std::to_chars(digits.data(), last, value, std::chars_format::scientific).ptr;
  out.append(digits.data(), end);
  return true;
}

// As JSON has it.
template <typename T>
void AppendJsonFloat(T value, std::string& out) {
  const size_t begin = out.size();
  if (AppendFloat(value, out)) return;
  out.insert(begin, 1, '"');
  out += '"';
}

UInt128 Narrow(duckdb::uhugeint_t value);
Int128 Narrow(duckdb::hugeint_t value);
UInt128 Absolute(Int128 value);

void AppendUnsigned(UInt128 value, std::string& out);
void AppendSigned(Int128 value, std::string& out);
// `value` / 10^scale with exactly `scale` digits behind the point.
void AppendDecimal(Int128 value, int scale, std::string& out);

void AppendBase64(std::string_view bytes, std::string& out);
// Appends what `text` says; false where it is no base64. RFC 4648, section 4; padding may be left
// out.
bool FromBase64(std::string_view text, std::string& bytes);
void AppendHex(std::string_view bytes, std::string& out);

// As one field of a CSV record, in quotes where it needs them.
void AppendCsvField(std::string_view text, std::string& out);
// The same for what stands in `out` from `begin` on.
void QuoteCsvField(size_t begin, std::string& out);

}  // namespace millrace::rows
