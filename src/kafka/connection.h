// A Connection reads requests from one stream and writes their replies, in order. Internal to
// server.cc.
//
// Lives on the loop of its stream; nothing here is locked. Two coroutines share it: one reads and
// handles requests one after the other, the other writes replies as the foremost are done. At most
// kRequestsMax requests wait for their replies, or for these to be taken, with kWaitingBytesMax
// bytes of both; then it reads no further.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "kafka/request.h"
#include "kafka/sasl.h"
#include "kafka/server.h"
#include "net/connection_server.h"

namespace millrace::kafka {

// What all connections share.
struct ServerShared {
  ServerOptions options;
  Service& service;
  ServerCounters counters;

  ServerShared(ServerOptions given, Service& serves) : options(std::move(given)), service(serves) {}
};

class Connection final : public net::ServedConnection,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(net::Stream stream, net::ConnectionSlot slot, net::ConnectionLoop& loop,
             ServerShared& shared);
  ~Connection() override;

  // Spawns both coroutines; they keep the connection alive.
  void Start();
  void StopSoon() override;
  void Abort() override;
  void CheckDeadline() override;

 private:
  struct Waiting {
    std::shared_ptr<Reply> reply;
    size_t request_bytes;
  };

  static asio::awaitable<void> Read(std::shared_ptr<Connection> self);
  static asio::awaitable<void> Write(std::shared_ptr<Connection> self);
  asio::awaitable<void> ReadRequests();
  asio::awaitable<void> WriteReplies();
  // The next request's bytes; empty: none comes any more.
  asio::awaitable<std::string> ReadRequest();
  asio::awaitable<bool> Send(const std::string& bytes);
  asio::awaitable<void> WaitForRoom();
  asio::awaitable<void> BeStill();
  // One request, up to its reply or queueing. An error: the connection ends.
  asio::awaitable<Status> HandleRequest(std::shared_ptr<const std::string> bytes);
  asio::awaitable<Status> HandleBareToken(std::shared_ptr<const std::string> bytes);
  std::shared_ptr<Reply> OweReply(size_t request_bytes);
  void ForgetLastReply();
  // Comes back to this connection's loop, from any thread; keeps the request's bytes until then.
  // (Functions like this one are made outside of coroutines: README.md of net.)
  Service::Done WhenDone(std::shared_ptr<const std::string> request);
  void OnDone(const std::shared_ptr<Reply>& reply);
  void Complain(const Error& error) const;

  net::Stream stream_;
  net::ConnectionSlot slot_;
  ServerShared& shared_;
  std::string peer_;
  SaslSession session_;

  std::deque<Waiting> replies_;  // in the order of their requests
  size_t waiting_bytes_ = 0;     // of their requests, and of those that are done
  asio::steady_timer done_;      // cancelled: a reply is done, or reading has ended
  asio::steady_timer room_;      // cancelled: a reply has gone
  asio::steady_timer still_;     // runs while a quota keeps it from being read
  std::chrono::milliseconds still_for_{0};
  std::chrono::steady_clock::time_point read_deadline_ =
      std::chrono::steady_clock::time_point::max();
  std::chrono::steady_clock::time_point write_deadline_ =
      std::chrono::steady_clock::time_point::max();
  bool idle_ = false;  // waits for a request, with no reply owed
  bool reading_ended_ = false;
  bool broken_ = false;  // the stream is of no use any more
};

}  // namespace millrace::kafka
