// The routes of Millrace over HTTP (docs/http.md), on top of a Backend that may come later: until
// then everything but /healthz and /readyz answers 503.
//
// Order of life: make the Service, start a Server with its router, SetServer, recover the node,
// SetBackend. At the end: Server::Stop, then Service::Stop, then the node. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "auth/access.h"
#include "base/memory_budget.h"
#include "columnar/encoder.h"
#include "http/backend.h"
#include "http/exchange.h"
#include "http/live_queries.h"
#include "http/router.h"
#include "http/server.h"
#include "net/work_pool.h"

namespace millrace::http {

struct ServiceOptions {
  int query_threads = 4;         // statements and endpoints that take long
  size_t query_queue_max = 128;  // more are answered 503
  int ingest_threads = 2;        // decode and append
  size_t ingest_queue_max = 64;  // pieces of bodies; more are answered 429, or wait
  size_t body_memory_bytes_max = size_t{256} << 20;  // of all request bodies together
  size_t request_bytes_max = size_t{16} << 20;       // of one request that is taken as a whole
  std::chrono::milliseconds query_timeout{60'000};   // where the request does not say
  std::chrono::milliseconds query_timeout_max{600'000};
  LiveOptions live;
  std::string version;
  const auth::Access* access = nullptr;  // outlives the service; null: open to all
};

// What the routes share.
struct ServiceContext {
  ServiceOptions options;
  std::atomic<Backend*> backend{nullptr};
  std::atomic<const Server*> server{nullptr};
  net::WorkPool queries;
  net::WorkPool ingest;
  LiveQueries live;
  columnar::Encoders encoders;
  std::shared_ptr<MemoryBudget> body_memory;  // shared: bytes may be held until after the service

  explicit ServiceContext(ServiceOptions given)
      : options(std::move(given)),
        queries(options.query_threads, options.query_queue_max),
        ingest(options.ingest_threads, options.ingest_queue_max),
        live(options.live),
        body_memory(std::make_shared<MemoryBudget>(options.body_memory_bytes_max)) {}
  // The backend if it can take requests; else answers 503 and gives null.
  Backend* ReadyBackend(Exchange& exchange);
};

// Waits until what a token stands for is visible.
asio::awaitable<Status> AwaitVisible(Backend& backend, Exchange& exchange, std::string token,
                                     std::chrono::milliseconds timeout);

// Runs `work`, which must own what it needs, on a pool thread. `on_gone`: called when the client
// goes away meanwhile; nullptr: nobody looks.
template <typename T>
asio::awaitable<Result<T>> OnPool(ServiceContext& context, Exchange& exchange,
                                  std::function<Result<T>()> work,
                                  const std::function<void()>* on_gone = nullptr) {
  net::Waiting<T> waiting;
  const bool taken = context.queries.TrySubmit(
      [work = std::move(work), done = waiting.Callback()] { done(work()); });
  if (!taken)
    co_return Error(Code::kUnavailable, "too many requests are waiting")
        .Hint("try again in a second");
  if (on_gone != nullptr) co_return co_await exchange.WaitWhileConnected(waiting, *on_gone);
  co_return co_await exchange.Wait(waiting);
}

class Service {
 public:
  explicit Service(ServiceOptions options);
  ~Service();

  const Router& router() const { return router_; }
  // Both must outlive the server's Stop.
  void SetBackend(Backend* backend) { context_.backend = backend; }
  void SetServer(const Server* server) { context_.server = server; }
  // After Server::Stop: ends the pools.
  void Stop();

 private:
  ServiceContext context_;
  Router router_;
};

// Each adds its routes (one file each).
void AddIngestRoute(ServiceContext& context, Router& router);
void AddSqlRoute(ServiceContext& context, Router& router);
void AddTableRoute(ServiceContext& context, Router& router);
void AddEndpointRoute(ServiceContext& context, Router& router);
void AddSystemRoutes(ServiceContext& context, Router& router);
void AddProjectRoute(ServiceContext& context, Router& router);
void AddTraceRoute(ServiceContext& context, Router& router);
void AddRegistryRoutes(ServiceContext& context, Router& router);
void AddOpenApiRoutes(ServiceContext& context, Router& router);
void AddModelRoutes(ServiceContext& context, Router& router);
void AddBackupRoute(ServiceContext& context, Router& router);

// "5" and "5s" are seconds, "250ms" milliseconds, "2m" minutes. `fallback` where there is none.
Result<std::chrono::milliseconds> ParseTimeout(const std::string* text,
                                               std::chrono::milliseconds fallback,
                                               std::chrono::milliseconds max);
// The first parameter of this name, or null.
const std::string* FindParameter(const QueryParameters& parameters, std::string_view name);

}  // namespace millrace::http
