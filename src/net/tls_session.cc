#include "net/tls_session.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "net/tls_error.h"

namespace millrace::net {
namespace {

// OpenSSL's way to the socket. Its own BIO calls write(), which raises SIGPIPE where the peer has
// gone.
int SocketOf(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

int SendThrough(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent =
      ::send(SocketOf(bio), data, static_cast<size_t>(size), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && WouldBlock()) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int ReceiveThrough(BIO* bio, char* to, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(SocketOf(bio), to, static_cast<size_t>(size), MSG_DONTWAIT);
  if (got < 0 && WouldBlock()) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(got);
}

long Control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return 0;
}

BIO_METHOD* SocketMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "millrace socket");
    CHECK(made != nullptr);
    BIO_meth_set_write(made, SendThrough);
    BIO_meth_set_read(made, ReceiveThrough);
    BIO_meth_set_ctrl(made, Control);
    return made;
  }();
  return method;
}

ssl_st* NewSession(ssl_ctx_st* context, int socket) {
  ssl_st* ssl = SSL_new(context);
  BIO* bio = BIO_new(SocketMethod());
  CHECK(ssl != nullptr && bio != nullptr) << "out of memory";
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket)));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  // What was not written is tried again from wherever it lies by then.
  SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                        SSL_MODE_RELEASE_BUFFERS);
  // A record with one system call, instead of one for its head and one for its body.
  SSL_set_read_ahead(ssl, 1);
  return ssl;
}

bool IsAddress(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

}  // namespace

TlsSession::TlsSession(ssl_ctx_st* context, int socket) : ssl_(NewSession(context, socket)) {}

TlsSession::~TlsSession() { SSL_free(ssl_); }

void TlsSession::BeServer() { SSL_set_accept_state(ssl_); }

void TlsSession::BeClient(const std::string& host) {
  SSL_set_connect_state(ssl_);
  if (host.empty()) return;
  if (IsAddress(host)) {
    CHECK(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str()) == 1);
    return;
  }
  SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  CHECK(SSL_set1_host(ssl_, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl_, host.c_str()) == 1)
      << "out of memory";
}

TlsStep TlsSession::StepOf(int result) {
  if (result > 0) return {TlsStep::State::kDone, static_cast<size_t>(result)};
  const int system_error = errno;
  const int reason = SSL_get_error(ssl_, result);
  if (reason == SSL_ERROR_WANT_READ) return {TlsStep::State::kWaitRead};
  if (reason == SSL_ERROR_WANT_WRITE) return {TlsStep::State::kWaitWrite};
  if (reason == SSL_ERROR_ZERO_RETURN) return {TlsStep::State::kEnded};
  failed_ = true;
  const long verified = SSL_get_verify_result(ssl_);
  if (reason == SSL_ERROR_SYSCALL) {
    failure_ = system_error == 0 ? "the connection was closed" : std::strerror(system_error);
  } else if (verified != X509_V_OK && SSL_is_server(ssl_) == 0) {
    failure_ =
        fmt::format("its certificate is not trusted: {}", X509_verify_cert_error_string(verified));
  } else {
    failure_ = TakeTlsError();
  }
  return {TlsStep::State::kFailed};
}

TlsStep TlsSession::Handshake() {
  // The errors of a thread are one queue: what others left there is not ours.
  ERR_clear_error();
  errno = 0;
  return StepOf(SSL_do_handshake(ssl_));
}

TlsStep TlsSession::Read(char* to, size_t size) {
  ERR_clear_error();
  errno = 0;
  return StepOf(SSL_read(ssl_, to, static_cast<int>(std::min<size_t>(size, INT32_MAX))));
}

TlsStep TlsSession::Write(const char* data, size_t size) {
  ERR_clear_error();
  errno = 0;
  return StepOf(SSL_write(ssl_, data, static_cast<int>(std::min<size_t>(size, INT32_MAX))));
}

TlsStep TlsSession::Peek() {
  ERR_clear_error();
  errno = 0;
  char byte = 0;
  return StepOf(SSL_peek(ssl_, &byte, 1));
}

void TlsSession::SendEnd() {
  if (failed_ || SSL_in_init(ssl_) != 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

std::string_view TlsSession::version() const { return SSL_get_version(ssl_); }

std::string TlsSession::PeerFingerprint() const {
  const X509* certificate = SSL_get0_peer_certificate(ssl_);
  return certificate == nullptr ? std::string() : FingerprintOf(*certificate);
}

}  // namespace millrace::net
