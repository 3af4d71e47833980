// The HTTP/1.1 server: listener, connections, limits. Knows nothing of what is served: a Router
// says who answers.
//
// Thread-safe. The Router must outlive the server.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/cors.h"
#include "http/request_metrics.h"
#include "http/router.h"
#include "net/connection_server.h"

namespace millrace::http {

struct ServerOptions {
  net::ListenOptions listen;
  int io_threads = 1;
  std::chrono::milliseconds idle_timeout{60'000};   // between requests
  std::chrono::milliseconds head_timeout{10'000};   // from a head's first byte to its last
  std::chrono::milliseconds body_timeout{30'000};   // without a byte of the body
  std::chrono::milliseconds write_timeout{60'000};  // without a byte of the answer taken
  Cors cors;                                        // which pages of other origins browsers let in
};

struct ServerShared;

class Server {
 public:
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options, const Router& router);
  ~Server();

  const net::Address& address() const;
  // Prometheus text of requests and connections.
  std::string Metrics() const;
  // No new connections; idle ones end; requests that are being answered get `drain` to finish, then
  // they are cut. Returns when all have ended. Further calls do nothing.
  void Stop(std::chrono::milliseconds drain);

 private:
  Server(const ServerOptions& options, const Router& router);

  std::unique_ptr<ServerShared> shared_;
  std::unique_ptr<net::ConnectionServer> server_;
};

}  // namespace millrace::http
