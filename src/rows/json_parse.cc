#include "rows/json_parse.h"

#include <simdjson.h>

#include <charconv>
#include <cstdint>
#include <system_error>

#include "rows/json_text.h"

namespace millrace::rows {
namespace {

bool IsNumberSign(char c) { return c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'; }

template <typename Integer>
bool IsOutside(std::string_view digits) {
  Integer value{};
  return std::from_chars(digits.data(), digits.data() + digits.size(), value).ec ==
         std::errc::result_out_of_range;
}

// REQUIRES: `digits` is not empty, and all digits but for a minus before them.
bool IsLongInteger(std::string_view digits) {
  if (digits.front() == '-') return digits[1] != '0' && IsOutside<int64_t>(digits);
  return digits.front() != '0' && IsOutside<uint64_t>(digits);
}

// REQUIRES: outside strings, a digit or minus begins a number, as in all JSON.
std::string WithLongIntegersQuoted(std::string_view text) {
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
    while (end < text.size() && IsDigit(text[end])) ++end;
    size_t whole = end;  // behind the fraction and the exponent
    while (whole < text.size() && (IsDigit(text[whole]) || IsNumberSign(text[whole]))) ++whole;
    const std::string_view number = text.substr(i, whole - i);
    if (whole == end && number != "-" && IsLongInteger(number)) {
      out.append("\"").append(number).append("\"");
    } else {
      out.append(number);
    }
    i = whole;
  }
  return out;
}

}  // namespace

Status ParseJson(std::string_view text, simdjson::dom::parser& parser,
                 simdjson::dom::element& root) {
  if (text.data() == nullptr) text = "";  // which the parser copies
  simdjson::error_code failed = parser.parse(text.data(), text.size()).get(root);
  if (failed == simdjson::NUMBER_ERROR) {
    const std::string quoted = WithLongIntegersQuoted(text);
    failed = parser.parse(quoted.data(), quoted.size()).get(root);
  }
  if (failed != simdjson::SUCCESS)
    return Error(Code::kInvalidArgument, "{}", simdjson::error_message(failed));
  return Ok();
}

}  // namespace millrace::rows
