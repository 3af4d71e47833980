// A TlsSession is one TLS connection over a non-blocking socket: OpenSSL's state machine, which
// reads and writes the socket itself and never waits. A step that cannot go on says what to wait
// for. Listeners (stream.h) and the HTTP client wait in their own ways.
//
// Not thread-safe. The socket is not its own, and outlives it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

// OpenSSL's own names: its headers stay out of ours.
struct ssl_st;
struct ssl_ctx_st;

namespace millrace::net {

struct TlsStep {
  enum class State {
    kDone,       // `bytes` went through; a handshake is over
    kWaitRead,   // the same again, once the socket is readable
    kWaitWrite,  // the same again, with the same bytes, once it is writable
    kEnded,      // the peer said that it sends no more
    kFailed,     // the connection is of no use any more: failure() says why
  };
  State state = State::kDone;
  size_t bytes = 0;
};

inline bool MustWait(const TlsStep& step) {
  return step.state == TlsStep::State::kWaitRead || step.state == TlsStep::State::kWaitWrite;
}

class TlsSession {
 public:
  // Takes the context's settings as they are now. REQUIRES: the socket is connected.
  TlsSession(ssl_ctx_st* context, int socket);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Who comes first to the handshake: a server waits, a client begins.
  void BeServer();
  // `host`, a name or an address, is what the server's certificate must be for; empty: whatever.
  void BeClient(const std::string& host);

  TlsStep Handshake();
  // REQUIRES, of all below: the handshake is over; size > 0.
  TlsStep Read(char* to, size_t size);
  TlsStep Write(const char* data, size_t size);
  // As Read of one byte, which stays where it is.
  TlsStep Peek();
  // Tells the peer that nothing more comes. It is not waited for; after a failure it does nothing.
  void SendEnd();

  const std::string& failure() const { return failure_; }
  // "TLSv1.3".
  std::string_view version() const;
  // SHA-256 of the peer's certificate in hexadecimal; empty: it has shown none.
  std::string PeerFingerprint() const;

 private:
  TlsStep StepOf(int result);

  ssl_st* const ssl_;
  std::string failure_;
  bool failed_ = false;
};

}  // namespace millrace::net
