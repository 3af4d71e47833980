#include "http/exchange.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "http/connection.h"
#include "http/problem.h"
#include "http/text.h"
#include "http/websocket_handshake.h"

namespace millrace::http {
namespace {

constexpr size_t kCopiedBytesMax = 64 * 1024;
constexpr size_t kReadAllStep = 64 * 1024;
// In a chunked body bytes of the next request may be read along: that many at most.
constexpr size_t kChunkedReadMax = 64 * 1024;

Error ClientGone() { return Error(Code::kUnavailable, "the client closed the connection"); }

}  // namespace

Exchange::Exchange(Connection& connection, const RequestHead& head, std::string request_id)
    : connection_(connection),
      head_(head),
      request_id_(std::move(request_id)),
      body_left_(head.content_length.value_or(0)),
      body_ended_(!head.has_body()),
      continue_wanted_(head.expects_continue && head.has_body()) {
  headers_ = connection.shared_.options.cors.HeaderLines(head);
}

bool Exchange::IsFromAllowedPage() const {
  return IsSameOrigin(head_) || connection_.shared_.options.cors.Allows(*head_.Get("origin"));
}

bool Exchange::ReplyToPreflight() {
  const std::string lines = connection_.shared_.options.cors.PreflightLines(head_);
  if (lines.empty()) return false;
  headers_ += lines;
  Reply(204, {}, {});
  return true;
}

asio::awaitable<Result<size_t>> Exchange::Read(char* to, size_t size) {
  if (body_ended_) co_return size_t{0};
  if (body_broken_) co_return ClientGone();
  if (continue_wanted_) {
    continue_wanted_ = false;
    connection_.output_ += "HTTP/1.1 100 Continue\r\n\r\n";
    co_await connection_.Flush();
  }
  auto reading = head_.chunked ? ReadChunked(to, size) : ReadPlain(to, size);
  auto got = co_await std::move(reading);
  if (!got.ok()) body_broken_ = true;
  co_return got;
}

asio::awaitable<Result<size_t>> Exchange::ReadPlain(char* to, size_t size) {
  Connection& connection = connection_;
  size = static_cast<size_t>(std::min<uint64_t>(size, body_left_));
  const std::string_view buffered = connection.buffered();
  size_t got = std::min(size, buffered.size());
  if (got > 0) {
    std::copy_n(buffered.data(), got, to);
    connection.begin_ += got;
  } else {
    got = co_await connection.Receive(to, size, connection.shared_.options.body_timeout);
    if (got == 0 && connection.timed_out_) {
      co_return Error(Code::kTimeout, "the request's body did not go on within the time limit");
    }
    if (got == 0) co_return ClientGone();
  }
  body_left_ -= got;
  body_ended_ = body_left_ == 0;
  co_return got;
}

asio::awaitable<Result<size_t>> Exchange::ReadChunked(char* to, size_t size) {
  Connection& connection = connection_;
  size = std::min(size, kChunkedReadMax);
  for (;;) {
    const std::string_view buffered = connection.buffered();
    const bool from_buffer = !buffered.empty();
    size_t got = std::min(size, buffered.size());
    if (from_buffer) {
      std::copy_n(buffered.data(), got, to);
    } else {
      got = co_await connection.Receive(to, size, connection.shared_.options.body_timeout);
      if (got == 0 && connection.timed_out_) {
        co_return Error(Code::kTimeout, "the request's body did not go on within the time limit");
      }
      if (got == 0) co_return ClientGone();
    }
    // Bytes after the body's end stay as they are behind the decoded ones: decoding moves bytes to
    // the front only.
    auto step = chunks_.Decode(to, got);
    if (!step.ok()) co_return std::move(step).error();
    if (from_buffer) {
      connection.begin_ += step->consumed;
    } else {
      connection.surplus_.append(to + step->consumed, got - step->consumed);
    }
    body_ended_ = step->ended;
    if (step->produced > 0 || step->ended) co_return step->produced;
  }
}

asio::awaitable<Result<std::string>> Exchange::ReadAll(size_t bytes_max) {
  const Error too_large(Code::kTooLarge, "the request's body is longer than {} bytes", bytes_max);
  if (head_.content_length.value_or(0) > bytes_max) co_return too_large;
  std::string body;
  size_t filled = 0;
  for (;;) {
    const size_t expected =
        static_cast<size_t>(std::max<uint64_t>(body_left_, head_.chunked ? kReadAllStep : 1));
    body.resize(filled + std::min(expected, kReadAllStep));
    auto got = co_await Read(body.data() + filled, body.size() - filled);
    if (!got.ok()) co_return std::move(got).error();
    filled += *got;
    if (filled > bytes_max) co_return too_large;
    if (*got == 0) break;
  }
  body.resize(filled);
  co_return body;
}

void Exchange::AddHeader(std::string_view name, std::string_view value) {
  CHECK(!answered());
  headers_ += name;
  headers_ += ": ";
  headers_ += value;
  headers_ += "\r\n";
}

void Exchange::PutHead(int status, std::string_view content_type) {
  CHECK(!answered()) << "a request was answered twice";
  status_ = status;
  // An unread body that is still to come would be taken for the next request.
  if (!body_ended_ &&
      (head_.chunked || body_left_ > connection_.buffered().size() || continue_wanted_)) {
    connection_.keep_alive_ = false;
  }
  if (connection_.stopping_) connection_.keep_alive_ = false;
  std::string& out = connection_.output_;
  out += "HTTP/1.1 ";
  fmt::format_to(std::back_inserter(out), "{} ", status);
  out += ReasonPhrase(status);
  out += "\r\n";
  out += connection_.Date();
  if (!content_type.empty()) {
    out += "Content-Type: ";
    out += content_type;
    out += "\r\n";
  }
  out += "X-Request-Id: ";
  out += request_id_;
  out += "\r\n";
  out += headers_;
  if (!connection_.keep_alive_) {
    out += "Connection: close\r\n";
  } else if (head_.minor_version == 0) {
    out += "Connection: keep-alive\r\n";
  }
}

void Exchange::Reply(int status, std::string_view content_type, std::string_view body) {
  PutHead(status, content_type);
  std::string& out = connection_.output_;
  if (status != 204 && status != 304) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", body.size());
  }
  out += "\r\n";
  if (head_.method != "HEAD" && status != 204 && status != 304) out += body;
}

void Exchange::ReplyError(const Error& error, int status, int retry_after_seconds) {
  if (status == 0) status = StatusOf(error.code());
  if (status == 429 || status == 503) AddHeader("Retry-After", std::to_string(retry_after_seconds));
  Reply(status, "application/json", ErrorBody(error, status));
}

asio::awaitable<Status> Exchange::BeginStream(int status, std::string_view content_type) {
  // HTTP/1.0 knows no chunks: there the end of the connection is the end of the answer.
  if (head_.minor_version == 0) connection_.keep_alive_ = false;
  PutHead(status, content_type);
  streaming_ = true;
  connection_.output_ += head_.minor_version == 0 ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n";
  co_return Ok();
}

asio::awaitable<Status> Exchange::Write(std::string_view piece) {
  CHECK(streaming_);
  if (piece.empty() || head_.method == "HEAD") co_return Ok();
  std::string& out = connection_.output_;
  const bool chunked = head_.minor_version == 1;
  if (chunked) fmt::format_to(std::back_inserter(out), "{:x}\r\n", piece.size());
  if (piece.size() < kCopiedBytesMax) {
    out += piece;
  } else {
    co_await connection_.Flush(piece);
  }
  if (chunked) out += "\r\n";
  co_await connection_.Flush();
  if (connection_.broken_) co_return ClientGone();
  co_return Ok();
}

asio::awaitable<Status> Exchange::EndStream() {
  CHECK(streaming_);
  streaming_ = false;
  if (head_.minor_version == 1 && head_.method != "HEAD") connection_.output_ += "0\r\n\r\n";
  co_await connection_.Flush();
  if (connection_.broken_) co_return ClientGone();
  co_return Ok();
}

void Exchange::BreakStream() {
  streaming_ = false;
  connection_.broken_ = true;
}

asio::awaitable<Status> Exchange::Upgrade(std::string_view protocol) {
  AddHeader("Upgrade", protocol);
  AddHeader("Connection", "Upgrade");
  connection_.keep_alive_ = true;  // else the head would say "close" too
  PutHead(101, {});
  connection_.output_ += "\r\n";
  connection_.keep_alive_ = false;
  // What a client sent that nobody reads any more must not destroy the last words to it.
  connection_.linger_ = true;
  co_await connection_.Flush();
  if (connection_.broken_) co_return ClientGone();
  co_return Ok();
}

asio::awaitable<Status> Exchange::SendUpgraded(std::string_view head, std::string_view payload) {
  std::string& out = connection_.output_;
  out += head;
  out += payload;
  co_await connection_.Flush();
  if (connection_.broken_) co_return ClientGone();
  co_return Ok();
}

asio::awaitable<size_t> Exchange::ReceiveUpgraded(char* to, size_t size) {
  const std::string_view buffered = connection_.buffered();
  const size_t got = std::min(size, buffered.size());
  if (got > 0) {
    std::copy_n(buffered.data(), got, to);
    connection_.begin_ += got;
    co_return got;
  }
  co_return co_await connection_.Receive(to, size, std::chrono::milliseconds(0));
}

void Exchange::CancelUpgraded() { connection_.stream_.Cancel(); }

void Exchange::Spawn(asio::awaitable<void> work) {
  asio::co_spawn(connection_.loop_.context, std::move(work), asio::detached);
}

asio::awaitable<void> Exchange::Sleep(std::chrono::milliseconds duration) {
  asio::steady_timer timer(connection_.loop_.context, duration);
  ErrorCode ignored;  // nobody cancels it
  co_await timer.async_wait(WithError(ignored));
}

void Exchange::SetAbandon(std::function<void(Error)> abandon, bool at_stop) {
  connection_.abandon_ = std::move(abandon);
  connection_.abandon_at_stop_ = at_stop;
  if (connection_.abandon_ && (connection_.broken_ || (at_stop && connection_.stopping_))) {
    connection_.abandon_(Error(Code::kUnavailable, "the server is stopping"));
  }
}

std::unique_ptr<asio::steady_timer> Exchange::AbandonAfter(std::chrono::milliseconds limit,
                                                           std::function<void(Error)> abandon) {
  auto timer = std::make_unique<asio::steady_timer>(connection_.loop_.context, limit);
  timer->async_wait([abandon = std::move(abandon)](const ErrorCode& cancelled) {
    if (!cancelled) abandon(Error(Code::kTimeout, "nothing came within the time limit"));
  });
  return timer;
}

bool Exchange::gone() const { return connection_.broken_; }
bool Exchange::stopping() const { return connection_.stopping_; }

void Exchange::BeginWatch() {
  WatchForClose([connection = &connection_] {
    connection->broken_ = true;
    if (connection->abandon_) connection->abandon_(ClientGone());
    connection->stream_.Cancel();  // what waits for room to write
  });
}

void Exchange::WatchForClose(std::function<void()> on_gone) {
  connection_.watch_ = std::make_shared<std::function<void()>>(std::move(on_gone));
  connection_.stream_.WatchForClose(connection_.watch_);
}

void Exchange::EndWatch() {
  connection_.watch_.reset();
  connection_.stream_.Cancel();
}

Result<QueryParameters> KnownParameters(const Exchange& exchange,
                                        const std::vector<std::string>& known) {
  TRY(QueryParameters parameters, ParseQuery(exchange.head().query));
  for (const auto& [name, value] : parameters) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Error(Code::kInvalidArgument, "there is no parameter {}", Quoted(name))
          .Hint(DidYouMean(name, known));
    }
  }
  return parameters;
}

}  // namespace millrace::http
