#include "http/answer_rows.h"

namespace millrace::http {
namespace {

constexpr std::chrono::milliseconds kRetryPool{10};

}  // namespace

asio::awaitable<void> AnswerRows(ServiceContext& context, Exchange& exchange,
                                 std::shared_ptr<ResultWriter> writer, std::string head_and_first,
                                 std::string_view tail, std::string_view media_type) {
  if (writer->ended()) {
    head_and_first += tail;
    exchange.Reply(200, media_type, head_and_first);
    co_return;
  }
  Status sent = co_await exchange.BeginStream(200, media_type);
  std::string made = std::move(head_and_first);
  while (sent.ok() && !writer->ended()) {
    net::Waiting<std::string> next;
    while (!context.queries.TrySubmit([writer, done = next.Callback()] { done(writer->Next()); })) {
      // The pool is full: this answer has begun, so it waits its turn rather than fail.
      co_await exchange.Sleep(kRetryPool);
    }
    sent = co_await exchange.Write(made);  // while the next piece is made
    auto text = co_await exchange.Wait(next);
    if (!text.ok()) {
      exchange.BreakStream();
      co_return;
    }
    made = *std::move(text);
  }
  if (sent.ok()) sent = co_await exchange.Write(made);
  if (sent.ok()) sent = co_await exchange.Write(tail);
  if (sent.ok()) sent = co_await exchange.EndStream();
  if (!sent.ok()) exchange.BreakStream();
}

}  // namespace millrace::http
