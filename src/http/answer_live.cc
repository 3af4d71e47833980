#include "http/answer_live.h"

#include <exception>

#include "http/access.h"
#include "http/live_channel.h"
#include "http/negotiation.h"
#include "http/websocket_handshake.h"

namespace millrace::http {
namespace {

using News = net::Waiting<net::Done>;

// Functions of their own: see src/net/README.md, rule 3.
void AskForNews(LiveReader& reader, const News& news) {
  reader.WhenNews([done = news.Callback()] { done(net::Done{}); });
}
void ListenTo(LiveChannel& channel, const News& news) {
  channel.WhenHeard([done = news.Callback()] { done(net::Done{}); });
}

// An EventSource that connects again sends the header, and the target that it has always had.
std::optional<EventId> LastEventOf(const Exchange& exchange, const std::string& last) {
  return ParseEventId(exchange.head().Get("last-event-id").value_or(last));
}

// What is to go on is true: the next news are waited for.
asio::awaitable<bool> SendNews(ServiceContext& context, Exchange& exchange, LiveChannel& channel,
                               LiveReader& reader) {
  while (true) {
    const Status admitted = CheckStillAdmitted(context, exchange, auth::Permission::kRead);
    if (!admitted.ok()) {
      co_await channel.EndWith(admitted.error(), kSignedOut);
      co_return false;
    }
    LiveNews news = reader.Next();
    if (std::holds_alternative<std::monostate>(news)) co_return true;
    context.live.CountEvent();
    if (const Error* error = std::get_if<Error>(&news)) {
      co_await channel.EndWith(*error, /*status=*/0);
      co_return false;
    }
    Status sent = Ok();
    if (auto* content = std::get_if<std::shared_ptr<const LiveContent>>(&news)) {
      sent = co_await channel.SendContent(std::move(*content));
    } else {
      auto change = std::get<std::shared_ptr<const LiveChange>>(news);
      sent = co_await channel.SendChange(std::move(change));
    }
    if (!sent.ok()) {
      exchange.BreakStream();
      co_return false;
    }
    if (exchange.stopping() || channel.heard()) co_return true;
  }
}

// Until the first content is there. False: answered with an error.
asio::awaitable<bool> Begin(Exchange& exchange, LiveChannel& channel, LiveReader& reader,
                            std::chrono::milliseconds timeout) {
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
  const Status begun = co_await channel.Begin();
  if (!begun.ok()) exchange.BreakStream();
  co_return begun.ok();
}

// Waits until there are news, or something else is to be done, and does that. False: it is over.
asio::awaitable<bool> Wait(Exchange& exchange, LiveChannel& channel, LiveReader& reader) {
  News news;
  AskForNews(reader, news);
  ListenTo(channel, news);
  auto woken = co_await exchange.WaitAtMost(news, channel.UntilHeartbeat());
  if (exchange.gone()) co_return false;
  const bool goes_on = co_await channel.Attend();
  if (!goes_on) co_return false;
  if (exchange.stopping()) {
    co_await channel.EndAtStop();
    co_return false;
  }
  if (woken.ok()) co_return true;
  const Status alive = co_await channel.Heartbeat();
  if (!alive.ok()) exchange.BreakStream();
  co_return alive.ok();
}

asio::awaitable<void> Follow(ServiceContext& context, Exchange& exchange, LiveChannel& channel,
                             LiveReader& reader, std::chrono::milliseconds timeout) {
  bool goes_on = co_await Begin(exchange, channel, reader, timeout);
  while (goes_on) {
    goes_on = co_await SendNews(context, exchange, channel, reader);
    if (goes_on) goes_on = co_await Wait(exchange, channel, reader);
  }
  if (exchange.gone()) exchange.BreakStream();
}

}  // namespace

asio::awaitable<void> AnswerLive(ServiceContext& context, Backend& backend, Exchange& exchange,
                                 LiveRequest request, std::string last,
                                 std::chrono::milliseconds timeout) {
  const bool websocket = WantsWebSocket(exchange.head());
  exchange.set_metric_route(exchange.metric_route() + (websocket ? " (websocket)" : " (live)"));
  if (exchange.head().method == "HEAD") {
    exchange.Reply(200, kEventStream, {});
    co_return;
  }
  auto reader = context.live.Join(backend, std::move(request), LastEventOf(exchange, last));
  if (!reader.ok()) {
    exchange.ReplyError(reader.error());
    co_return;
  }
  const LiveOptions& options = context.live.options();
  const auto channel = websocket ? MakeWebSocketChannel(exchange, options)
                                 : MakeEventStreamChannel(exchange, options);
  std::exception_ptr failure;  // of a library, such as out of memory
  try {
    co_await Follow(context, exchange, *channel, **reader, timeout);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await channel->Release();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace millrace::http
