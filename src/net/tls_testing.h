// For tests of TLS: certificates made on the spot, and a client that blocks.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "net/address.h"
#include "net/tls_identity.h"
#include "net/tls_trust.h"

namespace millrace::net {

struct PemPair {
  std::string certificate, key;
};

// One that signs itself. `passphrase` encrypts its key.
inline PemPair MakePair(long valid_seconds = 3600, const char* passphrase = nullptr,
                        const char* names_of_host = "DNS:localhost,IP:127.0.0.1") {
  const auto text_of = [](BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<size_t>(size));
    BIO_free(bio);
    return text;
  };
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* made = X509_new();
  X509_set_version(made, X509_VERSION_3);
  static std::atomic<long> serial{1};
  ASN1_INTEGER_set(X509_get_serialNumber(made), serial.fetch_add(1));
  X509_gmtime_adj(X509_getm_notBefore(made), -7200);
  X509_gmtime_adj(X509_getm_notAfter(made), valid_seconds);
  X509_set_pubkey(made, key);
  X509_NAME* name = X509_get_subject_name(made);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(made, name);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names_of_host);
  X509_add_ext(made, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(made, key, EVP_sha256());
  BIO* certificate = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate, made);
  BIO* secret = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(secret, key, passphrase == nullptr ? nullptr : EVP_aes_256_cbc(),
                           nullptr, 0, nullptr, const_cast<char*>(passphrase));
  X509_free(made);
  EVP_PKEY_free(key);
  return {text_of(certificate), text_of(secret)};
}

// The two files, in a folder of their own.
class PemFiles {
 public:
  PemFiles() {
    std::string folder = ::testing::TempDir() + "/millrace_tls_XXXXXX";
    folder_ = ::mkdtemp(folder.data());
  }
  explicit PemFiles(const PemPair& pair) : PemFiles() { Write(pair); }
  ~PemFiles() { std::filesystem::remove_all(folder_); }

  void Write(const PemPair& pair) const {
    WriteFile(paths().certificate, pair.certificate);
    WriteFile(paths().key, pair.key);
  }
  TlsFiles paths() const { return {folder_ + "/certificate.pem", folder_ + "/key.pem"}; }
  std::unique_ptr<TlsIdentity> Load() const {
    auto identity = TlsIdentity::Load(paths());
    EXPECT_TRUE(identity.ok()) << identity.error().message();
    return std::move(identity).value();
  }

 private:
  // By a new file, so that the change shows whatever the clock's resolution.
  static void WriteFile(const std::string& path, const std::string& text) {
    std::ofstream(path + ".new") << text;
    std::filesystem::permissions(path + ".new", std::filesystem::perms::owner_read);
    std::filesystem::rename(path + ".new", path);
  }
  std::string folder_;
};

// Trusts whatever certificate it is shown, unless told otherwise.
class BlockingTlsClient {
 public:
  explicit BlockingTlsClient(const Address& address) : BlockingTlsClient(Connect(address)) {}
  ~BlockingTlsClient() { Close(); }

  static int Connect(const Address& address) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(address.port);
    ::inet_pton(AF_INET, address.host.c_str(), &to.sin_addr);
    EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    return socket;
  }

  // What a client says first, for tests that stop there: over a socket, a handshake of which the
  // answer came in time goes on by itself.
  static std::string FirstFlight() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    BlockingTlsClient client(ends[0]);
    EXPECT_EQ(client.session().Handshake().state, TlsStep::State::kWaitRead);
    std::string flight(16u << 10, '\0');
    const ssize_t got = ::recv(ends[1], flight.data(), flight.size(), 0);
    EXPECT_GT(got, 0);
    flight.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    ::close(ends[1]);
    return flight;
  }

  bool Handshake() {
    return Until([&] { return session_->Handshake(); }).state == TlsStep::State::kDone;
  }
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const TlsStep step = Until([&] { return session_->Write(bytes.data(), bytes.size()); });
      if (step.state != TlsStep::State::kDone) return false;
      bytes.remove_prefix(step.bytes);
    }
    return true;
  }
  // Up to `size` bytes; fewer where the server ends the connection: ended() says how.
  std::string Receive(size_t size) {
    std::string bytes(size, '\0');
    size_t got = 0;
    while (got < size) {
      last_ = Until([&] { return session_->Read(bytes.data() + got, size - got); });
      if (last_.state != TlsStep::State::kDone) break;
      got += last_.bytes;
    }
    bytes.resize(got);
    return bytes;
  }
  bool ended() const { return last_.state == TlsStep::State::kEnded; }
  TlsSession& session() { return *session_; }
  int socket() const { return socket_; }
  void Close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

 private:
  explicit BlockingTlsClient(int socket) : socket_(socket) {
    TlsTrust nobody;
    nobody.fingerprint = "not looked at";
    context_ = TlsClientContext::Make(nobody).value();
    session_ = context_->Connect(socket_, "");
  }

  template <typename Action>
  TlsStep Until(const Action& action) {
    for (;;) {
      const TlsStep step = action();
      if (!MustWait(step)) return step;
      pollfd wait{socket_,
                  static_cast<short>(step.state == TlsStep::State::kWaitRead ? POLLIN : POLLOUT),
                  0};
      if (::poll(&wait, 1, 20'000) <= 0) return {TlsStep::State::kFailed};
    }
  }

  int socket_;
  std::shared_ptr<const TlsClientContext> context_;
  std::unique_ptr<TlsSession> session_;
  TlsStep last_;
};

}  // namespace millrace::net
