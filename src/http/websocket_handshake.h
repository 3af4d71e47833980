// The opening handshake of the WebSocket protocol (RFC 6455, section 4.2) as requests have it. Pure
// functions, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/head_parser.h"

namespace millrace::http {

// The subprotocol of live answers. A client that names any must name this one: browsers want one of
// those that they offered back.
inline constexpr std::string_view kLiveProtocol = "millrace.live.v1";
// What stands before a token where a client that cannot send Authorization, a browser, offers the
// token as a subprotocol.
inline constexpr std::string_view kTokenProtocol = "bearer.";

// Whether the request asks to go on in the WebSocket protocol.
bool WantsWebSocket(const RequestHead& head);

struct WebSocketHandshake {
  std::string accept;    // Sec-WebSocket-Accept
  std::string protocol;  // Sec-WebSocket-Protocol; empty: the client offered none
};
// kNotSupported: another version than kWebSocketVersion (426). kInvalidArgument (400): what else is
// wrong. REQUIRES: WantsWebSocket(head).
Result<WebSocketHandshake> CheckHandshake(const RequestHead& head);
inline constexpr std::string_view kWebSocketVersion = "13";

// The token among the subprotocols that the client offers; nullopt: there is none, or it is no such
// request.
std::optional<std::string_view> OfferedToken(const RequestHead& head);

// Whether the page that opens the connection comes from the host that it goes to: browsers send
// `Origin`, and hold pages of other sites back from nothing here by themselves. True for clients
// without the header, which are no browsers.
bool IsSameOrigin(const RequestHead& head);

}  // namespace millrace::http
