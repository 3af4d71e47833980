#include "http/connection.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/clock.h"
#include "base/logging.h"
#include "http/problem.h"
#include "http/text.h"

namespace millrace::http {
namespace {

constexpr size_t kInputBytesMin = 4 * 1024;
// Answers to pipelined requests gather up to this size before they are written.
constexpr size_t kOutputGatherBytes = 64 * 1024;
constexpr size_t kOutputKeptBytes = 256 * 1024;
constexpr size_t kRequestIdBytesMax = 64;
// What is read and thrown away at the end of a connection, so that its client sees the answer and
// not a reset.
constexpr size_t kLingerBytesMax = 4 * 1024 * 1024;
constexpr std::chrono::milliseconds kLingerTime{2'000};

bool IsPlainId(std::string_view id) {
  return !id.empty() && id.size() <= kRequestIdBytesMax &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_' || c == '.' || c == ':';
         });
}

}  // namespace

Connection::Connection(net::Stream stream, net::ConnectionSlot slot, net::ConnectionLoop& loop,
                       ServerShared& shared)
    : net::ServedConnection(loop),
      stream_(std::move(stream)),
      slot_(std::move(slot)),
      shared_(shared) {
  stopping_ = loop_.stopping;
}

Connection::~Connection() { stream_.Close(); }

asio::awaitable<void> Connection::Run() {
  // Here and everywhere: co_await stands alone in its statement. Within conditions GCC 12
  // miscompiles it.
  while (!broken_ && keep_alive_) {
    const bool has_request = co_await ReadHead();
    if (!has_request) break;
    const auto started = Tick();
    keep_alive_ = head_.keep_alive;
    deadline_ = std::chrono::steady_clock::time_point::max();
    Exchange exchange(*this, head_, RequestId(head_));
    const Route* route = AnswerAtOnce(exchange);
    if (route != nullptr) co_await Answer(*route, exchange);
    EndRequest(exchange, SecondsSince(started));
    if (!surplus_.empty()) {
      input_.assign(surplus_);
      begin_ = 0;
      end_ = input_.size();
      surplus_.clear();
    }
    if (output_.size() >= kOutputGatherBytes) co_await Flush();
  }
  co_await Flush();
  if (broken_) co_return;
  stream_.SendEnd();
  if (linger_ || begin_ < end_) co_await Linger();
}

asio::awaitable<bool> Connection::ReadHead() {
  bool head_began = false;
  for (;;) {
    const ParsedHead parsed = ParseHead(buffered(), head_);
    if (parsed.state == ParsedHead::State::kComplete) {
      begin_ += parsed.bytes;
      co_return true;
    }
    if (parsed.state == ParsedHead::State::kRefused) {
      Refuse(parsed.status, parsed.reason);
      co_return false;
    }
    if (!output_.empty()) {
      co_await LetOthersGoFirst();
      if (!FlushAtOnce()) co_await Flush();
    }
    if (broken_) co_return false;
    if (begin_ == end_) {
      begin_ = end_ = 0;
      if (stopping_) co_return false;
    } else if (begin_ > 0) {
      input_.erase(0, begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    // The parser refuses a head before it reaches the buffer's largest size.
    if (end_ == input_.size())
      input_.resize(std::clamp(input_.size() * 2, kInputBytesMin, 2 * kHeadBytesMax));
    waiting_for_request_ = end_ == 0;
    if (waiting_for_request_) {
      SetDeadline(shared_.options.idle_timeout);
    } else if (!head_began) {
      head_began = true;
      SetDeadline(shared_.options.head_timeout);
    }
    ErrorCode error;
    const size_t got = co_await stream_.Read(input_.data() + end_, input_.size() - end_, error);
    waiting_for_request_ = false;
    if (error || got == 0) {
      if (timed_out_ && end_ > 0)
        Refuse(408, "the request head did not come within the time limit");
      co_return false;
    }
    end_ += got;
  }
}

void Connection::Refuse(int status, std::string_view reason) {
  const RequestHead head;  // what came of it cannot be trusted
  Exchange exchange(*this, head, RequestId(head));
  keep_alive_ = false;
  linger_ = true;
  const Code code = status == 431 || status == 414   ? Code::kTooLarge
                    : status == 408                  ? Code::kTimeout
                    : status == 501 || status == 505 ? Code::kNotSupported
                                                     : Code::kInvalidArgument;
  exchange.ReplyError(Error(code, std::string(reason)), status);
  shared_.metrics.Count(loop_.index, "malformed", status, 0);
}

void Connection::EndRequest(Exchange& exchange, double seconds) {
  if (!exchange.answered() && !broken_) {
    exchange.ReplyError(Error(Code::kInternal, "the request was left without an answer"));
  }
  if (exchange.streaming_) {
    LOG_ERROR("an answer was left unfinished", "id={}", exchange.request_id());
    broken_ = true;
  }
  if (!exchange.body_ended_ && keep_alive_) {
    begin_ += static_cast<size_t>(
        exchange.body_left_);  // all of it is in the buffer: see Exchange::PutHead
  }
  if (!keep_alive_ && !exchange.body_ended_) linger_ = true;
  shared_.metrics.Count(loop_.index, exchange.metric_route(), exchange.status(), seconds);
  if (exchange.status() >= 500) {
    LOG_WARNING("request failed", "id={} method={} path={} status={}", exchange.request_id(),
                head_.method, head_.path, exchange.status());
  } else {
    LOG_DEBUG("request", "id={} method={} path={} status={}", exchange.request_id(), head_.method,
              head_.path, exchange.status());
  }
}

const Route* Connection::AnswerAtOnce(Exchange& exchange) {
  // Asked without a token, and whether or not the path exists.
  if (exchange.ReplyToPreflight()) {
    exchange.set_metric_route("preflight");
    return nullptr;
  }
  Router::Match match = shared_.router.Find(head_.method, head_.path);
  if (match.route == nullptr) {
    AnswerWithoutRoute(match.allow, exchange);
    return nullptr;
  }
  exchange.set_metric_route(match.route->pattern);
  exchange.set_segments(std::move(match.segments));
  if (!shared_.router.Admits(exchange, *match.route)) return nullptr;
  if (!match.route->at_once) return match.route;
  try {
    return match.route->at_once(exchange) ? nullptr : match.route;
  } catch (const std::exception& error) {  // of libraries, such as out of memory
    AnswerFailed(exchange, error.what());
    return nullptr;
  }
}

void Connection::AnswerWithoutRoute(const std::string& allow, Exchange& exchange) {
  exchange.set_metric_route("other");
  // What there is and what not is for those who signed in.
  static const Route kNoRoute{"", "", {}, {}, std::nullopt};
  if (!shared_.router.Admits(exchange, kNoRoute)) return;
  if (head_.method == "OPTIONS" && (!allow.empty() || head_.path == "*")) {
    exchange.AddHeader("Allow", allow.empty() ? "GET, HEAD, POST, OPTIONS" : allow + ", OPTIONS");
    exchange.Reply(204, {}, {});
  } else if (allow.empty()) {
    exchange.ReplyError(Error(Code::kNotFound, "there is nothing at {}", Quoted(head_.path))
                            .Hint("GET / lists the paths"));
  } else {
    exchange.AddHeader("Allow", allow + ", OPTIONS");
    exchange.ReplyError(
        Error(Code::kInvalidArgument, "{} does not take {}", head_.path, head_.method)
            .Hint(fmt::format("it takes {}", allow)),
        405);
  }
}

asio::awaitable<void> Connection::Answer(const Route& route, Exchange& exchange) {
  std::string failure;
  try {
    co_await route.handler(exchange);
    co_return;
  } catch (const std::exception& error) {  // of libraries, such as out of memory
    failure = error.what();
  }
  AnswerFailed(exchange, failure);
}

void Connection::AnswerFailed(Exchange& exchange, const std::string& why) {
  LOG_ERROR("a handler failed", "id={} path={} error=\"{}\"", exchange.request_id(), head_.path,
            why);
  if (exchange.answered()) {
    exchange.BreakStream();
  } else {
    exchange.ReplyError(Error(Code::kInternal, "{}", why));
  }
}

// After an answer that left input unread: a close with unread bytes makes the kernel send a reset,
// which can destroy the answer on its way.
asio::awaitable<void> Connection::Linger() {
  SetDeadline(kLingerTime);
  input_.resize(kOutputGatherBytes);
  size_t dropped = 0;
  while (dropped < kLingerBytesMax) {
    const size_t got = co_await Receive(input_.data(), input_.size(), Duration::zero());
    if (got == 0) co_return;
    dropped += got;
  }
}

bool Connection::FlushAtOnce() {
  if (broken_) return true;
  ErrorCode error;
  const size_t sent = stream_.TryWrite(output_.data(), output_.size(), error);
  if (sent < output_.size()) {
    output_.erase(0, sent);
    return false;
  }
  EmptyOutput();
  return true;
}

void Connection::EmptyOutput() {
  output_.clear();
  if (output_.capacity() > kOutputKeptBytes) output_.shrink_to_fit();
}

asio::awaitable<void> Connection::Flush(std::string_view more) {
  std::string_view left = output_;
  while (!broken_) {
    if (left.empty()) left = std::exchange(more, {});
    if (left.empty()) break;
    // Most answers fit into the socket's buffer: then no wait, and no trip through the event loop.
    ErrorCode error;
    left.remove_prefix(stream_.TryWrite(left.data(), left.size(), error));
    if (!error) continue;
    if (error != asio::error::would_block) {
      broken_ = true;
      break;
    }
    const auto saved = deadline_;
    SetDeadline(shared_.options.write_timeout);
    co_await stream_.WaitToWrite(error);
    deadline_ = saved;
    if (error) broken_ = true;
  }
  EmptyOutput();
}

asio::awaitable<size_t> Connection::Receive(char* to, size_t size, Duration limit) {
  if (broken_) co_return 0;
  if (limit > Duration::zero()) SetDeadline(limit);
  ErrorCode error;
  const size_t got = co_await stream_.Read(to, size, error);
  if (limit > Duration::zero()) deadline_ = std::chrono::steady_clock::time_point::max();
  co_return error ? 0 : got;
}

void Connection::SetDeadline(Duration limit) {
  timed_out_ = false;
  deadline_ = loop_.now + limit;
}

void Connection::CheckDeadline() {
  if (loop_.now < deadline_) return;
  if (!timed_out_) shared_.timeouts.fetch_add(1);
  timed_out_ = true;
  // Again with every sweep: a cancellation that meets bytes that have just come is lost.
  stream_.Cancel();
}

void Connection::StopSoon() {
  stopping_ = true;
  if (waiting_for_request_) stream_.Cancel();
  if (abandon_ && abandon_at_stop_) abandon_(Error(Code::kUnavailable, "the server is stopping"));
}

void Connection::Abort() {
  stopping_ = true;
  broken_ = true;
  if (abandon_) abandon_(Error(Code::kUnavailable, "the server is stopping"));
  if (watch_) (*watch_)();
  stream_.Cancel();
}

std::string Connection::RequestId(const RequestHead& head) const {
  if (const auto given = head.Get("x-request-id"); given && IsPlainId(*given))
    return std::string(*given);
  return fmt::format("{:08x}-{:x}", shared_.instance, shared_.next_request.fetch_add(1));
}

const std::string& Connection::Date() {
  DateLine& line = shared_.dates[loop_.index];
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != line.second) {
    line.second = now.tv_sec;
    tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    line.text = fmt::format("Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n", kDays[parts.tm_wday],
                            parts.tm_mday, kMonths[parts.tm_mon], parts.tm_year + 1900,
                            parts.tm_hour, parts.tm_min, parts.tm_sec);
  }
  return line.text;
}

}  // namespace millrace::http
