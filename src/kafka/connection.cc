#include "kafka/connection.h"

#include <algorithm>

#include "base/logging.h"

namespace millrace::kafka {

namespace {

constexpr size_t kSizeBytes = sizeof(int32_t);
// A handshake of TLS 1.x. No request is as large as a size that begins so.
constexpr std::string_view kTlsBegin = "\x16\x03";
// Replies that are done gather up to this size before they are written.
constexpr size_t kGatherBytes = 1u << 20;
// A request's memory grows with what has come of it, by at most this much ahead.
constexpr size_t kReadAheadBytes = 1u << 20;

asio::awaitable<void> WaitFor(asio::steady_timer& timer) {
  timer.expires_at(std::chrono::steady_clock::time_point::max());
  millrace::ErrorCode cancelled;  // it never fires
  co_await timer.async_wait(WithError(cancelled));
}

}  // namespace

Connection::Connection(net::Stream stream, net::ConnectionSlot slot, net::ConnectionLoop& loop,
                       ServerShared& shared)
    : net::ServedConnection(loop),
      stream_(std::move(stream)),
      slot_(std::move(slot)),
      shared_(shared),
      peer_(stream_.PeerHost()),
      session_(shared_.service.options().access, shared_.service.pool()),
      done_(loop.context),
      room_(loop.context),
      still_(loop.context) {}

Connection::~Connection() { stream_.Close(); }

void Connection::Start() {
  asio::co_spawn(loop_.context, Read(shared_from_this()), asio::detached);
  asio::co_spawn(loop_.context, Write(shared_from_this()), asio::detached);
}

asio::awaitable<void> Connection::Read(std::shared_ptr<Connection> self) {
  co_await self->ReadRequests();
}

asio::awaitable<void> Connection::Write(std::shared_ptr<Connection> self) {
  co_await self->WriteReplies();
}

asio::awaitable<void> Connection::ReadRequests() {
  while (!broken_ && !loop_.stopping) {
    std::string received = co_await ReadRequest();
    if (received.empty()) break;
    const auto bytes = std::make_shared<const std::string>(std::move(received));
    shared_.counters.requests.fetch_add(1);
    shared_.counters.bytes_in.fetch_add(static_cast<int64_t>(bytes->size()));
    const bool bare = session_.expects_bare_token();
    auto handling = bare ? HandleBareToken(bytes) : HandleRequest(bytes);
    const Status handled = co_await std::move(handling);
    if (!handled.ok()) {
      Complain(handled.error());
      break;  // what was asked before is still answered
    }
    if (session_.failed()) break;
    co_await BeStill();
    co_await WaitForRoom();
  }
  reading_ended_ = true;
  done_.cancel();
}

std::shared_ptr<Reply> Connection::OweReply(size_t request_bytes) {
  auto reply = std::make_shared<Reply>();
  replies_.push_back({reply, request_bytes});
  waiting_bytes_ += request_bytes;
  return reply;
}

void Connection::ForgetLastReply() {
  waiting_bytes_ -= replies_.back().request_bytes;
  replies_.pop_back();
}

asio::awaitable<Status> Connection::HandleRequest(std::shared_ptr<const std::string> bytes) {
  Result<Request> request = ParseRequest(*bytes);
  if (!request.ok()) co_return request.error();
  request->client_host = peer_;
  request->session = &session_;
  const Status admitted = session_.Admit(*request);
  if (!admitted.ok()) co_return admitted.error();
  const std::shared_ptr<Reply> reply = OweReply(bytes->size());
  const Service::Done done = WhenDone(bytes);
  const Status handled = co_await shared_.service.Handle(*request, reply, done);
  if (!handled.ok()) ForgetLastReply();
  still_for_ = reply->throttle;
  co_return handled;
}

asio::awaitable<Status> Connection::HandleBareToken(std::shared_ptr<const std::string> bytes) {
  const std::shared_ptr<Reply> reply = OweReply(bytes->size());
  const SaslAuthenticateResponse answer = co_await session_.Authenticate(*bytes);
  if (answer.error_code != ErrorCode::kNone) {
    ForgetLastReply();
    co_return Error(Code::kInvalidArgument, "{}", answer.error_message.value_or(""));
  }
  PutBig(reply->bytes, static_cast<int32_t>(answer.auth_bytes.value.size()));
  reply->bytes += answer.auth_bytes.value;
  OnDone(reply);
  co_return Ok();
}

Service::Done Connection::WhenDone(std::shared_ptr<const std::string> request) {
  return [self = shared_from_this(),
          request = std::move(request)](const std::shared_ptr<Reply>& answered) {
    if (self->loop_.context.get_executor().running_in_this_thread()) return self->OnDone(answered);
    asio::post(self->loop_.context, [self, answered] { self->OnDone(answered); });
  };
}

void Connection::Complain(const Error& error) const {
  shared_.counters.malformed.fetch_add(1);
  LOG_WARNING("a Kafka client's connection is closed", "peer={} error=\"{}\"", peer_,
              error.message());
}

void Connection::OnDone(const std::shared_ptr<Reply>& reply) {
  reply->done = true;
  waiting_bytes_ += reply->bytes.size();
  done_.cancel();
}

asio::awaitable<std::string> Connection::ReadRequest() {
  std::string bytes;
  char size_bytes[kSizeBytes];
  idle_ = replies_.empty();
  const bool stranger = session_.is_stranger();
  read_deadline_ =
      loop_.now + (stranger ? shared_.options.request_timeout : shared_.options.idle_timeout);
  const bool has_size = co_await stream_.ReadFully(size_bytes, kSizeBytes);
  idle_ = false;
  if (!has_size) co_return bytes;
  if (std::string_view(size_bytes, 2) == kTlsBegin) {
    Complain(Error(Code::kInvalidArgument, "the client speaks TLS, and here is plain text"));
    co_return bytes;
  }
  const auto size = GetBig<int32_t>(size_bytes);
  const size_t bytes_max = stranger ? kStrangerBytesMax : shared_.options.request_bytes_max;
  if (size <= 0 || static_cast<size_t>(size) > bytes_max) {
    Complain(Error(Code::kTooLarge, "a request of {} bytes, more than {}", size, bytes_max));
    co_return bytes;
  }
  read_deadline_ = loop_.now + shared_.options.request_timeout;
  const auto wanted = static_cast<size_t>(size);
  while (bytes.size() < wanted) {
    const size_t from = bytes.size();
    bytes.resize(std::min(wanted, from + kReadAheadBytes));
    const bool got = co_await stream_.ReadFully(bytes.data() + from, bytes.size() - from);
    if (!got) co_return std::string();
  }
  read_deadline_ = kNever;
  co_return bytes;
}

asio::awaitable<void> Connection::WaitForRoom() {
  while (!broken_ && (replies_.size() >= kRequestsMax || waiting_bytes_ >= kWaitingBytesMax))
    co_await WaitFor(room_);
}

asio::awaitable<void> Connection::BeStill() {
  if (still_for_.count() == 0 || broken_ || loop_.stopping) co_return;
  still_.expires_after(still_for_);
  still_for_ = {};
  millrace::ErrorCode ended_early;
  co_await still_.async_wait(WithError(ended_early));
}

asio::awaitable<void> Connection::WriteReplies() {
  std::string out;
  while (!broken_) {
    out.clear();
    while (!replies_.empty() && replies_.front().reply->done && out.size() < kGatherBytes) {
      std::string& bytes = replies_.front().reply->bytes;
      waiting_bytes_ -= replies_.front().request_bytes + bytes.size();
      if (out.empty()) {
        out.swap(bytes);
      } else {
        out += bytes;
      }
      replies_.pop_front();
      room_.cancel();
    }
    if (!out.empty()) {
      const bool written = co_await Send(out);
      if (!written) broken_ = true;
      continue;
    }
    if (reading_ended_ && replies_.empty()) break;
    co_await WaitFor(done_);
  }
  if (!broken_) stream_.SendEnd();
  // Whoever reads ends, too.
  broken_ = true;
  room_.cancel();
  still_.cancel();
  millrace::ErrorCode ignored;  // it is given up in any case
  stream_.socket().shutdown(asio::socket_base::shutdown_both, ignored);
  stream_.Cancel();
}

asio::awaitable<bool> Connection::Send(const std::string& bytes) {
  const bool sent =
      co_await SendFully(stream_, bytes, shared_.options.write_timeout, write_deadline_);
  if (!sent) co_return false;
  shared_.counters.bytes_out.fetch_add(static_cast<int64_t>(bytes.size()));
  co_return true;
}

void Connection::CheckDeadline() {
  if (loop_.now < std::min(read_deadline_, write_deadline_)) return;
  // A reader that waits for its replies is not idle.
  if (loop_.now < write_deadline_ && !replies_.empty() && idle_) return;
  shared_.counters.timeouts.fetch_add(1);
  Abort();
}

void Connection::StopSoon() {
  still_.cancel();
  if (idle_) stream_.Cancel();
}

void Connection::Abort() {
  broken_ = true;
  done_.cancel();
  room_.cancel();
  still_.cancel();
  stream_.Cancel();
}

}  // namespace millrace::kafka
