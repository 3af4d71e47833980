// What each API does. One Service serves all connections of a listener.
//
// Handlers are coroutines on the connection's loop; what may take long runs on a pool. Requests of
// a connection are handled one after the other, as Kafka does it, with one exception: a Produce
// whose batches are queued lets the next request begin, so that several of one producer share an
// fsync.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "auth/access.h"
#include "base/clock.h"
#include "kafka/backend.h"
#include "kafka/coordinators.h"
#include "kafka/fetch_waiters.h"
#include "kafka/messages.h"
#include "kafka/quotas.h"
#include "kafka/request.h"
#include "net/asio.h"
#include "net/await.h"
#include "net/work_pool.h"

namespace millrace::kafka {

struct ServiceOptions {
  int pool_threads = 4;
  size_t pool_queue_max = 4096;
  // Of one Fetch, whatever its client asks for; a single larger batch still comes whole.
  size_t fetch_bytes_max = 16u << 20;
  // A Produce whose batches find the log's queue full waits this long before it is refused.
  std::chrono::milliseconds overload_wait{2000};
  bool auto_create_topics = true;  // where the client asks for it too
  QuotaOptions quotas = {};
  const auth::Access* access = nullptr;  // outlives the service; null: open to all
};

inline constexpr int32_t kNodeId = 1;                  // there is one node
inline constexpr int32_t kMessageBytesMax = 16 << 20;  // of one batch: what the log takes at once

struct Advertised {
  std::string host;
  int32_t port = 0;
};

class Service {
 public:
  // All of them outlive it.
  Service(ServiceOptions options, Backend& backend, Coordinators& coordinators);
  ~Service();

  const ServiceOptions& options() const { return options_; }
  // Where clients find the node: what Metadata says. Before it is set they are told to wait.
  void Advertise(std::string host, int32_t port);
  // nullptr: not set yet.
  std::shared_ptr<const Advertised> advertised() const { return advertised_.load(); }
  Backend& backend() { return backend_; }
  const Backend& backend() const { return backend_; }
  FetchWaiters& waiters() { return waiters_; }
  net::WorkPool& pool() { return pool_; }
  Quotas& quotas() { return quotas_; }
  kafka_groups::GroupCoordinator& groups() { return coordinators_.groups(); }
  kafka_groups::TransactionCoordinator& transactions() { return coordinators_.transactions(); }

  using Done = std::function<void(const std::shared_ptr<Reply>&)>;
  // Handles one request up to its reply, or, of a Produce, until its batches are queued: `done` is
  // then called when the reply is, on any thread. kCorruption: malformed, the connection ends. The
  // arguments outlive the coroutine; what a Produce needs longer it copies.
  asio::awaitable<Status> Handle(const Request& request, const std::shared_ptr<Reply>& reply,
                                 const Done& done);

  // Fetches and group members that wait are answered at once, from now on.
  void StopWaiting();
  // REQUIRES: no request is being handled.
  void Stop();

 private:
  template <typename Q, typename F>
  Status AtOnce(const Request& request, Reply& reply, const F& handler);
  template <typename Q, typename F>
  asio::awaitable<Status> OnPool(const Request& request, Reply& reply, F handler);
  template <typename Q, typename F>
  asio::awaitable<Status> Awaited(const Request& request, Reply& reply, F handler);

  asio::awaitable<Status> Metadata(const Request& request, Reply& reply);
  asio::awaitable<Status> HandleSasl(const Request& request, Reply& reply);
  asio::awaitable<Status> HandleAdmitted(const Request& request,
                                         const std::shared_ptr<Reply>& reply, const Done& done);
  asio::awaitable<Status> HandleGroups(const Request& request, Reply& reply);
  asio::awaitable<Status> HandleTransactions(const Request& request, Reply& reply);

  const ServiceOptions options_;
  std::atomic<std::shared_ptr<const Advertised>> advertised_;
  Backend& backend_;
  Coordinators& coordinators_;
  FetchWaiters waiters_;
  Quotas quotas_;
  net::WorkPool pool_;
};

// Runs `work`, which outlives the coroutine, on the pool and waits for what it returns.
// kOverloaded: the pool's queue is full.
template <typename T>
asio::awaitable<Result<T>> RunOn(net::WorkPool& pool, const std::function<Result<T>()>& work) {
  net::Waiting<T> waiting;
  const bool queued = pool.TrySubmit([&work, answer = waiting.Callback()] { answer(work()); });
  if (!queued) co_return Error(Code::kOverloaded, "the node has too much to do");
  Result<T> result = co_await waiting.Get();
  co_return result;
}

}  // namespace millrace::kafka
