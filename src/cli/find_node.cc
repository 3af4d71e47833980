#include "cli/find_node.h"

#include <simdjson.h>

#include <cstdlib>

#include "base/files.h"

namespace millrace::cli {

namespace {

Result<net::HttpClient> NodeAt(const std::string& url, net::TlsTrust trust) {
  net::ClientOptions options;
  options.trust = std::move(trust);
  if (const char* token = std::getenv(kTokenVariable); token != nullptr && *token != '\0') {
    const std::string_view text(token);
    // Else it could end the header, and begin another one.
    if (text.find_first_of(" \r\n") != std::string_view::npos)
      return Error(Code::kInvalidArgument, "{} holds no token", kTokenVariable);
    options.headers.emplace_back("Authorization", "Bearer " + std::string(text));
  }
  return net::HttpClient::ForUrl(url, std::move(options));
}

std::string FromEnvironment(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

}  // namespace

Result<net::HttpClient> FindNode(const NodeFlags& flags) {
  const std::string url = flags.url.empty() ? FromEnvironment("MILLRACE_URL") : flags.url;
  if (url.empty()) {
    const auto noted = Files::System().ReadAll(std::string(".millrace/") + kAddressFile);
    return NodeOfNote(noted.ok() ? *noted : "127.0.0.1:8080");
  }
  return NodeAt(
      url, {flags.authorities.empty() ? FromEnvironment("MILLRACE_CA") : flags.authorities, {}});
}

std::string AddressNote(const net::Address& address, const std::string& fingerprint) {
  if (fingerprint.empty()) return net::ToString(address);
  return fmt::format("https://{} {}", net::ToString(address), fingerprint);
}

Result<net::HttpClient> NodeOfNote(const std::string& note) {
  const size_t space = note.find(' ');
  if (space == std::string::npos) return NodeAt("http://" + note, {});
  return NodeAt(note.substr(0, space), {{}, note.substr(space + 1)});
}

Error ErrorOfAnswer(const net::ClientAnswer& answer) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const simdjson::padded_string padded(answer.body);
  std::string_view message;
  if (parser.parse(padded).get(document) == simdjson::SUCCESS &&
      document["error"]["message"].get(message) == simdjson::SUCCESS) {
    const Code code = answer.status == 404   ? Code::kNotFound
                      : answer.status == 429 ? Code::kOverloaded
                      : answer.status == 503 ? Code::kUnavailable
                      : answer.status == 409 ? Code::kConflict
                      : answer.status >= 500 ? Code::kInternal
                                             : Code::kInvalidArgument;
    Error error(code, std::string(message));
    std::string_view text;
    SourcePosition position;
    int64_t number = 0;
    if (document["error"]["position"]["line"].get(number) == simdjson::SUCCESS) {
      position.line = static_cast<int>(number);
      if (document["error"]["position"]["column"].get(number) == simdjson::SUCCESS)
        position.column = static_cast<int>(number);
      if (document["error"]["position"]["text"].get(text) == simdjson::SUCCESS)
        position.line_text = text;
      if (document["error"]["position"]["file"].get(text) == simdjson::SUCCESS)
        position.file = text;
      error = std::move(error).At(std::move(position));
    }
    if (document["error"]["hint"].get(text) == simdjson::SUCCESS)
      error = std::move(error).Hint(std::string(text));
    return error;
  }
  return Error(Code::kInternal, "the node answered {}: {}", answer.status,
               answer.body.substr(0, 500));
}

std::string PercentEncoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
        c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

}  // namespace millrace::cli
