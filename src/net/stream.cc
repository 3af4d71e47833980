#include "net/stream.h"

#include <sys/socket.h>

#include <cerrno>

namespace millrace::net {
namespace {

using Socket = asio::ip::tcp::socket;

// A peer that sends faster than it is read would keep the loop to itself.
constexpr size_t kBytesAtOnce = 256u << 10;

ErrorCode LastError() { return ErrorCode(errno, boost::system::system_category()); }

Socket::wait_type NeedOf(const TlsStep& step) {
  return step.state == TlsStep::State::kWaitWrite ? Socket::wait_write : Socket::wait_read;
}

ErrorCode ErrorOf(const TlsStep& step) {
  if (step.state == TlsStep::State::kDone) return {};
  if (step.state == TlsStep::State::kEnded) return asio::error::eof;
  return MustWait(step) ? asio::error::would_block : asio::error::connection_reset;
}

}  // namespace

asio::awaitable<Status> Stream::StartTls(std::unique_ptr<TlsSession> session) {
  for (;;) {
    const TlsStep step = session->Handshake();
    if (step.state == TlsStep::State::kDone) break;
    if (!MustWait(step)) co_return Error(Code::kUnavailable, "{}", session->failure());
    ErrorCode error;
    co_await socket_.async_wait(NeedOf(step), WithError(error));
    if (error) co_return Error(Code::kTimeout, "it did not come to an end in time");
  }
  tls_ = std::move(session);
  co_return Ok();
}

// No coroutine of its own: in plain text it costs what Asio's costs.
asio::awaitable<size_t> Stream::Read(char* to, size_t size, ErrorCode& error) {
  if (tls_ != nullptr) return ReadTls(to, size, error);
  return socket_.async_read_some(asio::buffer(to, size), WithError(error));
}

asio::awaitable<bool> Stream::ReadFully(char* to, size_t size) {
  for (size_t got = 0; got < size;) {
    ErrorCode error;
    const size_t now = co_await Read(to + got, size - got, error);
    got += now;
    if (error) co_return false;
  }
  co_return true;
}

asio::awaitable<size_t> Stream::ReadTls(char* to, size_t size, ErrorCode& error) {
  for (;;) {
    const TlsStep step = tls_->Read(to, size);
    error = ErrorOf(step);
    if (!MustWait(step)) {
      if (step.bytes > 0) co_await LetOthersRun(step.bytes);
      co_return step.bytes;
    }
    bytes_since_wait_ = 0;
    co_await socket_.async_wait(NeedOf(step), WithError(error));
    if (error) co_return 0;
  }
}

asio::awaitable<void> Stream::LetOthersRun(size_t bytes) {
  bytes_since_wait_ += bytes;
  if (bytes_since_wait_ < kBytesAtOnce) co_return;
  bytes_since_wait_ = 0;
  co_await asio::post(socket_.get_executor(), asio::use_awaitable);
}

size_t Stream::TryWrite(const char* data, size_t size, ErrorCode& error) {
  if (tls_ == nullptr) return TryWritePlain(data, size, error);
  const TlsStep step = tls_->Write(data, size);
  error = ErrorOf(step);
  if (MustWait(step)) write_needs_ = NeedOf(step);
  return step.bytes;
}

size_t Stream::TryWritePlain(const char* data, size_t size, ErrorCode& error) {
  for (;;) {
    const ssize_t written =
        ::send(socket_.native_handle(), data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written >= 0) {
      error = {};
      return static_cast<size_t>(written);
    }
    if (errno == EINTR) continue;
    error = errno == EAGAIN ? ErrorCode(asio::error::would_block) : LastError();
    return 0;
  }
}

asio::awaitable<void> Stream::WaitToWrite(ErrorCode& error) {
  co_await socket_.async_wait(write_needs_, WithError(error));
  write_needs_ = Socket::wait_write;
}

bool Stream::PeerHasGone(bool& look_again) {
  look_again = false;
  if (tls_ != nullptr) {
    const TlsStep step = tls_->Peek();
    // What came may have been the protocol's own, such as a new key.
    look_again = MustWait(step);
    return !look_again && step.state != TlsStep::State::kDone;
  }
  char byte = 0;
  const ssize_t peeked = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return peeked == 0 || (peeked < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

void Stream::WatchForClose(const std::shared_ptr<std::function<void()>>& on_gone) {
  socket_.async_wait(Socket::wait_read,
                     [this, weak = std::weak_ptr(on_gone)](const ErrorCode& error) {
                       const auto watch = weak.lock();
                       if (error || !watch) return;
                       bool look_again = false;
                       if (PeerHasGone(look_again)) return (*watch)();
                       if (look_again) WatchForClose(watch);
                     });
}

void Stream::SendEnd() {
  if (tls_ != nullptr) tls_->SendEnd();
  ErrorCode ignored;  // a peer that has gone needs not be told
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
}

void Stream::Cancel() {
  ErrorCode ignored;  // a closed socket has nothing to cancel
  socket_.cancel(ignored);
}

void Stream::Close() {
  ErrorCode ignored;  // it is given up in any case
  socket_.close(ignored);
}

std::string Stream::PeerHost() const {
  ErrorCode error;
  const auto endpoint = socket_.remote_endpoint(error);
  return error ? "" : endpoint.address().to_string();
}

}  // namespace millrace::net
