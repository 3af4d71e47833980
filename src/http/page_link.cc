#include "http/page_link.h"

#include <algorithm>

#include "auth/crypto.h"
#include "http/text.h"

namespace millrace::http {
namespace {

constexpr std::string_view kCursor = "cursor";

}  // namespace

std::string CursorText(std::string_view bytes) {
  std::string text = auth::Base64(bytes);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  text.erase(std::min(text.find('='), text.size()));
  return text;
}

Result<std::string> CursorBytes(std::string_view text) {
  std::string padded(text);
  const Error wrong(Code::kInvalidArgument, "the cursor is no text that was given as one");
  if (padded.find_first_of("+/=") != std::string::npos) return wrong;
  std::replace(padded.begin(), padded.end(), '-', '+');
  std::replace(padded.begin(), padded.end(), '_', '/');
  padded.append((4 - padded.size() % 4) % 4, '=');
  auto bytes = auth::FromBase64(padded);
  if (!bytes.ok()) return wrong;
  return bytes;
}

std::string NextLink(const RequestHead& head, std::string_view cursor_text) {
  std::string target(head.path);
  char separator = '?';
  std::string_view query = head.query;
  while (!query.empty()) {
    const std::string_view part = NextPart(query, '&');
    if (part.empty() || part.substr(0, part.find('=')) == kCursor) continue;
    target += separator;
    target += part;
    separator = '&';
  }
  return fmt::format("<{}{}{}={}>; rel=\"next\"", target, separator, kCursor, cursor_text);
}

}  // namespace millrace::http
