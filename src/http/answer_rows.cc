#include "http/answer_rows.h"

#include <deque>

namespace millrace::http {
namespace {

constexpr std::chrono::milliseconds kRetryPool{10};
// Parts that are written at the same time, the one that is sent among them.
constexpr size_t kPartsAtOnce = 3;

// A part of which the next piece is being made, or is there.
struct Flight {
  std::shared_ptr<ResultWriter> part;
  std::unique_ptr<net::Waiting<std::string>> piece;
};

// The pool is full: this answer has begun, so it waits its turn rather than fail.
asio::awaitable<void> MakePiece(ServiceContext& context, Exchange& exchange, Flight& flight) {
  flight.piece = std::make_unique<net::Waiting<std::string>>();
  while (!context.queries.TrySubmit(
      [part = flight.part, done = flight.piece->Callback()] { done(part->Next()); })) {
    co_await exchange.Sleep(kRetryPool);
  }
}

}  // namespace

asio::awaitable<void> AnswerRows(ServiceContext& context, Exchange& exchange, ResultWriters writers,
                                 std::string head_and_first, std::string_view tail,
                                 std::string_view media_type) {
  if (writers.size() == 1 && writers.front()->ended()) {
    head_and_first += tail;
    exchange.Reply(200, media_type, head_and_first);
    co_return;
  }
  Status sent = co_await exchange.BeginStream(200, media_type);
  std::string made = std::move(head_and_first);
  std::deque<Flight> flights;
  size_t next = 0;
  if (writers.front()->ended()) ++next;
  while (sent.ok() && (next < writers.size() || !flights.empty())) {
    while (next < writers.size() && flights.size() < kPartsAtOnce) {
      flights.push_back({std::move(writers[next++]), nullptr});
      co_await MakePiece(context, exchange, flights.back());
    }
    Flight& first = flights.front();
    if (first.piece == nullptr) co_await MakePiece(context, exchange, first);
    sent = co_await exchange.Write(made);  // while the next pieces are made
    auto text = co_await exchange.Wait(*first.piece);
    if (!text.ok()) {
      exchange.BreakStream();
      co_return;
    }
    made = *std::move(text);
    first.piece.reset();
    if (first.part->ended()) flights.pop_front();
  }
  if (sent.ok()) sent = co_await exchange.Write(made);
  if (sent.ok()) sent = co_await exchange.Write(tail);
  if (sent.ok()) sent = co_await exchange.EndStream();
  if (!sent.ok()) exchange.BreakStream();
}

}  // namespace millrace::http
