#include "http/websocket_handshake.h"

#include <openssl/evp.h>

#include "auth/crypto.h"
#include "base/check.h"
#include "http/text.h"

namespace millrace::http {
namespace {

constexpr std::string_view kKeySuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // section 1.3
constexpr size_t kKeyBytes = 16;
constexpr size_t kSha1Bytes = 20;

// Calls `take` for each part of all fields of this name, until it says true.
template <typename Take>
bool AnyPart(const RequestHead& head, std::string_view name, const Take& take) {
  for (size_t i = 0; i < head.field_count; ++i) {
    if (!EqualFolded(head.fields[i].name, name)) continue;
    std::string_view list = head.fields[i].value;
    while (!list.empty()) {
      if (take(NextPart(list, ','))) return true;
    }
  }
  return false;
}

bool Names(const RequestHead& head, std::string_view field, std::string_view word) {
  return AnyPart(head, field, [&](std::string_view part) { return EqualFolded(part, word); });
}

std::string AcceptOf(std::string_view key) {
  const std::string text = std::string(key) + std::string(kKeySuffix);
  std::string digest(kSha1Bytes, '\0');
  unsigned int size = 0;
  // SHA-1 proves here that the server knows the protocol, no more.
  CHECK(EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                   EVP_sha1(), nullptr) == 1 &&
        size == kSha1Bytes);
  return auth::Base64(digest);
}

Error BadHandshake(std::string_view what) {
  return Error(Code::kInvalidArgument, "this is no WebSocket handshake: {}", what)
      .Hint("RFC 6455, section 4.1");
}

}  // namespace

bool WantsWebSocket(const RequestHead& head) {
  return head.method == "GET" && head.minor_version == 1 && Names(head, "upgrade", "websocket") &&
         Names(head, "connection", "upgrade");
}

Result<WebSocketHandshake> CheckHandshake(const RequestHead& head) {
  if (head.Get("sec-websocket-version") != kWebSocketVersion) {
    return Error(Code::kNotSupported, "Sec-WebSocket-Version must be {}", kWebSocketVersion);
  }
  const auto key = head.Get("sec-websocket-key");
  const auto bytes = auth::FromBase64(key.value_or(std::string_view()));
  if (!bytes.ok() || bytes->size() != kKeyBytes)
    return BadHandshake("Sec-WebSocket-Key must be 16 bytes in base64");
  if (head.has_body()) return BadHandshake("it has a body");
  WebSocketHandshake handshake{AcceptOf(*key), {}};
  if (Names(head, "sec-websocket-protocol", kLiveProtocol)) {
    handshake.protocol = kLiveProtocol;
  } else if (head.Get("sec-websocket-protocol")) {
    return Error(Code::kInvalidArgument, "none of the offered subprotocols is spoken here")
        .Hint(fmt::format("offer {}, with {}TOKEN beside it to sign in", kLiveProtocol,
                          kTokenProtocol));
  }
  return handshake;
}

std::optional<std::string_view> OfferedToken(const RequestHead& head) {
  std::optional<std::string_view> token;
  if (!WantsWebSocket(head)) return token;
  AnyPart(head, "sec-websocket-protocol", [&](std::string_view part) {
    if (part.starts_with(kTokenProtocol)) token = part.substr(kTokenProtocol.size());
    return token.has_value();
  });
  return token;
}

bool IsSameOrigin(const RequestHead& head) {
  const auto origin = head.Get("origin");
  if (!origin) return true;
  const size_t scheme = origin->find("://");
  // The scheme may be another one: TLS can end at a proxy before this node.
  return scheme != std::string_view::npos &&
         EqualFolded(origin->substr(scheme + 3), head.Get("host").value_or(std::string_view()));
}

}  // namespace millrace::http
