#include "net/http_client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace millrace::net {
namespace {

constexpr size_t kLineBytesMax = 16 * 1024;
constexpr size_t kHeadersMax = 200;
constexpr size_t kReadBytes = 64 * 1024;

bool EqualFolded(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

Error Malformed(std::string_view what) {
  return Error(Code::kInvalidArgument, "the answer is not HTTP/1.1: {}", what);
}

Error Gone(std::string_view what) { return Error(Code::kUnavailable, "{}", what); }

// A number that takes the whole text.
template <typename T>
bool Parse(std::string_view text, T& number, int base = 10) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return !text.empty() && parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

}  // namespace

const std::string* ClientAnswer::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (EqualFolded(key, name)) return &value;
  }
  return nullptr;
}

HttpClient::HttpClient(Address address, ClientOptions options)
    : address_(std::move(address)), options_(options) {}

Result<HttpClient> HttpClient::ForUrl(std::string_view url, ClientOptions options) {
  constexpr std::string_view kPlain = "http://";
  constexpr std::string_view kTls = "https://";
  std::string_view rest = url;
  const bool with_tls = rest.starts_with(kTls);
  if (!with_tls && !rest.starts_with(kPlain)) {
    return Error(Code::kInvalidArgument, "url {}: only http:// and https:// are understood",
                 Quoted(url))
        .Hint("write http://HOST:PORT");
  }
  rest.remove_prefix((with_tls ? kTls : kPlain).size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find('/') != std::string_view::npos) {
    return Error(Code::kInvalidArgument, "url {}: a path is not expected", Quoted(url));
  }
  const bool has_port = rest.rfind(':') != std::string_view::npos && !rest.ends_with(']');
  auto address =
      ParseAddress(has_port ? std::string(rest) : fmt::format("{}:{}", rest, with_tls ? 443 : 80));
  if (!address.ok()) return std::move(address).error().With(fmt::format("url {}", Quoted(url)));
  HttpClient client(std::move(address).value(), options);
  if (with_tls) {
    TRY(client.tls_, TlsClientContext::Make(options.trust));
  }
  return client;
}

HttpClient::~HttpClient() { Close(); }

HttpClient::HttpClient(HttpClient&& other) noexcept
    : address_(std::move(other.address_)),
      options_(other.options_),
      tls_(std::move(other.tls_)),
      socket_(std::exchange(other.socket_, -1)),
      session_(std::move(other.session_)),
      buffer_(std::move(other.buffer_)) {}

void HttpClient::Close() {
  if (session_ != nullptr) session_->SendEnd();
  session_.reset();
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  buffer_.clear();
}

Status HttpClient::WaitFor(short events, std::chrono::milliseconds timeout) {
  pollfd poll_for{socket_, events, 0};
  for (;;) {
    const int ready = ::poll(&poll_for, 1, static_cast<int>(timeout.count()));
    if (ready > 0) return Ok();
    if (ready == 0) {
      return Error(Code::kTimeout, "{} did not answer within {} ms", ToString(address_),
                   timeout.count());
    }
    if (errno != EINTR) return Error(Code::kIo, "poll: {}", std::strerror(errno));
  }
}

Status HttpClient::WaitFor(const TlsStep& step, std::chrono::milliseconds timeout) {
  return WaitFor(step.state == TlsStep::State::kWaitWrite ? POLLOUT : POLLIN, timeout);
}

bool HttpClient::IsStillOpen() {
  if (session_ != nullptr) return MustWait(session_->Peek());
  char byte;
  const ssize_t peeked = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return peeked < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

Status HttpClient::Connect() {
  // A kept connection that the server closed in the meantime is replaced before anything is sent
  // on it.
  if (socket_ >= 0 && IsStillOpen()) return Ok();
  Close();
  TRY(ConnectSocket());
  if (tls_ == nullptr) return Ok();
  Status started = StartTls();
  if (!started.ok()) Close();
  return std::move(started).With(fmt::format("connect to {}", ToString(address_)));
}

Status HttpClient::StartTls() {
  session_ = tls_->Connect(socket_, address_.host);
  for (;;) {
    const TlsStep step = session_->Handshake();
    if (step.state == TlsStep::State::kDone) return tls_->Check(*session_);
    if (!MustWait(step)) return tls_->ExplainFailure(*session_);
    TRY(WaitFor(step, options_.connect_timeout));
  }
}

Status HttpClient::ConnectSocket() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed =
      ::getaddrinfo(address_.host.c_str(), std::to_string(address_.port).c_str(), &hints, &found);
  if (failed != 0) {
    return Error(Code::kUnavailable, "connect to {}: {}", ToString(address_),
                 ::gai_strerror(failed));
  }
  int last_error = 0;
  for (const addrinfo* at = found; at != nullptr && socket_ < 0; at = at->ai_next) {
    const int fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      last_error = errno;
      continue;
    }
    socket_ = fd;
    if (::connect(fd, at->ai_addr, at->ai_addrlen) == 0) break;
    last_error = errno;
    if (last_error == EINPROGRESS) {
      if (!WaitFor(POLLOUT, options_.connect_timeout).ok()) {
        last_error = ETIMEDOUT;
      } else {
        socklen_t size = sizeof(last_error);
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &last_error, &size);
        if (last_error == 0) break;
      }
    }
    Close();
  }
  ::freeaddrinfo(found);
  if (socket_ < 0) {
    return Error(Code::kUnavailable, "connect to {}: {}", ToString(address_),
                 std::strerror(last_error))
        .Hint("is the node running, and is this its address?");
  }
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return Ok();
}

Status HttpClient::SendTls(std::string_view bytes) {
  while (!bytes.empty()) {
    const TlsStep step = session_->Write(bytes.data(), bytes.size());
    if (MustWait(step)) {
      TRY(WaitFor(step, options_.idle_timeout));
    } else if (step.state != TlsStep::State::kDone) {
      return Gone(fmt::format("send to {}: {}", ToString(address_), session_->failure()));
    }
    bytes.remove_prefix(step.bytes);
  }
  return Ok();
}

Status HttpClient::Write(std::string_view bytes) {
  if (session_ != nullptr) return SendTls(bytes);
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      TRY(WaitFor(POLLOUT, options_.idle_timeout));
    } else if (errno != EINTR) {
      return Gone(fmt::format("send to {}: {}", ToString(address_), std::strerror(errno)));
    }
  }
  return Ok();
}

bool HttpClient::AnswerIsWaiting() {
  if (session_ != nullptr) return session_->Peek().state == TlsStep::State::kDone;
  char byte;
  return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

Result<bool> HttpClient::WriteBody(const ClientRequest& request) {
  for (;;) {
    TRY(const std::string piece, request.body_source());
    // A server that has answered already does not want the rest.
    if (AnswerIsWaiting()) return false;
    if (piece.empty()) {
      TRY(Write("0\r\n\r\n"));
      return true;
    }
    TRY(Write(fmt::format("{:x}\r\n", piece.size())));
    TRY(Write(piece));
    TRY(Write("\r\n"));
  }
}

Result<size_t> HttpClient::Fill() {
  const size_t before = buffer_.size();
  buffer_.resize(before + kReadBytes);
  auto got = Receive(buffer_.data() + before, kReadBytes);
  buffer_.resize(before + (got.ok() ? *got : 0));
  return got;
}

Result<size_t> HttpClient::Receive(char* to, size_t size) {
  for (;;) {
    if (session_ != nullptr) {
      const TlsStep step = session_->Read(to, size);
      if (step.state == TlsStep::State::kDone || step.state == TlsStep::State::kEnded)
        return step.bytes;
      if (!MustWait(step))
        return Gone(fmt::format("receive from {}: {}", ToString(address_), session_->failure()));
      TRY(WaitFor(step, options_.idle_timeout));
      continue;
    }
    const ssize_t got = ::recv(socket_, to, size, 0);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      TRY(WaitFor(POLLIN, options_.idle_timeout));
    } else if (errno != EINTR) {
      return Gone(fmt::format("receive from {}: {}", ToString(address_), std::strerror(errno)));
    }
  }
}

Result<std::string> HttpClient::ReadLine() {
  size_t searched = 0;
  for (;;) {
    const size_t end = buffer_.find("\r\n", searched);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 2);
      return line;
    }
    if (buffer_.size() > kLineBytesMax) return Malformed("a header line is too long");
    searched = buffer_.empty() ? 0 : buffer_.size() - 1;
    TRY(const size_t got, Fill());
    if (got == 0)
      return Gone(fmt::format("{} closed the connection before it answered", ToString(address_)));
  }
}

Status HttpClient::ReadExactly(size_t size, const std::function<Status(std::string_view)>& sink) {
  while (size > 0) {
    if (buffer_.empty()) {
      TRY(const size_t got, Fill());
      if (got == 0)
        return Gone(
            fmt::format("{} closed the connection in the middle of an answer", ToString(address_)));
    }
    const size_t take = std::min(size, buffer_.size());
    TRY(sink(std::string_view(buffer_).substr(0, take)));
    buffer_.erase(0, take);
    size -= take;
  }
  return Ok();
}

Status HttpClient::ReadChunked(const std::function<Status(std::string_view)>& sink) {
  for (;;) {
    TRY(const std::string line, ReadLine());
    size_t size = 0;
    if (!Parse(std::string_view(line).substr(0, line.find(';')), size, 16))
      return Malformed("bad chunk size");
    if (size == 0) break;
    TRY(ReadExactly(size, sink));
    TRY(const std::string end, ReadLine());
    if (!end.empty()) return Malformed("a chunk is longer than it said");
  }
  for (;;) {
    TRY(const std::string trailer, ReadLine());
    if (trailer.empty()) return Ok();
  }
}

Result<ClientAnswer> HttpClient::ReadAnswer(
    bool head_only, const std::function<Status(std::string_view)>& on_body) {
  ClientAnswer answer;
  do {  // interim answers (100 Continue) are passed over
    answer.headers.clear();
    TRY(const std::string line, ReadLine());
    if (line.size() < 12 || !line.starts_with("HTTP/1.") ||
        !Parse(std::string_view(line).substr(9, 3), answer.status)) {
      return Malformed(Quoted(line.substr(0, 40)));
    }
    for (;;) {
      TRY(const std::string header, ReadLine());
      if (header.empty()) break;
      const size_t colon = header.find(':');
      if (colon == std::string::npos || answer.headers.size() == kHeadersMax)
        return Malformed("bad header");
      const size_t value = header.find_first_not_of(" \t", colon + 1);
      answer.headers.emplace_back(header.substr(0, colon), value == std::string::npos
                                                               ? std::string()
                                                               : header.substr(value));
    }
  } while (answer.status < 200);

  const size_t limit = options_.body_bytes_max;
  const std::function<Status(std::string_view)> sink = [&](std::string_view piece) -> Status {
    if (on_body) return on_body(piece);
    if (answer.body.size() + piece.size() > limit) {
      return Error(Code::kTooLarge, "the answer is larger than {} bytes", limit);
    }
    answer.body += piece;
    return Ok();
  };
  const std::string* encoding = answer.Header("transfer-encoding");
  const std::string* length = answer.Header("content-length");
  if (head_only || answer.status == 204 || answer.status == 304) {
    // no body, whatever the headers say
  } else if (encoding != nullptr) {
    if (!EqualFolded(*encoding, "chunked")) return Malformed("unknown transfer encoding");
    TRY(ReadChunked(sink));
  } else if (length != nullptr) {
    size_t size = 0;
    if (!Parse(*length, size)) return Malformed("bad content length");
    TRY(ReadExactly(size, sink));
  } else {
    for (;;) {
      TRY(sink(buffer_));
      buffer_.clear();
      TRY(const size_t got, Fill());
      if (got == 0) break;
    }
    Close();
  }
  const std::string* connection = answer.Header("connection");
  if (connection != nullptr && EqualFolded(*connection, "close")) Close();
  return answer;
}

Result<ClientAnswer> HttpClient::Send(const ClientRequest& request,
                                      const std::function<Status(std::string_view)>& on_body) {
  TRY(Connect());
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, request.target,
                                 ToString(address_));
  for (const auto& [name, value] : options_.headers) head += fmt::format("{}: {}\r\n", name, value);
  for (const auto& [name, value] : request.headers) head += fmt::format("{}: {}\r\n", name, value);
  const bool streams = static_cast<bool>(request.body_source);
  if (streams) {
    head += "Transfer-Encoding: chunked\r\n\r\n";
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    head += fmt::format("Content-Length: {}\r\n\r\n", request.body.size());
  } else {
    head += "\r\n";
  }
  if (!streams) head += request.body;
  Status sent = Write(head);
  bool complete = sent.ok();
  if (sent.ok() && streams) {
    Result<bool> body = WriteBody(request);
    complete = body.ok() && *body;
    if (!body.ok()) sent = std::move(body).error();
  }
  // A server may refuse a body before it has all of it and close: its answer says why, the failed
  // write does not.
  if (!sent.ok() && sent.error().code() != Code::kUnavailable) {
    Close();
    return std::move(sent).error();
  }
  auto answer = ReadAnswer(request.method == "HEAD", on_body);
  if (!answer.ok() || !complete) Close();
  if (!answer.ok() && !sent.ok()) return std::move(sent).error();
  return answer;
}

Result<ClientAnswer> HttpClient::Get(std::string_view target) {
  ClientRequest request;
  request.target = target;
  return Send(request);
}

Result<ClientAnswer> HttpClient::Post(std::string_view target, std::string_view content_type,
                                      std::string body) {
  ClientRequest request;
  request.method = "POST";
  request.target = target;
  request.headers.emplace_back("Content-Type", content_type);
  request.body = std::move(body);
  return Send(request);
}

}  // namespace millrace::net
