// The listener of the Kafka protocol: connections and their limits. What the requests do is the
// Service's.
//
// Thread-safe. The Service must outlive the server; stop the server first, then the service.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "kafka/service.h"
#include "net/connection_server.h"

namespace millrace::kafka {

// Of one connection: requests whose replies the client has not taken yet, and the bytes of both.
inline constexpr size_t kRequestsMax = 256;
inline constexpr size_t kWaitingBytesMax = 64u << 20;
// Of a request of a client that has to sign in first.
inline constexpr size_t kStrangerBytesMax = 64u << 10;

struct ServerOptions {
  net::ListenOptions listen;
  int io_threads = 1;
  size_t request_bytes_max = 17u << 20;  // one request; a larger one ends the connection unread
  std::chrono::milliseconds idle_timeout{600'000};    // between requests
  std::chrono::milliseconds request_timeout{30'000};  // from a request's first byte to its last
  std::chrono::milliseconds write_timeout{60'000};    // without a byte of the replies taken
};

struct ServerCounters {
  std::atomic<int64_t> requests{0};
  std::atomic<int64_t> malformed{0};
  std::atomic<int64_t> timeouts{0};
  std::atomic<int64_t> bytes_in{0};
  std::atomic<int64_t> bytes_out{0};
};

struct ServerShared;

class Server {
 public:
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options, Service& service);
  ~Server();

  const net::Address& address() const;
  // Prometheus text.
  std::string Metrics() const;
  // No new connections; requests that are being answered get `drain` to finish, then they are cut.
  // Returns when all have ended. Further calls do nothing.
  void Stop(std::chrono::milliseconds drain);

 private:
  Server(const ServerOptions& options, Service& service);

  std::unique_ptr<ServerShared> shared_;
  std::unique_ptr<net::ConnectionServer> server_;
};

}  // namespace millrace::kafka
