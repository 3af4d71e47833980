#include "http/websocket.h"

#include <array>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"

namespace millrace::http {
namespace {

// A client that only listens sends short frames, and there are many clients.
constexpr size_t kReadBytes = 512;
// For the client's close frame.
constexpr std::chrono::milliseconds kCloseTimeMax{2'000};
// A cancellation that meets bytes that have just come is lost: then again.
constexpr std::chrono::milliseconds kCancelAgain{10};

}  // namespace

asio::awaitable<Status> WebSocket::Begin(WebSocketHandshake handshake) {
  exchange_.AddHeader("Sec-WebSocket-Accept", handshake.accept);
  if (!handshake.protocol.empty())
    exchange_.AddHeader("Sec-WebSocket-Protocol", handshake.protocol);
  const Status sent = co_await exchange_.Upgrade("websocket");
  if (!sent.ok()) co_return sent;
  reading_ = true;
  exchange_.Spawn(ReadUntilTheEnd());
  co_return sent;
}

asio::awaitable<Status> WebSocket::Send(FrameKind kind, bool last, std::string_view payload) {
  const std::string head = FrameHead(kind, last, payload.size());
  co_return co_await exchange_.SendUpgraded(head, payload);
}

asio::awaitable<Status> WebSocket::Ping() {
  if (!unanswered_since_) unanswered_since_ = Tick();
  return Send(FrameKind::kPing, /*last=*/true, {});
}

void WebSocket::WhenInput(std::function<void()> wake) {
  wake_ = std::move(wake);
  if (has_input()) Wake();
}

void WebSocket::Wake() {
  if (const auto wake = std::exchange(wake_, nullptr)) wake();
}

asio::awaitable<bool> WebSocket::Attend() {
  if (pong_) {
    const std::string payload = *std::exchange(pong_, std::nullopt);
    const Status sent = co_await Send(FrameKind::kPong, /*last=*/true, payload);
    if (!sent.ok()) co_return false;
  }
  if (reading_) co_return true;
  if (closed_) {
    // Its code comes back to it (section 5.5.1).
    co_await SendClose(closed_->substr(0, 2));
  } else if (violation_) {
    co_await SendClose(ClosePayload(violation_->code, violation_->reason));
  } else {
    exchange_.BreakStream();
  }
  co_return false;
}

asio::awaitable<void> WebSocket::SendClose(std::string payload) {
  const Status sent = co_await Send(FrameKind::kClose, /*last=*/true, payload);
  if (!sent.ok()) exchange_.BreakStream();
}

asio::awaitable<void> WebSocket::Close(CloseCode code, std::string_view reason) {
  closing_ = true;
  co_await SendClose(ClosePayload(code, reason));
  if (!reading_ || exchange_.gone()) co_return;
  // No wait that ends as soon as the server begins to stop: that is why most are closed.
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, kCloseTimeMax);
  wake_ = [&timer] { timer.cancel(); };
  ErrorCode woken;  // by the end
  co_await timer.async_wait(WithError(woken));
  wake_ = nullptr;
}

asio::awaitable<void> WebSocket::End() {
  wake_ = nullptr;
  ending_ = true;
  while (reading_) {
    exchange_.CancelUpgraded();
    co_await exchange_.Sleep(kCancelAgain);
  }
}

asio::awaitable<void> WebSocket::ReadUntilTheEnd() {
  try {
    co_await Read();
  } catch (const std::exception& error) {  // out of memory
    LOG_ERROR("a WebSocket cannot be read", "id={} error=\"{}\"", exchange_.request_id(),
              error.what());
  }
  reading_ = false;
  Wake();
}

asio::awaitable<void> WebSocket::Read() {
  std::array<char, kReadBytes> buffer;
  while (!ending_) {
    const size_t got = co_await exchange_.ReceiveUpgraded(buffer.data(), buffer.size());
    if (got == 0) co_return;
    unanswered_since_.reset();
    frames_.Add({buffer.data(), got});
    if (!Take()) co_return;
    if (pong_) Wake();
  }
}

bool WebSocket::Take() {
  while (true) {
    ClientFrames::Read read = frames_.Next();
    if (std::holds_alternative<std::monostate>(read)) return true;
    if (const auto* violation = std::get_if<ClientFrames::Violation>(&read)) {
      violation_ = *violation;
      return false;
    }
    auto& message = std::get<ClientFrames::Message>(read);
    switch (message.kind) {
      case FrameKind::kPong:
        break;
      case FrameKind::kPing:
        // Of several the last (section 5.5.3), and none after a close.
        if (!closing_) pong_ = std::move(message.payload);
        break;
      case FrameKind::kClose:
        closed_ = std::move(message.payload);
        return false;
      default:
        violation_ = {CloseCode::kUnsupportedData, "no messages are taken here"};
        return false;
    }
  }
}

}  // namespace millrace::http
