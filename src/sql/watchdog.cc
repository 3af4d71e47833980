#include "sql/watchdog.h"

namespace millrace::sql {

Watchdog::Watchdog() : thread_([this] { Run(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Watchdog::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (calls_.empty()) {
      asleep_ = true;
      wake_.wait(lock, [this] { return stop_ || !calls_.empty(); });
      asleep_ = false;
    } else {
      // Short calls, the many, come and go without waking this thread.
      wake_.wait_for(lock, kInterval, [this] { return stop_; });
    }
    const auto now = Clock::now();
    for (Call& call : calls_) {
      const bool cancelled = call.cancel && call.cancel->load(std::memory_order_relaxed);
      if (!cancelled && now < call.deadline) continue;
      if (call.reason == Reason::kNone)
        call.reason = cancelled ? Reason::kCancelled : Reason::kTimeout;
      // Again and again: an interrupt between two phases of a call would be forgotten.
      call.client->Interrupt();
    }
  }
}

Watchdog::Guard::Guard(Watchdog& watchdog, duckdb::ClientContext& client,
                       std::chrono::milliseconds timeout, std::shared_ptr<std::atomic<bool>> cancel)
    : watchdog_(watchdog) {
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.calls_.push_front({&client, Clock::now() + timeout, std::move(cancel), Reason::kNone});
  call_ = watchdog_.calls_.begin();
  if (watchdog_.asleep_) watchdog_.wake_.notify_one();
}

Watchdog::Guard::~Guard() {
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.calls_.erase(call_);
}

Watchdog::Reason Watchdog::Guard::reason() const {
  const std::lock_guard lock(watchdog_.mutex_);
  return call_->reason;
}

}  // namespace millrace::sql
