#include "pg/connection.h"

#include <sys/socket.h>

#include <algorithm>

#include "base/logging.h"
#include "pg/replies.h"

namespace millrace::pg {

namespace {

constexpr size_t kLengthBytes = sizeof(int32_t);
constexpr int kPacketsMax = 4;  // requests for encryption before the start-up packet
// How often a SUBSCRIBE that waits for a step looks whether it is cancelled or its client has gone,
// and how long it waits before it goes to work all the same.
constexpr std::chrono::milliseconds kLook{50};
constexpr std::chrono::seconds kWaitMax{10};

std::string UserOf(const StartupPacket& startup, std::string_view name) {
  for (const auto& [parameter, value] : startup.parameters) {
    if (parameter == name) return value;
  }
  return "";
}

Error Stopping() {
  return Error(Code::kUnavailable, "terminating connection due to administrator command")
      .SqlState("57P01");
}

Error TimedOut(bool in_block) {
  return Error(Code::kTimeout, "terminating connection due to {} timeout",
               in_block ? "idle-in-transaction" : "idle-session")
      .SqlState(in_block ? "25P03" : "57P05");
}

bool IsLoopbackHost(const std::string& host) {
  return host.starts_with("127.") || host == "::1" || host.starts_with("::ffff:127.");
}

}  // namespace

Connection::Connection(net::Stream stream, net::ConnectionSlot slot, net::ConnectionLoop& loop,
                       ServerShared& shared)
    : net::ServedConnection(loop),
      stream_(std::move(stream)),
      slot_(std::move(slot)),
      shared_(shared),
      peer_(stream_.PeerHost()),
      is_local_(IsLoopbackHost(peer_)),
      timer_(loop.context),
      read_deadline_(loop.now + shared.options.startup_timeout) {}

Connection::~Connection() {
  if (key_.process != 0) shared_.cancels.Remove(key_.process);
  stream_.Close();
}

void Connection::Start() { asio::co_spawn(loop_.context, Run(shared_from_this()), asio::detached); }

asio::awaitable<void> Connection::Run(std::shared_ptr<Connection> self) { co_await self->Serve(); }

asio::awaitable<void> Connection::Serve() {
  std::optional<StartupPacket> startup = co_await Greet();
  if (!startup) co_return;
  const bool signed_in = co_await SignIn(*startup);
  if (!signed_in) co_return;
  co_await Converse();
  stream_.SendEnd();
}

asio::awaitable<std::optional<StartupPacket>> Connection::Greet() {
  for (int packets = 0; packets < kPacketsMax; ++packets) {
    char length_bytes[kLengthBytes];
    const bool has_length = co_await stream_.ReadFully(length_bytes, kLengthBytes);
    if (!has_length) co_return std::nullopt;
    const auto length = static_cast<uint32_t>(GetInt32(length_bytes));
    if (length < 2 * kLengthBytes || length > kStrangerBytesMax) {
      shared_.counters.malformed.fetch_add(1);
      co_return std::nullopt;  // another protocol: it would not understand an answer
    }
    std::string bytes(length - kLengthBytes, '\0');
    const bool complete = co_await stream_.ReadFully(bytes.data(), bytes.size());
    if (!complete) co_return std::nullopt;
    Result<StartupPacket> packet = ParseStartup(bytes);
    if (!packet.ok()) {
      shared_.counters.malformed.fetch_add(1);
      const Error error = packet.error();
      co_await Refuse(error);
      co_return std::nullopt;
    }
    switch (packet->kind) {
      case StartupPacket::Kind::kSsl: {
        const bool going_on = co_await OfferTls();
        if (!going_on) co_return std::nullopt;
        break;
      }
      case StartupPacket::Kind::kGss: {
        std::string no = "N";
        const bool sent = co_await Send(no);
        if (!sent) co_return std::nullopt;
        break;
      }
      case StartupPacket::Kind::kCancel:
        shared_.counters.cancels.fetch_add(1);
        shared_.cancels.Cancel({packet->process, packet->secret});
        co_return std::nullopt;
      case StartupPacket::Kind::kStartup:
        co_return std::move(*packet);
    }
  }
  co_return std::nullopt;
}

asio::awaitable<bool> Connection::OfferTls() {
  const bool offered = shared_.options.tls != nullptr && !stream_.is_tls();
  std::string answer = offered ? "S" : "N";
  const bool sent = co_await Send(answer);
  if (!sent || !offered) co_return sent;
  auto tls = shared_.options.tls->Accept(stream_.socket().native_handle());
  const Status done = co_await stream_.StartTls(std::move(tls));
  (done.ok() ? shared_.counters.tls.handshakes : shared_.counters.tls.failures).fetch_add(1);
  co_return done.ok();
}

asio::awaitable<void> Connection::Refuse(const Error& error) {
  std::string out;
  AppendError(error, "FATAL", "", out);
  const bool sent = co_await Send(out);
  if (sent) stream_.SendEnd();
}

asio::awaitable<void> Connection::Pause(std::chrono::milliseconds duration) {
  timer_.expires_after(duration);
  millrace::ErrorCode ended_early;
  co_await timer_.async_wait(WithError(ended_early));
}

asio::awaitable<bool> Connection::SignIn(const StartupPacket& startup) {
  const std::string user = UserOf(startup, "user");
  std::string database = UserOf(startup, "database");
  if (database.empty()) database = kDatabaseName;
  if (user.empty()) {
    const Error nobody =
        Error(Code::kInvalidArgument, "no PostgreSQL user name specified in startup packet")
            .SqlState("28000");
    co_await Refuse(nobody);
    co_return false;
  }
  std::string out;
  const bool newer = startup.minor > 0 ||
                     std::any_of(startup.parameters.begin(), startup.parameters.end(),
                                 [](const auto& each) { return each.first.starts_with("_pq_."); });
  if (newer) {
    MessageWriter message(out);
    message.Begin('v');
    message.Int32(3 << 16);  // the newest that is spoken here
    std::vector<std::string> unknown;
    for (const auto& [name, value] : startup.parameters) {
      if (name.starts_with("_pq_.")) unknown.push_back(name);
    }
    message.Int32(static_cast<int32_t>(unknown.size()));
    for (const std::string& name : unknown) message.Text(name);
    message.End();
  }
  Authenticator authenticator(shared_.access, user, stream_.is_tls() || is_local_);
  Result<std::string> begun = authenticator.Begin();
  std::optional<Error> refused;
  bool signed_in = false;
  if (!begun.ok()) {
    refused = begun.error();
  } else {
    out += *begun;
    signed_in = begun->empty();
  }
  while (!refused && !signed_in) {
    const bool sent = co_await Send(out);
    out.clear();
    if (!sent) co_return false;
    std::string_view in = std::string_view(in_).substr(taken_);
    Result<std::optional<FrontendMessage>> message = TakeMessage(in, kStrangerBytesMax);
    if (message.ok() && !*message) {
      const bool got = co_await ReadSome();
      if (!got) co_return false;
      continue;
    }
    if (!message.ok()) {
      refused = message.error();
      break;
    }
    if ((*message)->type != 'p') co_return false;  // also 'X'
    Result<bool> step = authenticator.Step((*message)->body, out);
    taken_ = in_.size() - in.size();
    if (!step.ok()) {
      refused = step.error();
    } else {
      signed_in = *step;
    }
  }
  if (!refused && !database.empty() && database != kDatabaseName) {
    refused = Error(Code::kNotFound, "database {} does not exist", Quoted(database))
                  .Hint(fmt::format("there is one database: {}", kDatabaseName))
                  .SqlState("3D000");
  } else if (refused) {
    shared_.counters.refused.fetch_add(1);
    LOG_WARNING("a PostgreSQL client could not sign in", "peer={} user={} error=\"{}\"", peer_,
                user, refused->message());
    co_await Pause(shared_.options.failure_delay);
  }
  if (!refused) {
    key_ = shared_.cancels.Add(cancel_);
    session_ = std::make_unique<Session>(
        SessionContext{shared_.node, *shared_.catalog, shared_.access, shared_.counters.sessions},
        user, authenticator.principal(), key_.process, cancel_);
    const Status begun_session = session_->Begin(startup.parameters);
    if (!begun_session.ok()) refused = begun_session.error();
  }
  if (refused) {
    co_await Refuse(*refused);
    co_return false;
  }
  out += Greeting();
  const bool sent = co_await Send(out);
  co_return sent;
}

std::string Connection::Greeting() {
  std::string out;
  MessageWriter message(out);
  message.Begin('R');
  message.Int32(0);
  message.End();
  for (const auto& [name, value] : session_->variables().Reported())
    AppendParameterStatus(name, value, out);
  message.Begin('K');
  message.Int32(key_.process);
  message.Int32(key_.secret);
  message.End();
  AppendReadyForQuery('I', out);
  return out;
}

asio::awaitable<void> Connection::Converse() {
  std::string out;
  Session::Next next = Session::Next::kRead;
  while (!broken_) {
    if (next == Session::Next::kRead) {
      if (loop_.stopping) {
        const Error stopping = Stopping();
        co_await Refuse(stopping);
        co_return;
      }
      const bool got = co_await ReadSome();
      if (!got) {
        if (timed_out_ || (loop_.stopping && !broken_)) {
          const Error reason = timed_out_ ? TimedOut(session_->in_block()) : Stopping();
          broken_ = false;
          co_await Refuse(reason);
        }
        co_return;
      }
      if (!HasMessage()) continue;
    } else if (next == Session::Next::kWait) {
      const bool there = co_await WaitForStep();
      if (!there) co_return;
    }
    if (session_->IsQuick(std::string_view(in_).substr(taken_))) {
      next = WorkHere(out);
      co_await LetOthersGoFirst();
    } else {
      next = co_await Work(out);
    }
    const size_t sent = SendAtOnce(out);
    if (sent < out.size()) {
      const bool rest_sent = co_await Send(std::string_view(out).substr(sent));
      if (!rest_sent) co_return;
    }
    if (next == Session::Next::kEnd) co_return;
    out.clear();
  }
}

// A whole message, or what can be none: half of one is nothing to work on.
bool Connection::HasMessage() const {
  std::string_view in = std::string_view(in_).substr(taken_);
  const auto message = TakeMessage(in, kMessageBytesMax);
  return !message.ok() || message->has_value();
}

std::function<void()> Connection::Job(std::string* out,
                                      std::function<void(Result<Session::Next>)> done) {
  return [this, out, done = std::move(done)] {
    std::string_view in = std::string_view(in_).substr(taken_);
    const Session::Next next = session_->Work(in, *out);
    taken_ = in_.size() - in.size();
    done(next);
  };
}

void Connection::ForgetTaken() {
  if (taken_ < in_.size()) return;
  in_.clear();
  taken_ = 0;
}

Session::Next Connection::WorkHere(std::string& out) {
  std::string_view in = std::string_view(in_).substr(taken_);
  const Session::Next next = session_->Work(in, out);
  taken_ = in_.size() - in.size();
  ForgetTaken();
  return next;
}

std::shared_ptr<std::function<void()>> Connection::OnGone() {
  return std::make_shared<std::function<void()>>([cancel = cancel_] { cancel->Cancel(); });
}

asio::awaitable<Session::Next> Connection::Work(std::string& out) {
  net::Waiting<Session::Next> waiting;
  const bool queued = shared_.pool.TrySubmit(Job(&out, waiting.Callback()));
  if (!queued) {
    AppendError(Error(Code::kOverloaded, "the node has too much to do").Hint("try again later"),
                "FATAL", "", out);
    co_return Session::Next::kEnd;
  }
  const std::shared_ptr<std::function<void()>> on_gone = OnGone();
  stream_.WatchForClose(on_gone);
  Result<Session::Next> next = co_await waiting.Get();
  stream_.Cancel();
  ForgetTaken();
  co_return next.ok() ? *next : Session::Next::kEnd;
}

std::function<void()> Connection::EndOfPause(std::shared_ptr<std::atomic<bool>> come) {
  // The last reference may not go on another thread than the loop's.
  return [come = std::move(come), weak = weak_from_this()] {
    come->store(true);
    std::shared_ptr<Connection> self = weak.lock();
    if (self == nullptr) return;
    asio::io_context& context = self->loop_.context;
    asio::post(context, [self = std::move(self)] { self->timer_.cancel(); });
  };
}

// True: a step has come, or the session is cancelled: it is to work again.
asio::awaitable<bool> Connection::WaitForStep() {
  const auto come = std::make_shared<std::atomic<bool>>(false);
  session_->followed()->WhenMore(kWaitMax, EndOfPause(come));
  bool there = false;
  while (!there && !broken_ && !loop_.stopping && !PeerHasGone()) {
    there = cancel_->cancelled() || come->load();
    if (!there) co_await Pause(kLook);
  }
  if (!there && !broken_ && loop_.stopping) {
    const Error stopping = Stopping();
    co_await Refuse(stopping);
  }
  co_return there;
}

bool Connection::PeerHasGone() const {
  char byte = 0;
  const auto got = ::recv(const_cast<net::Stream&>(stream_).socket().native_handle(), &byte, 1,
                          MSG_PEEK | MSG_DONTWAIT);
  // Whatever a client sends while it is being sent changes is its farewell.
  return got == 0 || (got > 0 && (byte == 'X' || stream_.is_tls()));
}

void Connection::SetReadDeadline() {
  if (session_ == nullptr) return;  // all of the start-up has one
  std::chrono::milliseconds wait = shared_.options.idle_timeout;
  idle_ = taken_ == in_.size();
  if (!idle_) {
    wait = shared_.options.message_timeout;
  } else if (session_->in_block()) {
    const auto asked = session_->variables().idle_in_transaction_timeout();
    wait = shared_.options.block_timeout_max;
    if (asked.count() > 0) wait = std::min(wait, asked);
  }
  read_deadline_ = loop_.now + wait;
}

asio::awaitable<bool> Connection::ReadSome() {
  if (taken_ > 0) {
    in_.erase(0, taken_);
    taken_ = 0;
  }
  SetReadDeadline();
  const size_t from = in_.size();
  in_.resize(from + read_bytes_ + from / 2);
  millrace::ErrorCode error;
  const size_t got = co_await stream_.Read(in_.data() + from, in_.size() - from, error);
  read_bytes_ = from + got == in_.size() ? std::min(2 * read_bytes_, kReadBytesMax)
                                         : std::max(read_bytes_ / 2, kReadBytesMin);
  in_.resize(from + got);
  idle_ = false;
  if (session_ != nullptr) read_deadline_ = kNever;
  shared_.counters.bytes_in.fetch_add(static_cast<int64_t>(got));
  co_return !error;
}

size_t Connection::SendAtOnce(std::string_view bytes) {
  if (bytes.empty()) return 0;
  millrace::ErrorCode error;
  const size_t sent = stream_.TryWrite(bytes.data(), bytes.size(), error);
  shared_.counters.bytes_out.fetch_add(static_cast<int64_t>(sent));
  return sent;
}

asio::awaitable<bool> Connection::Send(std::string_view bytes) {
  const bool sent =
      co_await SendFully(stream_, bytes, shared_.options.write_timeout, write_deadline_);
  if (!sent) co_return false;
  shared_.counters.bytes_out.fetch_add(static_cast<int64_t>(bytes.size()));
  co_return true;
}

void Connection::CheckDeadline() {
  if (loop_.now < std::min(read_deadline_, write_deadline_)) return;
  shared_.counters.timeouts.fetch_add(1);
  const bool can_be_told = idle_ && loop_.now < write_deadline_;
  read_deadline_ = kNever;
  if (can_be_told) {
    timed_out_ = true;
    stream_.Cancel();
    return;
  }
  Abort();
}

void Connection::StopSoon() {
  if (idle_) stream_.Cancel();
  timer_.cancel();
}

void Connection::Abort() {
  broken_ = true;
  cancel_->Cancel();
  timer_.cancel();
  stream_.Cancel();
}

}  // namespace millrace::pg
