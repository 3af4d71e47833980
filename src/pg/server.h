// The listener of the PostgreSQL protocol: connections, their limits and their end. What statements
// do is the Session's.
//
// Thread-safe. The node and the access must outlive the server.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "auth/access.h"
#include "base/result.h"
#include "net/connection_server.h"
#include "net/tls_identity.h"
#include "pg/session.h"
#include "runtime/node.h"

namespace millrace::pg {

struct ServerOptions {
  // `listen.tls` stays empty: a client of this protocol asks for TLS after it has connected.
  net::ListenOptions listen;
  const net::TlsIdentity* tls = nullptr;  // nullptr: none is offered; outlives the server
  int io_threads = 1;
  int pool_threads = 16;  // statements that run at a time
  size_t pool_queue_max = 1024;
  std::chrono::milliseconds startup_timeout{30'000};    // until the client has signed in
  std::chrono::milliseconds message_timeout{60'000};    // from a message's first byte to its last
  std::chrono::milliseconds idle_timeout{3'600'000};    // between messages
  std::chrono::milliseconds block_timeout_max{60'000};  // the same within a transaction
  std::chrono::milliseconds write_timeout{60'000};      // without a byte of the replies taken
  std::chrono::milliseconds failure_delay{250};         // before a failed sign-in is answered
};

struct ServerCounters {
  std::atomic<int64_t> messages{0};
  std::atomic<int64_t> malformed{0};
  std::atomic<int64_t> timeouts{0};
  std::atomic<int64_t> refused{0};  // sign-ins
  std::atomic<int64_t> cancels{0};
  std::atomic<int64_t> bytes_in{0};
  std::atomic<int64_t> bytes_out{0};
  net::TlsCounters tls;
  SessionCounters sessions;
};

struct ServerShared;

class Server {
 public:
  // Adds the system table millrace.unanswered to the node. `access`: nullptr: open to all.
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options, runtime::Node& node,
                                               const auth::Access* access);
  ~Server();

  const net::Address& address() const;
  // Prometheus text.
  std::string Metrics() const;
  // No new connections; statements that run get `drain` to finish, then they are cut. Returns when
  // all have ended. Further calls do nothing.
  void Stop(std::chrono::milliseconds drain);

 private:
  explicit Server(std::unique_ptr<ServerShared> shared);

  std::unique_ptr<ServerShared> shared_;
  std::unique_ptr<net::ConnectionServer> server_;
};

}  // namespace millrace::pg
