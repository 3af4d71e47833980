// Live answers as Server-Sent Events.
#include "http/live_channel.h"
#include "http/negotiation.h"
#include "http/problem.h"
#include "http/text.h"

namespace millrace::http {
namespace {

class EventStreamChannel final : public LiveChannel {
 public:
  EventStreamChannel(Exchange& exchange, const LiveOptions& options)
      : exchange_(exchange), options_(options) {
    exchange_.BeginWatch();
  }

  asio::awaitable<Status> Begin() override {
    exchange_.AddHeader("Cache-Control", "no-cache");
    exchange_.AddHeader("Vary", "Accept");
    exchange_.AddHeader("X-Accel-Buffering", "no");
    Status sent = co_await exchange_.BeginStream(200, kEventStream);
    if (sent.ok()) sent = co_await exchange_.Write(RetryText(options_.retry));
    co_return sent;
  }

  asio::awaitable<Status> SendContent(std::shared_ptr<const LiveContent> content) override {
    SnapshotWriter writer = SnapshotEvent(std::move(content));
    Status sent = Ok();
    for (std::string piece = writer.Next(); sent.ok() && !piece.empty(); piece = writer.Next())
      sent = co_await exchange_.Write(piece);
    co_return sent;
  }

  asio::awaitable<Status> SendChange(std::shared_ptr<const LiveChange> change) override {
    const std::string text = EventText("change", ToString(change->after), change->data);
    co_return co_await exchange_.Write(text);
  }

  asio::awaitable<void> EndWith(Error error, int status) override {
    return End(EventText("error", "", Trim(ErrorBody(error, status))));
  }
  asio::awaitable<void> EndAtStop() override { return End(RetryText(options_.retry_after_stop)); }

  std::chrono::milliseconds UntilHeartbeat() const override { return options_.heartbeat; }
  asio::awaitable<Status> Heartbeat() override { return exchange_.Write(kHeartbeat); }

  // It has nothing to say; its end is watched for.
  void WhenHeard(std::function<void()>) override {}
  bool heard() const override { return false; }
  asio::awaitable<bool> Attend() override { co_return true; }
  asio::awaitable<void> Release() override {
    exchange_.EndWatch();
    co_return;
  }

 private:
  asio::awaitable<void> End(std::string last) {
    Status sent = co_await exchange_.Write(last);
    if (sent.ok()) sent = co_await exchange_.EndStream();
    if (!sent.ok()) exchange_.BreakStream();
  }

  Exchange& exchange_;
  const LiveOptions& options_;
};

}  // namespace

std::unique_ptr<LiveChannel> MakeEventStreamChannel(Exchange& exchange,
                                                    const LiveOptions& options) {
  return std::make_unique<EventStreamChannel>(exchange, options);
}

}  // namespace millrace::http
