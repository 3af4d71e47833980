// When the state is flushed, and what follows from that.
#include <algorithm>

#include "runtime/step_loop.h"

namespace millrace::runtime {

namespace {

using std::chrono::steady_clock;

// Replay after a crash takes about as long as the steps since the last flush took: design/engine:
// <= 1 s.
constexpr double kFlushAfterBusySeconds = 0.7;
// State that nothing changes any more is flushed too, so that a quiet node restarts at once: soon
// where replay would take a while.
constexpr std::chrono::seconds kFlushIdleAfter{2};
constexpr double kFlushIdleBusySeconds = 0.1;

}  // namespace

Status StepLoop::MaybeFlush(bool idle) {
  if (context_.store->flushing()) {
    // With steps running, the workers write the frozen entries a slice at a time; without, nobody
    // would.
    if (idle) TRY(context_.store->FinishFlush());
    if (context_.store->flushing()) return context_.store->health();
    return AfterFlush();
  }
  if (flushing_) TRY(AfterFlush());
  if (!dirty_) return Ok();
  const bool due = busy_since_flush_ >= kFlushAfterBusySeconds || context_.store->wants_flush() ||
                   context_.pipeline->wants_flush() ||
                   (idle && (steady_clock::now() - last_flush_ >= kFlushIdleAfter ||
                             (busy_since_flush_ >= kFlushIdleBusySeconds &&
                              steady_clock::now() - last_step_ >= kIdleTick)));
  return due ? BeginFlush() : Ok();
}

Status StepLoop::BeginFlush() {
  // The state of a step must not be on disk before the step's record is.
  TRY(WaitJournal());
  flushing_ = context_.pipeline->state();
  context_.store->BeginFlush(flushing_->step, context_.pipeline->TakeDirty());
  dirty_ = false;
  busy_since_flush_ = 0;
  last_flush_ = steady_clock::now();
  return Ok();
}

// What the flushed state has taken in is not needed for recovery any more: retention may free it.
Status StepLoop::AfterFlush() {
  TRY(context_.store->health());
  if (!flushing_) return Ok();
  context_.pipeline->NoteFlushed();
  TRY(context_.log->SetFreeFloor({context_.journal, 0}, JournalOffset(flushing_->step) + 1));
  const auto history = context_.pipeline->HistoryNeeded(*flushing_);
  const std::shared_ptr<const log::Cut> cut = context_.log->DurableCut();
  for (const auto& [partition, position] : flushing_->positions) {
    if (cut->Find(partition) == nullptr) continue;  // a table of a topic is at a place of its own
    const auto needed = history.find(partition);
    const log::Offset floor =
        needed == history.end() ? position.next : std::min(position.next, needed->second);
    TRY(context_.log->SetFreeFloor(partition, floor));
  }
  flushing_.reset();
  const std::lock_guard lock(mutex_);
  ++stats_.flushes;
  return Ok();
}

Status StepLoop::FlushNow() {
  if (context_.pipeline->state().step.value == 0) return Ok();  // nothing has happened yet
  if (context_.store->flushing()) TRY(context_.store->FinishFlush());
  TRY(AfterFlush());
  TRY(BeginFlush());
  TRY(context_.store->FinishFlush());
  return AfterFlush();
}

}  // namespace millrace::runtime
