#include "net/tls_trust.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "base/files.h"
#include "net/tls_error.h"

namespace millrace::net {

Result<std::shared_ptr<const TlsClientContext>> TlsClientContext::Make(const TlsTrust& trust) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  CHECK(context != nullptr) << "out of memory";
  std::shared_ptr<const TlsClientContext> made(new TlsClientContext(context, trust));
  CHECK(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
  if (!trust.fingerprint.empty()) return made;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  ERR_clear_error();
  if (trust.authorities.empty()) {
    SSL_CTX_set_default_verify_paths(context);  // nobody is trusted where there are none
    ERR_clear_error();
    return made;
  }
  TRY(Files::System().ReadAll(trust.authorities));  // says what is wrong with the file itself
  if (SSL_CTX_load_verify_file(context, trust.authorities.c_str()) != 1) {
    return Error(Code::kInvalidArgument, "{}: there is no certificate in it, in PEM form ({})",
                 trust.authorities, TakeTlsError());
  }
  return made;
}

TlsClientContext::TlsClientContext(ssl_ctx_st* context, TlsTrust trust)
    : context_(context), trust_(std::move(trust)) {}

TlsClientContext::~TlsClientContext() { SSL_CTX_free(context_); }

std::unique_ptr<TlsSession> TlsClientContext::Connect(int socket, const std::string& host) const {
  auto session = std::make_unique<TlsSession>(context_, socket);
  session->BeClient(host);
  return session;
}

Status TlsClientContext::Check(const TlsSession& session) const {
  if (trust_.fingerprint.empty() || session.PeerFingerprint() == trust_.fingerprint) return Ok();
  return Error(Code::kUnavailable, "its TLS certificate is not the one that was noted: {}",
               session.PeerFingerprint());
}

Error TlsClientContext::ExplainFailure(const TlsSession& session) const {
  Error error(Code::kUnavailable, "TLS: {}", session.failure());
  if (session.failure().find("not trusted") != std::string::npos) {
    return std::move(error).Hint(
        "name the node as its certificate does, and the file of its authority with --ca or "
        "MILLRACE_CA");
  }
  if (session.failure().find("wrong version") != std::string::npos)
    return std::move(error).Hint("does it speak plain text? Then write http://");
  return error;
}

}  // namespace millrace::net
