#include "rows/json_text.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <iterator>

#include "rows/number.h"

namespace millrace::rows {
namespace {

constexpr size_t kShownBytesMax = 64;

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

class Checker {
 public:
  explicit Checker(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  bool Value(int depth) {
    Space();
    if (at_ == end_ || depth > kJsonDepthMax) return false;
    switch (*at_) {
      case '{':
        return Members('}', /*keys=*/true, depth);
      case '[':
        return Members(']', /*keys=*/false, depth);
      case '"':
        return String();
      case 't':
        return Word("true");
      case 'f':
        return Word("false");
      case 'n':
        return Word("null");
      default:
        return Number();
    }
  }
  bool AtEnd() {
    Space();
    return at_ == end_;
  }

 private:
  void Space() {
    while (at_ != end_ && IsSpace(*at_)) ++at_;
  }
  bool Take(char c) {
    Space();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool Word(std::string_view word) {
    if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  bool Number() {
    const char* begin = at_;
    while (at_ != end_ && !IsSpace(*at_) && *at_ != ',' && *at_ != '}' && *at_ != ']') ++at_;
    return IsJsonNumber(std::string_view(begin, static_cast<size_t>(at_ - begin)));
  }
  bool String() {
    for (++at_; at_ != end_; ++at_) {
      if (*at_ == '"') {
        ++at_;
        return true;
      }
      if (*at_ == '\\' && !Escape()) return false;
    }
    return false;
  }
  // Stands on the backslash; leaves `at_` on the escape's last character.
  bool Escape() {
    if (++at_ == end_) return false;
    if (*at_ != 'u') return std::string_view("\"\\/bfnrt").find(*at_) != std::string_view::npos;
    for (int i = 0; i < 4; ++i) {
      if (++at_ == end_ || !IsHex(*at_)) return false;
    }
    return true;
  }
  bool Members(char close, bool keys, int depth) {
    ++at_;
    if (Take(close)) return true;
    do {
      if (keys) {
        Space();
        if (at_ == end_ || *at_ != '"' || !String() || !Take(':')) return false;
      }
      if (!Value(depth + 1)) return false;
    } while (Take(','));
    return Take(close);
  }

  const char* at_;
  const char* end_;
};

}  // namespace

bool IsJsonValue(std::string_view text) {
  Checker checker(text);
  return checker.Value(0) && checker.AtEnd();
}

std::string_view TrimJson(std::string_view text) {
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  return text;
}

std::string Shortened(std::string_view text) {
  if (text.size() <= kShownBytesMax) return std::string(text);
  size_t size = kShownBytesMax;
  while (size > 0 && (static_cast<uint8_t>(text[size]) & 0xc0) == 0x80) --size;
  return std::string(text.substr(0, size)) + "…";
}

void AppendJsonString(std::string_view text, std::string& out) {
  out.push_back('"');
  size_t done = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, done, i - done);
    done = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    }
  }
  out.append(text, done);
  out.push_back('"');
}

bool AppendJsonOnOneLine(std::string_view text, std::string& out) {
  if (!IsJsonValue(text)) return false;
  bool inside = false;  // a string
  bool escaped = false;
  for (const char c : text) {
    const bool control = static_cast<uint8_t>(c) < 0x20;
    if (control && inside) return false;
    out.push_back(control ? ' ' : c);
    if (escaped) {
      escaped = false;
    } else if (c == '\\') {
      escaped = true;
    } else if (c == '"') {
      inside = !inside;
    }
  }
  return true;
}

}  // namespace millrace::rows
