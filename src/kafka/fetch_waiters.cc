#include "kafka/fetch_waiters.h"

namespace millrace::kafka {

namespace {
// How long a stop may go unnoticed.
constexpr std::chrono::milliseconds kWatch{200};
}  // namespace

FetchWaiters::FetchWaiters(const log::Log& log) : log_(log), thread_([this] { Watch(); }) {}

FetchWaiters::~FetchWaiters() { Stop(); }

void FetchWaiters::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    for (const auto& waiter : waiters_) Wake(waiter);
  }
  changed_.notify_all();
  thread_.join();
}

void FetchWaiters::Wake(const std::shared_ptr<Waiter>& waiter) {
  // Through the loop: the coroutine may be just about to begin its wait.
  asio::post(waiter->timer.get_executor(), [waiter] {
    waiter->woken = true;
    waiter->timer.cancel();
  });
}

asio::awaitable<bool> FetchWaiters::Wait(log::FrameSequence after,
                                         std::chrono::steady_clock::time_point until) {
  auto executor = co_await asio::this_coro::executor;
  auto waiter = std::make_shared<Waiter>(executor, after);
  waiter->timer.expires_at(until);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) co_return false;
    waiters_.insert(waiter);
  }
  changed_.notify_all();
  // A frame that came before the waiter was known has woken nobody.
  if (log_.DurableFrame() <= after && !waiter->woken) {
    millrace::ErrorCode woken_or_late;
    co_await waiter->timer.async_wait(WithError(woken_or_late));
  }
  const std::lock_guard lock(mutex_);
  waiters_.erase(waiter);
  co_return !stopping_;
}

void FetchWaiters::Watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [&] { return stopping_ || !waiters_.empty(); });
    log::FrameSequence seen{UINT64_MAX};
    for (const auto& waiter : waiters_) seen = std::min(seen, waiter->after);
    if (stopping_) break;
    lock.unlock();
    const log::FrameSequence now = log_.WaitForDurable(seen, kWatch);
    lock.lock();
    if (now <= seen) continue;
    for (const auto& waiter : waiters_) Wake(waiter);
    waiters_.clear();
  }
}

}  // namespace millrace::kafka
