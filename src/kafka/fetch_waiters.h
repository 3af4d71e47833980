// Fetches that wait for records. A thread watches the log's durable end and wakes those that wait,
// on their own loops; while none waits it sleeps.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "log/log.h"
#include "net/asio.h"

namespace millrace::kafka {

class FetchWaiters {
 public:
  explicit FetchWaiters(const log::Log& log);
  ~FetchWaiters();

  // Waits until a frame later than `after` is durable, `until` has come, or Stop (false).
  asio::awaitable<bool> Wait(log::FrameSequence after, std::chrono::steady_clock::time_point until);
  // Ends all waiting; later ones return at once. Further calls do nothing.
  void Stop();

 private:
  // A waiting coroutine; its timer is touched on its loop alone.
  struct Waiter {
    Waiter(const asio::any_io_executor& executor, log::FrameSequence seen)
        : after(seen), timer(executor) {}
    const log::FrameSequence after;
    asio::steady_timer timer;
    bool woken = false;
  };

  void Watch();
  static void Wake(const std::shared_ptr<Waiter>& waiter);

  const log::Log& log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_set<std::shared_ptr<Waiter>> waiters_;  // guarded by mutex_
  bool stopping_ = false;                                // guarded by mutex_
  std::thread thread_;
};

}  // namespace millrace::kafka
