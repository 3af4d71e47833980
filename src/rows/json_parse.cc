#include "rows/json_parse.h"

#include <simdjson.h>

#include <cstdint>

#include "rows/json_text.h"
#include "rows/number.h"

namespace millrace::rows {
namespace {

bool IsOfNumber(char c) {
  return IsDigit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

// A number that neither 64 bits nor a double hold.
bool IsLongNumber(std::string_view text) {
  if (!IsJsonNumber(text)) return false;
  if (text.find_first_of(".eE") != std::string_view::npos) {
    double value = 0;
    return ParseFloat(text, value) == Parsed::kRange;
  }
  Int128 value = 0;
  const Int128 max = text.front() == '-' ? Int128{INT64_MAX} : Int128{UINT64_MAX};
  return ParseInteger(text, INT64_MIN, max, value) == Parsed::kRange;
}

// REQUIRES: outside strings, a digit or minus begins a number, as in all JSON.
std::string WithLongNumbersQuoted(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 64);
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string && c == '\\' && i + 1 < text.size()) {
      out.append(text.substr(i, 2));
      i += 2;
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (in_string || (!IsDigit(c) && c != '-')) {
      out += c;
      ++i;
      continue;
    }
    size_t end = i + 1;
    while (end < text.size() && IsOfNumber(text[end])) ++end;
    const std::string_view number = text.substr(i, end - i);
    const std::string_view quote = IsLongNumber(number) ? "\"" : "";
    out.append(quote).append(number).append(quote);
    i = end;
  }
  return out;
}

}  // namespace

Status ParseJson(std::string_view text, simdjson::dom::parser& parser,
                 simdjson::dom::element& root) {
  if (text.data() == nullptr) text = "";  // which the parser copies
  simdjson::error_code failed = parser.parse(text.data(), text.size()).get(root);
  if (failed == simdjson::NUMBER_ERROR) {
    const std::string quoted = WithLongNumbersQuoted(text);
    failed = parser.parse(quoted.data(), quoted.size()).get(root);
  }
  if (failed != simdjson::SUCCESS)
    return Error(Code::kInvalidArgument, "{}", simdjson::error_message(failed));
  return Ok();
}

}  // namespace millrace::rows
