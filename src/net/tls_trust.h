// Whom a TLS client trusts: the authorities of the system or of a file, or one certificate that is
// known beforehand.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "net/tls_session.h"

namespace millrace::net {

struct TlsTrust {
  std::string authorities;  // PEM file; empty: the system's
  // SHA-256 of the only certificate that is good, in hexadecimal digits, instead of authorities,
  // names and dates. Empty: they say.
  std::string fingerprint;
};

// Thread-safe.
class TlsClientContext {
 public:
  // Errors: kInvalidArgument (there is no certificate in the file), kNotFound, kIo.
  static Result<std::shared_ptr<const TlsClientContext>> Make(const TlsTrust& trust);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  // The client's side, before the handshake. `host` is whom the certificate must be for.
  std::unique_ptr<TlsSession> Connect(int socket, const std::string& host) const;
  // After the handshake: whether it is the certificate that was expected.
  Status Check(const TlsSession& session) const;
  // Of a handshake that failed: kUnavailable, and what can be done.
  Error ExplainFailure(const TlsSession& session) const;

 private:
  TlsClientContext(ssl_ctx_st* context, TlsTrust trust);

  ssl_ctx_st* const context_;
  const TlsTrust trust_;
};

}  // namespace millrace::net
