#include "net/tls_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <ctime>

#include "base/check.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/logging.h"
#include "net/connection_server.h"
#include "net/tls_error.h"

namespace millrace::net {
namespace {

template <auto Free>
struct Freeing {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Freeing<SSL_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, Freeing<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freeing<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Freeing<BIO_free>>;

// Of TLS 1.2; all of 1.3 are of this kind: keys of one session only, authenticated encryption.
constexpr char kCiphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr size_t kFileBytesMax = 1u << 20;

// OpenSSL would ask for the passphrase at the terminal.
int RefusePassphrase(char*, int, int, void*) { return -1; }

Error Unusable(const std::string& file, std::string_view why) {
  return Error(Code::kInvalidArgument, "{}: {}", file, why);
}

BioPtr Reading(const std::string& text) {
  BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  CHECK(bio != nullptr) << "out of memory";
  return bio;
}

Result<std::string> ReadFile(const std::string& path) {
  TRY(std::string text, Files::System().ReadAll(path));
  if (text.size() > kFileBytesMax) return Unusable(path, "it is too long for a PEM file");
  return text;
}

Status UseCertificates(SSL_CTX& context, const std::string& text, const std::string& file) {
  const BioPtr bio = Reading(text);
  ERR_clear_error();
  const CertificatePtr own(PEM_read_bio_X509_AUX(bio.get(), nullptr, RefusePassphrase, nullptr));
  if (own == nullptr) return Unusable(file, "there is no certificate in it, in PEM form");
  if (SSL_CTX_use_certificate(&context, own.get()) != 1)
    return Unusable(file, fmt::format("the certificate cannot be used: {}", TakeTlsError()));
  for (;;) {
    const CertificatePtr next(PEM_read_bio_X509(bio.get(), nullptr, RefusePassphrase, nullptr));
    if (next == nullptr) break;
    if (SSL_CTX_add1_chain_cert(&context, next.get()) != 1)
      return Unusable(file, fmt::format("its chain cannot be used: {}", TakeTlsError()));
  }
  ERR_clear_error();  // the end of the file is one
  return Ok();
}

Status UseKey(SSL_CTX& context, const std::string& text, const TlsFiles& paths) {
  if (text.find("ENCRYPTED") != std::string::npos) {
    return Unusable(paths.key, "the key is encrypted")
        .Hint("write it without a passphrase (openssl pkey -in FILE -out NEW), closed to others");
  }
  const BioPtr bio = Reading(text);
  ERR_clear_error();
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassphrase, nullptr));
  if (key == nullptr) return Unusable(paths.key, "there is no private key in it, in PEM form");
  if (X509_check_private_key(SSL_CTX_get0_certificate(&context), key.get()) != 1) {
    ERR_clear_error();
    return Unusable(paths.key,
                    fmt::format("the key is not that of the certificate in {}", paths.certificate));
  }
  if (SSL_CTX_use_PrivateKey(&context, key.get()) != 1)
    return Unusable(paths.key, fmt::format("the key cannot be used: {}", TakeTlsError()));
  return Ok();
}

ContextPtr NewContext() {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  CHECK(context != nullptr) << "out of memory";
  CHECK(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(context.get(), kCiphers) == 1);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_PRIORITIZE_CHACHA);
  // Sessions are resumed by tickets, which the clients keep: here they take no memory.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_default_passwd_cb(context.get(), RefusePassphrase);
  return context;
}

time_t TimeOf(const ASN1_TIME* at) {
  tm parts{};
  return ASN1_TIME_to_tm(at, &parts) == 1 ? ::timegm(&parts) : 0;
}

bool AnybodyMayRead(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && (found.st_mode & S_IROTH) != 0;
}

void PutStamp(const std::string& path, int64_t (&to)[4]) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return;
  to[0] = static_cast<int64_t>(found.st_dev);
  to[1] = static_cast<int64_t>(found.st_ino);
  to[2] = found.st_size;
  to[3] = found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec;
}

}  // namespace

struct TlsIdentity::Pair {
  ContextPtr context;
  std::string fingerprint;
  time_t valid_from = 0, expires = 0;
};

Result<std::shared_ptr<const TlsIdentity::Pair>> TlsIdentity::ReadPair(const TlsFiles& paths) {
  auto pair = std::make_shared<Pair>();
  pair->context = NewContext();
  TRY(const std::string certificates, ReadFile(paths.certificate));
  TRY(const std::string key, ReadFile(paths.key));
  TRY(UseCertificates(*pair->context, certificates, paths.certificate));
  TRY(UseKey(*pair->context, key, paths));
  const X509* own = SSL_CTX_get0_certificate(pair->context.get());
  pair->fingerprint = FingerprintOf(*own);
  pair->valid_from = TimeOf(X509_get0_notBefore(own));
  pair->expires = TimeOf(X509_get0_notAfter(own));
  const time_t now = static_cast<time_t>(Clock::System().Now().value / 1'000'000);
  if (now > pair->expires || now < pair->valid_from) {
    LOG_WARNING("clients will refuse the TLS certificate: it has expired or is not valid yet",
                "file={} valid_from={} expires={} now={}", paths.certificate, pair->valid_from,
                pair->expires, now);
  }
  if (AnybodyMayRead(paths.key)) {
    LOG_WARNING("every user of this machine may read the TLS key: close it (chmod 600)", "file={}",
                paths.key);
  }
  return std::shared_ptr<const Pair>(std::move(pair));
}

TlsIdentity::Stamp TlsIdentity::StampOf(const TlsFiles& paths) {
  Stamp stamp;
  PutStamp(paths.certificate, stamp.certificate);
  PutStamp(paths.key, stamp.key);
  return stamp;
}

Result<std::unique_ptr<TlsIdentity>> TlsIdentity::Load(const TlsFiles& paths) {
  const Stamp stamp = StampOf(paths);  // before they are read: a change meanwhile is seen later
  auto pair = ReadPair(paths);
  if (!pair.ok()) return std::move(pair).error().With("TLS");
  return std::unique_ptr<TlsIdentity>(new TlsIdentity(paths, std::move(pair).value(), stamp));
}

TlsIdentity::TlsIdentity(TlsFiles paths, std::shared_ptr<const Pair> pair, Stamp read)
    : paths_(std::move(paths)), pair_(std::move(pair)), read_(read), seen_(read) {}

TlsIdentity::~TlsIdentity() = default;

std::shared_ptr<const TlsIdentity::Pair> TlsIdentity::pair() const {
  std::lock_guard lock(mutex_);
  return pair_;
}

std::unique_ptr<TlsSession> TlsIdentity::Accept(int socket) const {
  auto session = std::make_unique<TlsSession>(pair()->context.get(), socket);
  session->BeServer();
  return session;
}

bool TlsIdentity::Refresh() {
  const Stamp now = StampOf(paths_);
  const bool settled = now == seen_;
  seen_ = now;
  if (!settled || now == read_) return false;
  read_ = now;
  auto pair = ReadPair(paths_);
  if (!pair.ok()) {
    failed_reloads_.fetch_add(1);
    LOG_ERROR("the new TLS certificate or key is no good, the old ones stay", "error=\"{}\"",
              pair.error().message());
    return false;
  }
  reloads_.fetch_add(1);
  // The operator who changed it sees that it was taken.
  LOG_WARNING("another TLS certificate is used from now on", "file={} expires={}",
              paths_.certificate, (*pair)->expires);
  std::lock_guard lock(mutex_);
  pair_ = std::move(pair).value();
  return true;
}

std::string TlsIdentity::fingerprint() const { return pair()->fingerprint; }

std::string TlsIdentity::Metrics() const {
  return MetricText("tls_certificate_expires_seconds", "gauge",
                    "When the TLS certificate expires, in seconds since 1970.",
                    static_cast<int64_t>(pair()->expires)) +
         MetricText("tls_certificate_reloads_total", "counter",
                    "Changed TLS certificates that were taken.", reloads_.load()) +
         MetricText("tls_certificate_reload_failures_total", "counter",
                    "Changed TLS certificates that were no good.", failed_reloads_.load());
}

}  // namespace millrace::net
