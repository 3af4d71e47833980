// A Stream is the byte stream of one accepted connection: its socket as it is, or TLS over it. In
// plain text it adds nothing to what Asio does; under TLS it tries first, and waits for the socket
// only when that could not go on.
//
// Lives on the loop of its socket; not thread-safe. One coroutine may read while another writes.
// Whatever waits ends with an error when Cancel is called. Errors are Asio's: eof where the peer
// sends no more.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/asio.h"
#include "net/tls_session.h"

namespace millrace::net {

class Stream {
 public:
  explicit Stream(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}
  // REQUIRES, of the source: nothing waits for it.
  Stream(Stream&&) = default;
  // Cuts the connection: a regular end is preceded by SendEnd.
  ~Stream() = default;

  // From here on it is TLS; done with an error that says why not. REQUIRES: it is not yet.
  asio::awaitable<Status> StartTls(std::unique_ptr<TlsSession> session);
  bool is_tls() const { return tls_ != nullptr; }

  // Some bytes, as they come; 0 with an error. REQUIRES: size > 0.
  asio::awaitable<size_t> Read(char* to, size_t size, ErrorCode& error);
  // All of them; false: the stream ended before.
  asio::awaitable<bool> ReadFully(char* to, size_t size);
  // What can be written without waiting. 0 with would_block: WaitToWrite, then the same bytes
  // again.
  size_t TryWrite(const char* data, size_t size, ErrorCode& error);
  asio::awaitable<void> WaitToWrite(ErrorCode& error);

  // Calls *on_gone when the peer ends the connection, as long as somebody else keeps it. Bytes that
  // wait to be read hide the end until they have been. REQUIRES: nobody reads until Cancel.
  void WatchForClose(const std::shared_ptr<std::function<void()>>& on_gone);

  // The peer learns that nothing more comes; reading goes on.
  void SendEnd();
  void Cancel();
  void Close();

  asio::ip::tcp::socket& socket() { return socket_; }
  // The peer's address without port; empty where it has gone.
  std::string PeerHost() const;

 private:
  asio::awaitable<size_t> ReadTls(char* to, size_t size, ErrorCode& error);
  asio::awaitable<void> LetOthersRun(size_t bytes);
  size_t TryWritePlain(const char* data, size_t size, ErrorCode& error);
  bool PeerHasGone(bool& look_again);

  asio::ip::tcp::socket socket_;
  std::unique_ptr<TlsSession> tls_;  // nullptr: plain text
  // What TryWrite could not do without.
  asio::ip::tcp::socket::wait_type write_needs_ = asio::ip::tcp::socket::wait_write;
  size_t bytes_since_wait_ = 0;  // read under TLS
};

}  // namespace millrace::net
