// How the events of a live answer reach one client, and what it has to say itself. Belongs to the
// coroutine of its exchange.
//
// Order: Begin, then any of the sends, then EndWith or EndAtStop unless the client has gone; at
// last Release, in any case.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "http/exchange.h"
#include "http/live_content.h"
#include "http/live_queries.h"

namespace millrace::http {

class LiveChannel {
 public:
  virtual ~LiveChannel() = default;

  // The head of the answer. REQUIRES: not yet answered.
  virtual asio::awaitable<Status> Begin() = 0;
  virtual asio::awaitable<Status> SendContent(std::shared_ptr<const LiveContent> content) = 0;
  virtual asio::awaitable<Status> SendChange(std::shared_ptr<const LiveChange> change) = 0;
  // The last event, and the end. `status`: the error's, where its code has none (401).
  virtual asio::awaitable<void> EndWith(Error error, int status) = 0;
  virtual asio::awaitable<void> EndAtStop() = 0;

  // After how long without news Heartbeat is due; it finds out whether the client is there.
  virtual std::chrono::milliseconds UntilHeartbeat() const = 0;
  virtual asio::awaitable<Status> Heartbeat() = 0;

  // Calls `wake` once the client has said what Attend must see to, maybe at once.
  virtual void WhenHeard(std::function<void()> wake) = 0;
  virtual bool heard() const = 0;
  // False: it has ended the answer.
  virtual asio::awaitable<bool> Attend() = 0;
  // Nothing waits for the client any more.
  virtual asio::awaitable<void> Release() = 0;
};

std::unique_ptr<LiveChannel> MakeEventStreamChannel(Exchange& exchange, const LiveOptions& options);
// REQUIRES: the request is a WebSocket handshake without fault.
std::unique_ptr<LiveChannel> MakeWebSocketChannel(Exchange& exchange, const LiveOptions& options);

}  // namespace millrace::http
