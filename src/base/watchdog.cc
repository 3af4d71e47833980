#include "base/watchdog.h"

namespace millrace {

std::function<bool()> EndOfCall(std::chrono::milliseconds timeout,
                                std::shared_ptr<std::atomic<bool>> cancel) {
  return [deadline = std::chrono::steady_clock::now() + timeout, cancel = std::move(cancel)] {
    return (cancel && cancel->load(std::memory_order_relaxed)) ||
           std::chrono::steady_clock::now() >= deadline;
  };
}

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
    for (Call& call : calls_) {
      if (!call.is_over()) continue;
      call.interrupted = true;
      call.interrupt();
    }
  }
}

Watchdog::Guard::Guard(Watchdog& watchdog, std::function<bool()> is_over,
                       std::function<void()> interrupt)
    : watchdog_(watchdog) {
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.calls_.push_front({std::move(is_over), std::move(interrupt)});
  call_ = watchdog_.calls_.begin();
  if (watchdog_.asleep_) watchdog_.wake_.notify_one();
}

Watchdog::Guard::~Guard() {
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.calls_.erase(call_);
}

bool Watchdog::Guard::interrupted() const {
  const std::lock_guard lock(watchdog_.mutex_);
  return call_->interrupted;
}

}  // namespace millrace
