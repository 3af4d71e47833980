// A Connection reads requests from one socket and writes their answers, in order (HTTP/1.1 with
// keep-alive and pipelining). Internal to server.cc and exchange.cc.
//
// Lives on the loop of its socket; nothing here is locked. It holds one input buffer (4 KiB, up to
// a request head's 16 KiB) and one output buffer: the answers to pipelined requests leave together
// in one write.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_set>

#include "http/exchange.h"
#include "http/server.h"
#include "net/listener.h"

namespace millrace::http {

class Connection;

// The connections of one I/O thread, and the clock of their time limits.
struct ServerLoop {
  asio::io_context& context;
  size_t index;              // shard of the metrics
  asio::steady_timer sweep;  // ends waits that took too long, twice a second
  std::chrono::steady_clock::time_point now =
      std::chrono::steady_clock::now();  // as of the last sweep
  std::unordered_set<Connection*> connections;
  bool stopping = false;
  std::string date_line;  // "Date: …\r\n" of this second
  time_t date_second = 0;

  ServerLoop(asio::io_context& io_context, size_t at)
      : context(io_context), index(at), sweep(io_context) {}
};

// What all connections share.
struct ServerShared {
  ServerOptions options;
  const Router& router;
  RequestMetrics metrics;
  std::atomic<int64_t> live{0};  // connections whose coroutine runs
  std::atomic<int64_t> timeouts{0};
  std::atomic<uint64_t> next_request{0};
  uint64_t instance = 0;  // makes request ids of several processes differ

  ServerShared(ServerOptions given, const Router& routes, size_t loops)
      : options(std::move(given)), router(routes), metrics(loops) {}
};

class Connection {
 public:
  Connection(asio::ip::tcp::socket socket, net::ConnectionSlot slot, ServerLoop& loop,
             ServerShared& shared);
  ~Connection();
  asio::awaitable<void> Run();

  // Takes no further request; an idle connection ends at once.
  void StopSoon();
  // Ends whatever it waits for.
  void Abort();
  // Called by the sweep.
  void CheckDeadline();

 private:
  friend class Exchange;
  using Duration = std::chrono::milliseconds;

  asio::awaitable<bool> ReadHead();  // false: no further request
  asio::awaitable<void> Serve();
  asio::awaitable<void> Answer(Exchange& exchange);
  asio::awaitable<void> Linger();
  asio::awaitable<void> Flush();  // sets broken_ where the client has gone or is too slow
  // Bytes received; 0: end of stream, error, or time is up (timed_out_).
  asio::awaitable<size_t> Receive(char* to, size_t size, Duration limit);
  void Refuse(int status, std::string_view reason);
  void SetDeadline(Duration limit);
  std::string RequestId(const RequestHead& head) const;
  const std::string& DateLine();
  std::string_view buffered() const { return {input_.data() + begin_, end_ - begin_}; }

  asio::ip::tcp::socket socket_;
  net::ConnectionSlot slot_;
  ServerLoop& loop_;
  ServerShared& shared_;

  std::string input_;  // [begin_, end_) is received and not yet used
  size_t begin_ = 0, end_ = 0;
  std::string surplus_;  // bytes after a chunked body: the next request
  std::string output_;
  RequestHead head_;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
  bool timed_out_ = false;
  bool waiting_for_request_ = false;  // nothing of the next request has come
  bool keep_alive_ = true;
  bool stopping_ = false;
  bool broken_ = false;  // the socket is of no use any more
  bool linger_ = false;  // input was left unread: see Linger
  std::function<void(Error)> abandon_;
  std::shared_ptr<std::function<void()>> watch_;
};

}  // namespace millrace::http
