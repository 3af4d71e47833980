// Numbers from their decimal text, exactly: integers and decimals never pass through a double.
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::rows {

using Int128 = __int128;
using UInt128 = unsigned __int128;

// How a text became a value, or why it did not.
enum class Parsed {
  kOk,
  kNull,    // it was null, and the value is NULL
  kWrong,   // not a value of the type
  kRange,   // a value of the kind, too large for the type
  kSyntax,  // the JSON around it is broken
};

// True for exactly the number tokens of JSON (RFC 8259, section 6).
bool IsJsonNumber(std::string_view text);

// A number as sign and magnitude.
struct Magnitude {
  bool negative = false;
  UInt128 value = 0;
};

// The number times 10^scale. `round`: digits beyond the scale are rounded, half away from zero, as
// DuckDB's casts do; without it they make the number kWrong unless they are zero. REQUIRES:
// IsJsonNumber(text), scale <= 38.
Parsed ParseScaled(std::string_view text, int scale, bool round, Magnitude& out);

// An integer type's value. REQUIRES: IsJsonNumber(text).
Parsed ParseInteger(std::string_view text, Int128 min, Int128 max, Int128& out);

// REQUIRES: IsJsonNumber(text). Overflow is kRange; a number too small for the type becomes the
// nearest one, maybe 0.
Parsed ParseFloat(std::string_view text, float& out);
Parsed ParseFloat(std::string_view text, double& out);

// 10^power. REQUIRES: 0 <= power <= 38.
UInt128 PowerOfTen(int power);

}  // namespace millrace::rows
