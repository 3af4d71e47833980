#include "http/cors.h"

#include <algorithm>

#include "http/text.h"

namespace millrace::http {
namespace {

// Every header that this interface's answers have beside those that pages may read anyway.
constexpr std::string_view kExposed =
    "Allow, ETag, Link, Location, Retry-After, WWW-Authenticate, X-Data-Timestamp, "
    "X-Millrace-Process, X-Millrace-Step, X-Millrace-Token, X-Request-Id";
constexpr std::string_view kMethods = "GET, HEAD, POST, PUT, DELETE";
// Every header of requests that means something here.
constexpr std::string_view kHeaders =
    "Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, Idempotency-Scope, "
    "If-Match, If-None-Match, Last-Event-ID, X-Request-Id";
// For how long a browser need not ask again. The setting changes with the process only.
constexpr int kMaxAgeSeconds = 600;

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = LowerAscii(c);
  return out;
}

// "scheme://host" or "scheme://host:port", as browsers send it: no path, no user, no "null".
bool IsOrigin(std::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme != 4 && scheme != 5) return false;
  if (text.substr(0, scheme) != "http" && text.substr(0, scheme) != "https") return false;
  std::string_view host = text.substr(scheme + 3);
  const size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.back() != ']') {
    const std::string_view port = host.substr(colon + 1);
    if (port.empty() || port.size() > 5 ||
        port.find_first_not_of("0123456789") != std::string_view::npos)
      return false;
    host = host.substr(0, colon);
  }
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '[' ||
           c == ']' || c == ':';
  });
}

}  // namespace

Result<Cors> Cors::Parse(std::string_view text) {
  Cors cors;
  if (text == "none") return cors;
  if (text == "*") {
    cors.any_ = true;
    return cors;
  }
  do {
    std::string origin = Lower(NextPart(text, ','));
    if (!IsOrigin(origin)) {
      return Error(Code::kInvalidArgument, "{} is no origin", Quoted(origin))
          .Hint(
              "write https://app.example, several as https://a.example,http://localhost:5173; "
              "* for all; or none");
    }
    cors.origins_.push_back(std::move(origin));
  } while (!text.empty());
  return cors;
}

bool Cors::Allows(std::string_view origin) const {
  return any_ || std::any_of(origins_.begin(), origins_.end(), [&](const std::string& allowed) {
           return EqualFolded(allowed, origin);
         });
}

std::string Cors::HeaderLines(const RequestHead& head) const {
  if (!any_ && origins_.empty()) return {};
  // Caches must not give one origin what was said to another.
  std::string lines = any_ ? "" : "Vary: Origin\r\n";
  const auto origin = head.Get("origin");
  if (!origin || !Allows(*origin)) return lines;
  return lines +
         fmt::format("Access-Control-Allow-Origin: {}\r\nAccess-Control-Expose-Headers: {}\r\n",
                     any_ ? std::string_view("*") : *origin, kExposed);
}

std::string Cors::PreflightLines(const RequestHead& head) const {
  if (!IsPreflight(head) || !Allows(*head.Get("origin"))) return {};
  return fmt::format(
      "Access-Control-Allow-Methods: {}\r\nAccess-Control-Allow-Headers: {}\r\n"
      "Access-Control-Max-Age: {}\r\n",
      kMethods, kHeaders, kMaxAgeSeconds);
}

bool IsPreflight(const RequestHead& head) {
  return head.method == "OPTIONS" && head.Get("origin") &&
         head.Get("access-control-request-method");
}

}  // namespace millrace::http
