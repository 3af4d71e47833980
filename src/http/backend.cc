#include "http/backend.h"

namespace millrace::http {

std::string BlankBefore(std::string_view text, size_t begin, size_t end) {
  std::string out;
  out.reserve(end);
  for (const char c : text.substr(0, begin)) {
    const bool continues_character = (static_cast<unsigned char>(c) & 0xc0) == 0x80;
    if (c == '\n') {
      out += c;
    } else if (!continues_character) {
      out += ' ';
    }
  }
  out += text.substr(begin, end - begin);
  return out;
}

}  // namespace millrace::http
