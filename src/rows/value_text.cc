#include "rows/value_text.h"

#include <algorithm>

namespace millrace::rows {

void AppendUnsigned(UInt128 value, std::string& out) {
  std::array<char, 40> digits;
  char* at = digits.data() + digits.size();
  do {
    *--at = static_cast<char>('0' + static_cast<int>(value % 10));
    value /= 10;
  } while (value != 0);
  out.append(at, static_cast<size_t>(digits.data() + digits.size() - at));
}

UInt128 Narrow(duckdb::uhugeint_t value) { return UInt128{value.upper} << 64 | value.lower; }
Int128 Narrow(duckdb::hugeint_t value) {
  return static_cast<Int128>(UInt128{static_cast<uint64_t>(value.upper)} << 64 | value.lower);
}
UInt128 Absolute(Int128 value) {
  return value < 0 ? -static_cast<UInt128>(value) : static_cast<UInt128>(value);
}

void AppendSigned(Int128 value, std::string& out) {
  if (value < 0) out.push_back('-');
  AppendUnsigned(Absolute(value), out);
}

void AppendDecimal(Int128 value, int scale, std::string& out) {
  if (value < 0) out.push_back('-');
  const size_t begin = out.size();
  AppendUnsigned(Absolute(value), out);
  if (scale == 0) return;
  const size_t wanted = static_cast<size_t>(scale) + 1;  // a zero before the point
  const size_t digits = out.size() - begin;
  if (digits < wanted) out.insert(begin, wanted - digits, '0');
  out.insert(out.size() - static_cast<size_t>(scale), 1, '.');
}

void AppendBase64(std::string_view bytes, std::string& out) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(bytes.size() - i, 3);
    uint32_t bits = 0;
    for (size_t b = 0; b < 3; ++b) {
      bits = bits << 8 | (b < left ? static_cast<uint8_t>(bytes[i + b]) : 0);
    }
    for (size_t d = 0; d < 4; ++d) {
      out.push_back(d <= left ? kDigits[bits >> (18 - 6 * d) & 63] : '=');
    }
  }
}

static int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

bool FromBase64(std::string_view text, std::string& bytes) {
  if (text.size() % 4 == 0 && text.ends_with('=')) {
    text.remove_suffix(text.ends_with("==") ? 2 : 1);
  }
  if (text.size() % 4 == 1) return false;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int digit = Base64Digit(c);
    if (digit < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes.push_back(static_cast<char>(bits >> held));
    }
  }
  return true;
}

void AppendHex(std::string_view bytes, std::string& out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : bytes) {
    out.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    out.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
}

static bool NeedsCsvQuotes(std::string_view text) {
  bool special = text.empty();
  for (const char c : text) special |= c == ',' || c == '"' || c == '\r' || c == '\n';
  return special;
}

void AppendCsvField(std::string_view text, std::string& out) {
  if (!NeedsCsvQuotes(text)) {
    out += text;
    return;
  }
  out.push_back('"');
  for (const char c : text) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
}

void QuoteCsvField(size_t begin, std::string& out) {
  if (!NeedsCsvQuotes(std::string_view(out).substr(begin))) return;
  const std::string text = out.substr(begin);
  out.resize(begin);
  AppendCsvField(text, out);
}

}  // namespace millrace::rows
