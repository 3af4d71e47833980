// A WebSocket is a connection after its upgrade (RFC 6455), for a server that pushes: the client
// may ping, answer pings and close, and is refused when it sends a message.
//
//   WebSocket socket(exchange);
//   co_await socket.Begin(handshake);
//   … Send, Ping, Attend, Close …
//   co_await socket.End();               // always, before it is destroyed
//
// Lives on the I/O thread of its exchange. A coroutine of its own reads what the client sends from
// Begin to End; everything is written by the caller's.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/exchange.h"
#include "http/websocket_frame.h"
#include "http/websocket_handshake.h"

namespace millrace::http {

class WebSocket {
 public:
  explicit WebSocket(Exchange& exchange) : exchange_(exchange), frames_(kMessageBytesMax) {}
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  // Answers 101. REQUIRES: the exchange is not answered.
  asio::awaitable<Status> Begin(WebSocketHandshake handshake);

  // A frame of a message. Waits while the client is slow to take it; its error means that the
  // client has gone.
  asio::awaitable<Status> Send(FrameKind kind, bool last, std::string_view payload);
  asio::awaitable<Status> Ping();
  // When the first of the pings was sent since which nothing has come of the client.
  std::optional<std::chrono::steady_clock::time_point> unanswered_since() const {
    return unanswered_since_;
  }

  // Whether Attend has something to do.
  bool has_input() const { return pong_ || !reading_; }
  // Calls `wake`, which must outlive the wait, once there is; maybe at once. Empty: never.
  void WhenInput(std::function<void()> wake);
  // Answers pings, and the client's close or violation with a close. False: it is over.
  asio::awaitable<bool> Attend();
  // Says why it ends, and gives the client a moment to say that it has understood.
  asio::awaitable<void> Close(CloseCode code, std::string_view reason);
  asio::awaitable<void> End();

 private:
  // Of a message that is refused in any case, once it has come as a whole.
  static constexpr size_t kMessageBytesMax = 64 * 1024;

  asio::awaitable<void> ReadUntilTheEnd();
  asio::awaitable<void> Read();
  bool Take();  // what the frames hold; false: there is nothing to read any more
  asio::awaitable<void> SendClose(std::string payload);
  void Wake();

  Exchange& exchange_;
  ClientFrames frames_;
  std::function<void()> wake_;
  std::optional<std::string> pong_;  // the payload of a ping that is not answered
  std::optional<std::chrono::steady_clock::time_point> unanswered_since_;
  // How the client ended it, or must be told that it did; neither, where it has just gone.
  std::optional<std::string> closed_;  // the payload of its close frame
  std::optional<ClientFrames::Violation> violation_;
  bool reading_ = false;
  bool closing_ = false;  // nothing more is answered
  bool ending_ = false;   // nor read
};

}  // namespace millrace::http
