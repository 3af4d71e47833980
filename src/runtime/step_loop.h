// The step loop: chooses what each step takes, journals it, has the pipeline compute it, publishes
// it when its record is durable, and flushes the state from time to time.
//
// Thread rule: one thread of its own drives everything; the methods here may be called from any
// thread unless they say otherwise.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "ingest/door_counters.h"
#include "log/log.h"
#include "runtime/journal.h"
#include "runtime/pipeline.h"
#include "runtime/published.h"
#include "state/store.h"

namespace millrace::runtime {

struct StepLoopContext {
  log::Log* log;
  state::Store* store;
  Pipeline* pipeline;
  Publisher* publisher;
  ingest::DoorCounters* door;
  Clock* clock;
  log::TopicId journal;
  log::TopicId catalog_topic;
  int64_t step_records_max;  // a step takes no more, but for whole frames
  // Told of builds that have all their history, maybe again and again; must not wait for the loop.
  std::function<void(uint64_t build)> on_built;
  // Views have failed (Pipeline::stopped): makes the change of the catalog that halts them. On the
  // loop's thread.
  std::function<Status()> on_stopped;
};

class StepLoop {
 public:
  explicit StepLoop(StepLoopContext context);
  ~StepLoop();

  // REQUIRES: the pipeline is recovered and its state published.
  void Start();
  // Takes what is in the log, flushes, and ends the thread. Idempotent.
  void Stop();

  // Runs `work` on the loop's thread between two steps, and waits for it. kUnavailable after Stop.
  Status AtBoundary(std::function<Status()> work);

  // Ends with ok() as long as the loop can go on.
  Status health() const;
  // Bytes that producers have appended and no step has taken yet, roughly: for back-pressure.
  int64_t lag_records() const { return lag_records_.load(std::memory_order_relaxed); }

  // ---- For work given to AtBoundary, on the loop's thread ----

  // The feed of that relation begins with the next step, which comes at once.
  void Follow(std::string internal_name) { follow_.push_back(std::move(internal_name)); }

  // A step that changes the catalog: its record and the catalog's stand in one frame. When it
  // returns both are durable and the step was computed and published. `install` runs after the
  // records are durable and before the step is computed.
  Status CatalogStep(uint64_t catalog_version, std::string catalog_record,
                     const std::function<Status()>& install);
  // Writes the whole state as of the last step. When it returns it is on disk.
  Status FlushNow();

  struct Stats {
    uint64_t steps = 0;
    uint64_t records = 0;
    double busy_seconds = 0;
    double last_step_seconds = 0;
    uint64_t flushes = 0;
  };
  Stats stats() const;

 private:
  // With nothing to do the loop looks at its timers this often.
  static constexpr std::chrono::milliseconds kIdleTick{100};
  struct Chosen {
    log::FrameSequence frame;
    std::vector<PartitionSlice> slices;
    int64_t records = 0;
    std::optional<HistorySlice> history;
    int64_t history_rows = 0;
  };

  void Loop();
  bool Stopping() const;
  Status GuardedOnce(bool& worked);
  Status LoopOnce(bool& worked);
  void RunBoundaryWork();
  Result<Chosen> Choose();
  // By topic as the readers are known: up to which frame those are taken that lag.
  using Lagging = std::map<log::TopicId, log::FrameSequence>;
  Lagging FindLagging() const;
  static bool IsOf(log::PartitionId known_as, const Lagging& lagging,
                   std::optional<log::TopicId> of);
  log::FrameSequence LastFrameThatFits(const Lagging& lagging,
                                       std::optional<log::TopicId> of) const;
  StepRecord MakeRecord(const Chosen& chosen);
  Status RunStep(Chosen chosen);
  void AdaptSteps(const Chosen& chosen, double seconds);
  // Appends the step's record (and `more` in the same frame); the step is published once it is
  // durable.
  Status Journal(const StepRecord& record, log::AppendRequest more);
  void PublishDurable();
  Status WaitJournal();
  Status MaybeFlush(bool idle);
  Status BeginFlush();
  Status AfterFlush();
  void Fail(const Error& error);

  StepLoopContext context_;
  std::thread thread_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  struct BoundaryWork {
    std::function<Status()> run;
    std::promise<Status> outcome;
  };
  std::deque<BoundaryWork> boundary_work_;
  bool stop_ = false;
  bool accepting_work_ = false;
  log::FrameSequence durable_frame_;  // newest seen by the listener
  state::Step journal_durable_;       // records up to it are durable
  std::optional<Error> journal_error_;
  std::deque<PublishedPtr> computed_;  // not published yet
  Stats stats_;
  std::optional<Error> failed_;
  std::mutex publish_mutex_;  // held while steps are handed to the publisher, in order; taken
                              // before mutex_

  // The loop's own.
  log::FrameSequence seen_frame_;
  double busy_since_flush_ = 0;
  std::chrono::steady_clock::time_point last_flush_;
  std::chrono::steady_clock::time_point last_step_;
  std::optional<NodeState> flushing_;
  bool dirty_ = false;
  int64_t records_target_;           // of the next step
  std::vector<std::string> follow_;  // feeds that begin with the next step
  int64_t history_target_;           // rows that the next step may feed to a build
  std::atomic<int64_t> lag_records_{0};
};

}  // namespace millrace::runtime
