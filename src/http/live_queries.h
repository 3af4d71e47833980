// LiveQueries keeps the answers that clients follow up to date: one evaluation for each distinct
// endpoint with its parameters after each step that changes what it reads, whatever number of
// clients follow it.
//
//   LiveQuery   one endpoint with parameters: its content, the changes that led to it, its readers
//   LiveReader  one client's place among the changes
//
// An event takes a client from the content at one step to that at another, so it never sees half a
// step. A query that takes longer than a step skips steps. A reader that is behind gets the changes
// one by one as long as they are kept, which is as long as they are shorter than the content (or
// kHistoryBytesMin); else the newest content as a whole. So a slow reader costs its place only.
//
// What was changed by is also what a client that comes again with the id of its last event gets. A
// query without readers stands still and is kept for a while; its next reader wakes it.
//
// Thread-safe. Evaluation: keyed look-ups where the need arises, the rest on a pool of its own, so
// that statements and live answers do not wait for each other.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "base/memory_budget.h"
#include "base/result.h"
#include "http/backend.h"
#include "http/event_stream.h"
#include "http/live_content.h"
#include "net/work_pool.h"

namespace millrace::http {

struct LiveOptions {
  size_t readers_max = 15'000;                        // more are refused
  size_t memory_bytes_max = size_t{256} << 20;        // of all contents and changes together
  size_t answer_bytes_max = size_t{16} << 20;         // of one content
  int threads = 2;                                    // evaluate what is no keyed look-up
  std::chrono::milliseconds evaluation_max{60'000};   // of one evaluation
  std::chrono::milliseconds kept{60'000};             // a query without readers
  std::chrono::milliseconds heartbeat{15'000};        // without an event
  std::chrono::milliseconds retry{1'000};             // clients come again after an end
  std::chrono::milliseconds retry_after_stop{5'000};  // after the end of the process
};

// What a client follows.
struct LiveRequest {
  runtime::EndpointMatch match;
  std::string path;                               // as it came
  std::map<std::string, std::string> parameters;  // of the path and of the query string
  bool numbers_as_strings = false;
};

struct LiveQuery;
class LiveReader;

class LiveQueries {
 public:
  explicit LiveQueries(const LiveOptions& options);
  ~LiveQueries();

  // `last`: what the client has already. kOverloaded: too many readers. REQUIRES: `backend` is the
  // same every time.
  Result<std::unique_ptr<LiveReader>> Join(Backend& backend, LiveRequest request,
                                           std::optional<EventId> last);
  const LiveOptions& options() const { return options_; }
  std::string Metrics() const;
  void CountEvent() { events_.fetch_add(1, std::memory_order_relaxed); }
  // No reader waits any more. Cancels what is evaluated.
  void Stop();

 private:
  friend class LiveReader;
  using QueryPtr = std::shared_ptr<LiveQuery>;

  void ListenTo(Backend& backend);
  void OnStep(bool catalog_changed);
  void LookAtAll();
  void Schedule(const QueryPtr& query);
  void Evaluate(const QueryPtr& query);
  Result<std::shared_ptr<const LiveContent>> Answer(LiveQuery& query);
  Result<std::shared_ptr<const LiveContent>> MakeContent(const LiveQuery& query,
                                                         const runtime::EndpointAnswer& answer);
  void Take(LiveQuery& query, Result<std::shared_ptr<const LiveContent>> outcome);
  void Forget(const QueryPtr& query);
  void Leave(const QueryPtr& query);
  // Lets go of queries without readers: those that have been so for too long, or all.
  void DropUnused(bool all);

  const LiveOptions options_;
  const std::shared_ptr<MemoryBudget> memory_;

  mutable std::mutex mutex_;
  std::map<std::string, QueryPtr> queries_;          // guarded by mutex_
  size_t readers_ = 0;                               // guarded by mutex_
  Backend* backend_ = nullptr;                       // guarded by mutex_; null: not yet, or stopped
  bool stopped_ = false;                             // guarded by mutex_
  std::chrono::steady_clock::time_point next_drop_;  // guarded by mutex_

  std::atomic<bool> look_queued_{false};
  std::atomic<bool> catalog_changed_{false};
  std::atomic<int64_t> evaluations_{0};
  std::atomic<int64_t> events_{0};
  std::atomic<int64_t> coalesced_{0};
  net::WorkPool looking_;     // one thread: after each step
  net::WorkPool evaluating_;  // what is no keyed look-up
};

// Nothing: there is nothing new. A content: the newest, for a client that has none that leads to
// it. An error: the last there is.
using LiveNews = std::variant<std::monostate, std::shared_ptr<const LiveContent>,
                              std::shared_ptr<const LiveChange>, Error>;

// Belongs to one coroutine. Must not outlive the LiveQueries.
class LiveReader {
 public:
  LiveReader(LiveQueries& queries, std::shared_ptr<LiveQuery> query, std::optional<EventId> last,
             uint64_t round);
  ~LiveReader();
  LiveReader(const LiveReader&) = delete;
  LiveReader& operator=(const LiveReader&) = delete;

  // Calls `done` once Next has something, on any thread, maybe at once. A later call takes its
  // place.
  void WhenNews(std::function<void()> done);
  // What is to be sent next. The first time after WhenNews has called.
  LiveNews Next();
  // Why the query is over.
  std::optional<Error> failure() const;

 private:
  friend class LiveQueries;
  bool HasNews() const;   // REQUIRES: the query's mutex is held
  LiveNews BeginAt();     // the same
  LiveNews NextChange();  // the same

  LiveQueries& queries_;
  const std::shared_ptr<LiveQuery> query_;
  const std::optional<EventId> last_;
  const uint64_t round_;  // of the evaluation that shows what was visible when it came
  bool began_ = false;
  uint64_t version_ = 0;  // of the content that the client has
};

}  // namespace millrace::http
