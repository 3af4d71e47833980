// Live answers as messages of a WebSocket: each event is a text message that holds a JSON object.
#include <algorithm>

#include "base/clock.h"
#include "http/access.h"
#include "http/live_channel.h"
#include "http/problem.h"
#include "http/websocket.h"

namespace millrace::http {
namespace {

// A message up to its data.
std::string MessageHead(std::string_view event, const EventId& id) {
  return fmt::format(R"({{"event": "{}", "id": "{}", "data": )", event, ToString(id));
}
constexpr std::string_view kMessageTail = "}";
// A client from which nothing has come for so long after a ping is gone.
constexpr int kSilentHeartbeatsMax = 4;

class WebSocketChannel final : public LiveChannel {
 public:
  WebSocketChannel(Exchange& exchange, const LiveOptions& options)
      : exchange_(exchange), options_(options), socket_(exchange) {
    exchange_.BeginWatch();
  }

  asio::awaitable<Status> Begin() override {
    auto handshake = CheckHandshake(exchange_.head());
    if (!handshake.ok()) co_return std::move(handshake).error();
    exchange_.EndWatch();  // the socket reads from here on
    next_ping_ = Tick() + options_.heartbeat;
    co_return co_await socket_.Begin(std::move(*handshake));
  }

  asio::awaitable<Status> SendContent(std::shared_ptr<const LiveContent> content) override {
    std::string head = MessageHead("snapshot", content->id());
    SnapshotWriter writer(std::move(content), std::move(head), ",\n", kMessageTail);
    Status sent = Ok();
    for (FrameKind kind = FrameKind::kText; sent.ok() && !writer.ended();
         kind = FrameKind::kContinuation) {
      const std::string piece = writer.Next();
      sent = co_await socket_.Send(kind, writer.ended(), piece);
    }
    co_return sent;
  }

  asio::awaitable<Status> SendChange(std::shared_ptr<const LiveChange> change) override {
    std::string text = MessageHead("change", change->after);
    text += change->data;
    text += kMessageTail;
    co_return co_await socket_.Send(FrameKind::kText, /*last=*/true, text);
  }

  asio::awaitable<void> EndWith(Error error, int status) override {
    const std::string text =
        fmt::format(R"({{"event": "error", "data": {}}})", ErrorBody(error, status));
    const Status sent = co_await socket_.Send(FrameKind::kText, /*last=*/true, text);
    if (!sent.ok()) co_return;
    const CloseCode code = status == kSignedOut ? CloseCode::kPolicy : CloseCode::kInternal;
    co_await socket_.Close(code, error.message());
  }
  asio::awaitable<void> EndAtStop() override {
    return socket_.Close(CloseCode::kGoingAway, "the node is stopping");
  }

  std::chrono::milliseconds UntilHeartbeat() const override {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_ping_ - Tick());
    return std::max(left, std::chrono::milliseconds(0));
  }
  asio::awaitable<Status> Heartbeat() override {
    if (Tick() < next_ping_) co_return Ok();
    const auto since = socket_.unanswered_since();
    if (since && Tick() - *since >= kSilentHeartbeatsMax * options_.heartbeat)
      co_return Error(Code::kTimeout, "the client answers no ping");
    next_ping_ = Tick() + options_.heartbeat;
    co_return co_await socket_.Ping();
  }

  void WhenHeard(std::function<void()> wake) override { socket_.WhenInput(std::move(wake)); }
  bool heard() const override { return socket_.has_input(); }
  asio::awaitable<bool> Attend() override { return socket_.Attend(); }
  asio::awaitable<void> Release() override {
    co_await socket_.End();
    exchange_.EndWatch();
  }

 private:
  Exchange& exchange_;
  const LiveOptions& options_;
  WebSocket socket_;
  std::chrono::steady_clock::time_point next_ping_;
};

}  // namespace

std::unique_ptr<LiveChannel> MakeWebSocketChannel(Exchange& exchange, const LiveOptions& options) {
  return std::make_unique<WebSocketChannel>(exchange, options);
}

}  // namespace millrace::http
