#include "http/answer_live.h"

#include "http/access.h"
#include "http/negotiation.h"
#include "http/problem.h"
#include "http/text.h"

namespace millrace::http {
namespace {

using News = net::Waiting<net::Done>;

// A function of its own: see src/net/README.md, rule 3.
void AskForNews(LiveReader& reader, const News& news) {
  reader.WhenNews([done = news.Callback()] { done(net::Done{}); });
}

std::optional<EventId> LastEventOf(const Exchange& exchange) {
  const auto given = exchange.head().Get("last-event-id");
  return given ? ParseEventId(*given) : std::nullopt;
}

std::string ErrorEvent(const Error& error, int status = 0) {
  return EventText("error", "", Trim(ErrorBody(error, status)));
}

asio::awaitable<Status> SendContent(Exchange& exchange,
                                    std::shared_ptr<const LiveContent> content) {
  SnapshotWriter writer(std::move(content));
  Status sent = Ok();
  for (std::string piece = writer.Next(); sent.ok() && !piece.empty(); piece = writer.Next())
    sent = co_await exchange.Write(piece);
  co_return sent;
}

// The last words, and the end of the answer.
asio::awaitable<void> End(Exchange& exchange, std::string last) {
  Status sent = co_await exchange.Write(last);
  if (sent.ok()) sent = co_await exchange.EndStream();
  if (!sent.ok()) exchange.BreakStream();
}

// Sends whatever there is. False: the answer is over.
asio::awaitable<bool> SendNews(ServiceContext& context, Exchange& exchange, LiveReader& reader) {
  while (true) {
    const Status admitted = CheckStillAdmitted(context, exchange, auth::Permission::kRead);
    if (!admitted.ok()) {
      co_await End(exchange, ErrorEvent(admitted.error(), kSignedOut));
      co_return false;
    }
    LiveNews news = reader.Next();
    if (std::holds_alternative<std::monostate>(news)) co_return true;
    context.live.CountEvent();
    if (const Error* error = std::get_if<Error>(&news)) {
      co_await End(exchange, ErrorEvent(*error));
      co_return false;
    }
    Status sent = Ok();
    if (auto* content = std::get_if<std::shared_ptr<const LiveContent>>(&news)) {
      sent = co_await SendContent(exchange, std::move(*content));
    } else {
      const auto change = std::get<std::shared_ptr<const std::string>>(news);
      sent = co_await exchange.Write(*change);
    }
    if (!sent.ok()) {
      exchange.BreakStream();
      co_return false;
    }
    if (exchange.stopping()) co_return true;
  }
}

// Until the first content is there. False: answered with an error.
asio::awaitable<bool> Begin(Exchange& exchange, LiveReader& reader,
                            std::chrono::milliseconds timeout, const LiveOptions& options) {
  News first;
  AskForNews(reader, first);
  auto woken = co_await exchange.WaitAtMost(first, timeout);
  if (!woken.ok()) {
    exchange.ReplyError(woken.error());
    co_return false;
  }
  if (const auto failure = reader.failure()) {
    exchange.ReplyError(*failure);
    co_return false;
  }
  exchange.AddHeader("Cache-Control", "no-cache");
  exchange.AddHeader("Vary", "Accept");
  exchange.AddHeader("X-Accel-Buffering", "no");
  Status sent = co_await exchange.BeginStream(200, kEventStream);
  if (sent.ok()) sent = co_await exchange.Write(RetryText(options.retry));
  if (!sent.ok()) exchange.BreakStream();
  co_return sent.ok();
}

asio::awaitable<void> Follow(ServiceContext& context, Exchange& exchange, LiveReader& reader,
                             std::chrono::milliseconds timeout) {
  const LiveOptions& options = context.live.options();
  const bool began = co_await Begin(exchange, reader, timeout, options);
  if (!began) co_return;
  while (true) {
    const bool goes_on = co_await SendNews(context, exchange, reader);
    if (!goes_on) co_return;
    News news;
    AskForNews(reader, news);
    auto woken = co_await exchange.WaitAtMost(news, options.heartbeat);
    if (exchange.gone()) {
      exchange.BreakStream();
      co_return;
    }
    if (exchange.stopping()) {
      co_await End(exchange, RetryText(options.retry_after_stop));
      co_return;
    }
    if (woken.ok()) continue;
    const Status sent = co_await exchange.Write(kHeartbeat);
    if (sent.ok()) continue;
    exchange.BreakStream();
    co_return;
  }
}

}  // namespace

asio::awaitable<void> AnswerLive(ServiceContext& context, Backend& backend, Exchange& exchange,
                                 LiveRequest request, std::chrono::milliseconds timeout) {
  exchange.set_metric_route(exchange.metric_route() + " (live)");
  if (exchange.head().method == "HEAD") {
    exchange.Reply(200, kEventStream, {});
    co_return;
  }
  auto reader = context.live.Join(backend, std::move(request), LastEventOf(exchange));
  if (!reader.ok()) {
    exchange.ReplyError(reader.error());
    co_return;
  }
  exchange.BeginWatch();
  co_await Follow(context, exchange, **reader, timeout);
  exchange.EndWatch();
}

}  // namespace millrace::http
