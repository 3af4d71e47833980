#include "http/head_parser.h"

#include <charconv>

#include "http/text.h"

namespace millrace::http {
namespace {

// tchar of RFC 9110, section 5.6.2.
constexpr std::array<bool, 256> TokenTable() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kToken = TokenTable();

bool IsToken(std::string_view text) {
  for (const char c : text) {
    if (!kToken[static_cast<unsigned char>(c)]) return false;
  }
  return !text.empty();
}

ParsedHead Refuse(int status, std::string_view reason) {
  return {ParsedHead::State::kRefused, 0, status, reason};
}

// Whether a comma-separated list holds the token.
bool ListHas(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    if (EqualFolded(NextPart(list, ','), token)) return true;
  }
  return false;
}

constexpr ParsedHead kGood{ParsedHead::State::kComplete, 0, 0, {}};

ParsedHead ParseRequestLine(std::string_view line, RequestHead& head) {
  const size_t method_end = line.find(' ');
  if (method_end == std::string_view::npos) return Refuse(400, "the request line is malformed");
  head.method = line.substr(0, method_end);
  if (!IsToken(head.method)) return Refuse(400, "the method is malformed");
  const size_t target_end = line.find(' ', method_end + 1);
  if (target_end == std::string_view::npos) return Refuse(400, "the request line is malformed");
  std::string_view target = line.substr(method_end + 1, target_end - method_end - 1);
  if (target.size() > kTargetBytesMax)
    return Refuse(414, "the request target is longer than 8 KiB");
  const std::string_view version = line.substr(target_end + 1);
  if (version == "HTTP/1.1") {
    head.minor_version = 1;
  } else if (version == "HTTP/1.0") {
    head.minor_version = 0;
  } else if (version.starts_with("HTTP/")) {
    return Refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  } else {
    return Refuse(400, "the request line is malformed");
  }
  for (const char c : target) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
      return Refuse(400, "the request target is malformed");
  }
  if (target.starts_with("http://") || target.starts_with("https://")) {  // the form for proxies
    const size_t authority = target.find("//") + 2;
    const size_t path = target.find('/', authority);
    target = path == std::string_view::npos ? std::string_view("/") : target.substr(path);
  }
  if (target.empty() || (target.front() != '/' && !(target == "*" && head.method == "OPTIONS"))) {
    return Refuse(400, "the request target must begin with /");
  }
  target = target.substr(0, target.find('#'));
  const size_t question = target.find('?');
  head.path = target.substr(0, question);
  head.query =
      question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
  return kGood;
}

// What one field means for the framing of the message.
ParsedHead Interpret(const RequestHead::Field& field, RequestHead& head, int& hosts) {
  const auto& [name, value] = field;
  switch (name.size()) {
    case 4:
      if (EqualFolded(name, "host")) ++hosts;
      break;
    case 6:
      if (!EqualFolded(name, "expect")) break;
      if (!EqualFolded(value, "100-continue"))
        return Refuse(417, "only Expect: 100-continue is understood");
      head.expects_continue = head.minor_version == 1;
      break;
    case 10:
      if (!EqualFolded(name, "connection")) break;
      if (ListHas(value, "close")) head.keep_alive = false;
      if (head.minor_version == 0 && ListHas(value, "keep-alive")) head.keep_alive = true;
      break;
    case 14: {
      if (!EqualFolded(name, "content-length")) break;
      uint64_t length = 0;
      const auto parsed = std::from_chars(value.data(), value.data() + value.size(), length);
      if (value.empty() || parsed.ec != std::errc() || parsed.ptr != value.data() + value.size()) {
        return Refuse(400, "Content-Length is not a number");
      }
      if (head.content_length) return Refuse(400, "Content-Length stands twice");
      head.content_length = length;
      break;
    }
    case 17:
      if (!EqualFolded(name, "transfer-encoding")) break;
      if (!EqualFolded(value, "chunked"))
        return Refuse(501, "only Transfer-Encoding: chunked is understood");
      if (head.chunked) return Refuse(400, "Transfer-Encoding stands twice");
      if (head.minor_version == 0) return Refuse(400, "HTTP/1.0 has no Transfer-Encoding");
      head.chunked = true;
      break;
    default:
      break;
  }
  return kGood;
}

}  // namespace

std::optional<std::string_view> RequestHead::Get(std::string_view name) const {
  for (size_t i = 0; i < field_count; ++i) {
    if (EqualFolded(fields[i].name, name)) return fields[i].value;
  }
  return std::nullopt;
}

ParsedHead ParseHead(std::string_view bytes, RequestHead& head) {
  size_t skipped = 0;
  while (bytes.substr(skipped).starts_with("\r\n")) skipped += 2;  // RFC 9112, section 2.2
  const std::string_view rest = bytes.substr(skipped);
  if (rest.empty() || rest == "\r") {
    if (skipped > kHeadBytesMax) return Refuse(400, "nothing but empty lines");
    return {};
  }
  if (!kToken[static_cast<unsigned char>(rest.front())]) return Refuse(400, "this is not HTTP");
  const size_t end = rest.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (rest.size() >= kHeadBytesMax) {
      if (rest.find("\r\n") == std::string_view::npos)
        return Refuse(414, "the request line is too long");
      return Refuse(431, "the request head is longer than 16 KiB");
    }
    return {};
  }
  if (end + 4 > kHeadBytesMax) return Refuse(431, "the request head is longer than 16 KiB");

  head.keep_alive = true;
  head.chunked = false;
  head.expects_continue = false;
  head.content_length.reset();
  head.field_count = 0;

  std::string_view lines = rest.substr(0, end + 2);  // every line ends in CRLF
  size_t line_end = lines.find("\r\n");
  const ParsedHead first = ParseRequestLine(lines.substr(0, line_end), head);
  if (first.state == ParsedHead::State::kRefused) return first;
  if (head.minor_version == 0) head.keep_alive = false;
  lines.remove_prefix(line_end + 2);

  int hosts = 0;
  while (!lines.empty()) {
    line_end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, line_end);
    lines.remove_prefix(line_end + 2);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return Refuse(400, "a header line has no colon");
    RequestHead::Field field{line.substr(0, colon), Trim(line.substr(colon + 1))};
    if (!IsToken(field.name)) return Refuse(400, "a header name is malformed");
    for (const char c : field.value) {
      if ((static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f) {
        return Refuse(400, "a header value holds a control character");
      }
    }
    if (head.field_count == kFieldsMax) return Refuse(431, "more than 100 header lines");
    head.fields[head.field_count++] = field;
    const ParsedHead meaning = Interpret(field, head, hosts);
    if (meaning.state == ParsedHead::State::kRefused) return meaning;
  }
  if (hosts > 1 || (hosts == 0 && head.minor_version == 1)) {
    return Refuse(400, "the header Host must stand exactly once");
  }
  if (head.chunked && head.content_length) {
    return Refuse(400, "Content-Length and Transfer-Encoding exclude each other");
  }
  return {ParsedHead::State::kComplete, skipped + end + 4, 0, {}};
}

}  // namespace millrace::http
