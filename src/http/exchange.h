// An Exchange is one request and its answer, as a handler sees them: the head, the body as it
// comes, and the ways to answer.
//
// Lives on the I/O thread of its connection and ends with the handler. Views into the head stay
// valid until then. A handler answers exactly once: with Reply, with ReplyError, with
// BeginStream … Write … EndStream, or with Upgrade.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/principals.h"
#include "base/result.h"
#include "http/chunked_decoder.h"
#include "http/head_parser.h"
#include "http/url.h"
#include "net/await.h"

namespace millrace::http {

class Connection;

class Exchange {
 public:
  Exchange(Connection& connection, const RequestHead& head, std::string request_id);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const RequestHead& head() const { return head_; }
  // The client's X-Request-Id where it is a plain token, else one that was made up here.
  const std::string& request_id() const { return request_id_; }
  // Values of the route's braces, decoded.
  const std::vector<std::string>& segments() const { return segments_; }
  void set_segments(std::vector<std::string> segments) { segments_ = std::move(segments); }
  // Who asks; nullptr where nobody has to sign in.
  const auth::PrincipalPtr& principal() const { return principal_; }
  void set_principal(auth::PrincipalPtr principal) { principal_ = std::move(principal); }
  // Whether a page that a browser opened may connect: one of this host, or of an origin that the
  // server allows. True for what is no browser.
  bool IsFromAllowedPage() const;
  // What /metrics counts this request under, if not its route's pattern.
  void set_metric_route(std::string route) { metric_route_ = std::move(route); }
  const std::string& metric_route() const { return metric_route_; }

  // The next bytes of the body, without chunk framing; 0: its end. Waits for the client. Errors:
  // kUnavailable (the client has gone), kTimeout (it sends nothing), kInvalidArgument (bad
  // framing): the connection cannot be used for another request then. REQUIRES: size > 0.
  asio::awaitable<Result<size_t>> Read(char* to, size_t size);
  // The whole body; kTooLarge when it is longer than `bytes_max`.
  asio::awaitable<Result<std::string>> ReadAll(size_t bytes_max);

  // A header of the answer. REQUIRES: not yet answered; name and value hold no line ends.
  void AddHeader(std::string_view name, std::string_view value);
  // An empty content type leaves that header out.
  void Reply(int status, std::string_view content_type, std::string_view body);
  // The status follows from the error's code unless it is given. Overload adds Retry-After.
  void ReplyError(const Error& error, int status = 0, int retry_after_seconds = 1);
  bool answered() const { return status_ != 0; }
  int status() const { return status_; }

  // An answer of unknown length. Write waits while the client is slow to take it; its error means
  // the client has gone.
  asio::awaitable<Status> BeginStream(int status, std::string_view content_type);
  asio::awaitable<Status> Write(std::string_view piece);
  asio::awaitable<Status> EndStream();
  // The rest cannot be had: cuts the connection, so that the client does not take what it has for
  // the whole.
  void BreakStream();

  // Another protocol takes the connection over (101): its bytes go as they are, and the connection
  // ends with the handler. One coroutine may receive while another sends. REQUIRES: not yet
  // answered, no body.
  asio::awaitable<Status> Upgrade(std::string_view protocol);
  // One after the other, in one write. Waits while the client is slow to take them; its error means
  // the client has gone.
  asio::awaitable<Status> SendUpgraded(std::string_view head, std::string_view payload);
  // Some bytes, as they come, however long that takes; 0: the client has gone. REQUIRES: size > 0.
  asio::awaitable<size_t> ReceiveUpgraded(char* to, size_t size);
  void CancelUpgraded();
  // Runs `work` on this I/O thread beside the handler, which must not end before it has.
  void Spawn(asio::awaitable<void> work);

  // Waits for what another thread works out. When the server has to stop meanwhile the wait ends
  // with kUnavailable.
  template <typename T>
  asio::awaitable<Result<T>> Wait(net::Waiting<T>& waiting) {
    SetAbandon(waiting.Abandon());
    auto result = co_await waiting.Get();
    SetAbandon({});
    co_return result;
  }
  // The same; `on_gone` is called if the client closes its connection meanwhile.
  template <typename T>
  asio::awaitable<Result<T>> WaitWhileConnected(net::Waiting<T>& waiting,
                                                const std::function<void()>& on_gone) {
    WatchForClose(on_gone);
    auto result = co_await Wait(waiting);
    EndWatch();
    co_return result;
  }
  // For answers without end. From BeginWatch to EndWatch a client that goes ends every wait at
  // once, as the server does that begins to stop: with kUnavailable; gone() and stopping() tell
  // which. kTimeout: nothing came within `limit`.
  void BeginWatch();
  void EndWatch();
  template <typename T>
  asio::awaitable<Result<T>> WaitAtMost(net::Waiting<T>& waiting, std::chrono::milliseconds limit) {
    auto timer = AbandonAfter(limit, waiting.Abandon());
    SetAbandon(waiting.Abandon(), /*at_stop=*/true);
    auto result = co_await waiting.Get();
    SetAbandon({});
    timer->cancel();
    co_return result;
  }
  bool gone() const;
  bool stopping() const;
  asio::awaitable<void> Sleep(std::chrono::milliseconds duration);

 private:
  friend class Connection;
  // `at_stop`: also when the server begins to stop.
  void SetAbandon(std::function<void(Error)> abandon, bool at_stop = false);
  std::unique_ptr<asio::steady_timer> AbandonAfter(std::chrono::milliseconds limit,
                                                   std::function<void(Error)> abandon);
  void WatchForClose(std::function<void()> on_gone);
  asio::awaitable<Result<size_t>> ReadPlain(char* to, size_t size);
  asio::awaitable<Result<size_t>> ReadChunked(char* to, size_t size);
  void PutHead(int status, std::string_view content_type);
  // Answers a browser that asks what a page may do. False: it does not, or not to be told.
  bool ReplyToPreflight();

  Connection& connection_;
  const RequestHead& head_;
  std::string request_id_;
  std::vector<std::string> segments_;
  std::string metric_route_;
  auth::PrincipalPtr principal_;
  std::string headers_;  // of the answer, as lines
  int status_ = 0;       // 0: not answered
  bool streaming_ = false;
  uint64_t body_left_ = 0;  // with Content-Length
  bool body_ended_ = false;
  bool body_broken_ = false;
  bool continue_wanted_ = false;  // "100 Continue" is still to be sent
  ChunkedDecoder chunks_;
};

// The query string's parameters, only those that are known: kInvalidArgument names another one, and
// the nearest known.
Result<QueryParameters> KnownParameters(const Exchange& exchange,
                                        const std::vector<std::string>& known);

}  // namespace millrace::http
