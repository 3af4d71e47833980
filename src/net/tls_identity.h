// A TlsIdentity is who a node is to its TLS clients: a certificate with its chain, and its key,
// read from two PEM files. When the files change they are read again, and new connections get the
// new ones; where the new pair is no good the log says so and the old one stays.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "net/tls_session.h"

namespace millrace::net {

struct TlsFiles {
  std::string certificate;  // the node's first, then those up to its authority
  std::string key;          // not encrypted
};

class TlsIdentity {
 public:
  // Errors name the file: kNotFound, kIo (it cannot be read), kInvalidArgument (no PEM, encrypted,
  // too weak, or the key is another certificate's). Warns of a certificate that has expired or is
  // not valid yet, and of a key that every user of the machine may read.
  static Result<std::unique_ptr<TlsIdentity>> Load(const TlsFiles& paths);
  ~TlsIdentity();
  TlsIdentity(const TlsIdentity&) = delete;
  TlsIdentity& operator=(const TlsIdentity&) = delete;

  // The server's side of a connection that was just accepted, from TLS 1.2 on.
  std::unique_ptr<TlsSession> Accept(int socket) const;

  // Looks at the files, and reads them once they have been the same, other than before, at two
  // calls in a row: while they are being written they are of no use. True: there is another
  // certificate from now on. Called about every second.
  bool Refresh();

  // SHA-256 of the certificate in hexadecimal digits.
  std::string fingerprint() const;
  // Prometheus text.
  std::string Metrics() const;

 private:
  struct Pair;
  // What tells one content of the files from another.
  struct Stamp {
    int64_t certificate[4] = {}, key[4] = {};  // device, inode, size, time of the last change
    bool operator==(const Stamp&) const = default;
  };

  TlsIdentity(TlsFiles paths, std::shared_ptr<const Pair> pair, Stamp read);
  static Result<std::shared_ptr<const Pair>> ReadPair(const TlsFiles& paths);
  static Stamp StampOf(const TlsFiles& paths);
  std::shared_ptr<const Pair> pair() const;

  const TlsFiles paths_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Pair> pair_;  // guarded by mutex_
  // Of the thread that refreshes.
  Stamp read_;
  Stamp seen_;
  std::atomic<int64_t> reloads_{0};
  std::atomic<int64_t> failed_reloads_{0};
};

}  // namespace millrace::net
