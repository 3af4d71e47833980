// A small blocking HTTP/1.1 client for the command line and for tests: keep-alive, time limits,
// request bodies from a callback (sent chunked), answers to a callback. It follows no redirects and
// never retries: only the caller knows whether a request may be sent twice.
//
// Not thread-safe: one client per thread. Errors: kUnavailable (nobody listens, the peer went
// away, its certificate is not trusted), kTimeout, kTooLarge, kInvalidArgument (what came is no
// HTTP). An answer of any status is no error.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/tls_session.h"
#include "net/tls_trust.h"

namespace millrace::net {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";  // path and query, percent-encoded
  Headers headers;           // Host, Content-Length and Transfer-Encoding are the client's
  std::string body;
  // Instead of `body`: gives the next piece of any size; an empty one ends the body.
  std::function<Result<std::string>()> body_source;
};

struct ClientAnswer {
  int status = 0;
  Headers headers;
  std::string body;  // empty where it went to a callback
  // The value of the first header of this name (compared without case), or null.
  const std::string* Header(std::string_view name) const;
};

struct ClientOptions {
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds idle_timeout{60'000};  // without a byte in either direction
  size_t body_bytes_max = size_t{256} << 20;       // of an answer that is collected
  Headers headers;                                 // of every request
  TlsTrust trust;                                  // of https:
};

class HttpClient {
 public:
  explicit HttpClient(Address address, ClientOptions options = {});
  // "http://HOST[:PORT]", or https:, with an optional slash at the end. Errors: kInvalidArgument,
  // and of https: those of reading the authorities.
  static Result<HttpClient> ForUrl(std::string_view url, ClientOptions options = {});
  ~HttpClient();
  HttpClient(HttpClient&& other) noexcept;
  HttpClient& operator=(HttpClient&&) = delete;

  // Sends the request and reads the whole answer. Where `on_body` is given it gets the body's
  // pieces as they come, and its error ends the exchange.
  Result<ClientAnswer> Send(const ClientRequest& request,
                            const std::function<Status(std::string_view)>& on_body = {});
  Result<ClientAnswer> Get(std::string_view target);
  Result<ClientAnswer> Post(std::string_view target, std::string_view content_type,
                            std::string body);

  void Close();

 private:
  Status Connect();
  Status ConnectSocket();
  Status StartTls();
  bool IsStillOpen();  // a kept connection, on which nothing is expected
  Status WaitFor(const TlsStep& step, std::chrono::milliseconds timeout);
  Result<size_t> Receive(char* to, size_t size);
  Status SendTls(std::string_view bytes);
  Status Write(std::string_view bytes);
  Result<bool> WriteBody(
      const ClientRequest& request);  // false: answered before all of it was sent
  Result<size_t> Fill();              // more bytes into buffer_; 0: the peer closed
  Result<std::string> ReadLine();
  Status ReadExactly(size_t size, const std::function<Status(std::string_view)>& sink);
  Status ReadChunked(const std::function<Status(std::string_view)>& sink);
  Result<ClientAnswer> ReadAnswer(bool head_only,
                                  const std::function<Status(std::string_view)>& on_body);
  Status WaitFor(short events, std::chrono::milliseconds timeout);
  bool AnswerIsWaiting();

  Address address_;
  ClientOptions options_;
  std::shared_ptr<const TlsClientContext> tls_;  // nullptr: plain text
  int socket_ = -1;
  std::unique_ptr<TlsSession> session_;  // under TLS, while connected
  std::string buffer_;                   // received, not yet used
};

}  // namespace millrace::net
