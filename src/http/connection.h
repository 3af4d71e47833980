// A Connection reads requests from one stream and writes their answers, in order (HTTP/1.1 with
// keep-alive and pipelining). Internal to server.cc and exchange.cc.
//
// Lives on the loop of its stream; nothing here is locked. It holds one input buffer (4 KiB, up to
// a request head's 16 KiB) and one output buffer: the answers to pipelined requests leave together
// in one write.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "http/exchange.h"
#include "http/server.h"
#include "net/connection_server.h"

namespace millrace::http {

// The Date header of the current second, of one I/O thread.
struct DateLine {
  time_t second = 0;
  std::string text;  // "Date: …\r\n"
};

// What all connections share.
struct ServerShared {
  ServerOptions options;
  const Router& router;
  RequestMetrics metrics;
  std::vector<DateLine> dates;  // by I/O thread
  std::atomic<int64_t> timeouts{0};
  std::atomic<uint64_t> next_request{0};
  uint64_t instance = 0;  // makes request ids of several processes differ

  ServerShared(ServerOptions given, const Router& routes, size_t loops)
      : options(std::move(given)), router(routes), metrics(loops), dates(loops) {}
};

class Connection final : public net::ServedConnection {
 public:
  Connection(net::Stream stream, net::ConnectionSlot slot, net::ConnectionLoop& loop,
             ServerShared& shared);
  ~Connection() override;
  asio::awaitable<void> Run();

  void StopSoon() override;
  void Abort() override;
  void CheckDeadline() override;

 private:
  friend class Exchange;
  using Duration = std::chrono::milliseconds;

  asio::awaitable<bool> ReadHead();  // false: no further request
  // Without a coroutine: nullptr, or the route whose handler is still to answer.
  const Route* AnswerAtOnce(Exchange& exchange);
  void AnswerWithoutRoute(const std::string& allow, Exchange& exchange);
  asio::awaitable<void> Answer(const Route& route, Exchange& exchange);
  void AnswerFailed(Exchange& exchange, const std::string& why);
  void EndRequest(Exchange& exchange, double seconds);
  asio::awaitable<void> Linger();
  // What the socket takes of output_ without a wait. False: Flush has the rest to send.
  bool FlushAtOnce();
  void EmptyOutput();
  // Sends output_, then `more`. Sets broken_ where the client has gone or is too slow.
  asio::awaitable<void> Flush(std::string_view more = {});
  // Bytes received; 0: end of stream, error, or time is up (timed_out_).
  asio::awaitable<size_t> Receive(char* to, size_t size, Duration limit);
  void Refuse(int status, std::string_view reason);
  void SetDeadline(Duration limit);
  std::string RequestId(const RequestHead& head) const;
  const std::string& Date();
  std::string_view buffered() const { return {input_.data() + begin_, end_ - begin_}; }

  net::Stream stream_;
  net::ConnectionSlot slot_;
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
  bool broken_ = false;  // the stream is of no use any more
  bool linger_ = false;  // input was left unread: see Linger
  std::function<void(Error)> abandon_;
  bool abandon_at_stop_ = false;  // abandon_ is to be called as soon as the server begins to stop
  std::shared_ptr<std::function<void()>> watch_;
};

}  // namespace millrace::http
