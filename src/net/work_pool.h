// A WorkPool runs what takes too long for an I/O thread: a fixed number of threads behind a bounded
// queue. When the queue is full, work is refused at once, so that overload reaches the client as
// "try again" instead of as memory.
//
// Thread-safe. Stop runs what is queued, then joins; work that comes later is refused.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace millrace::net {

class WorkPool {
 public:
  // REQUIRES: threads > 0, queue_max > 0.
  WorkPool(int threads, size_t queue_max);
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  // False: the queue is full or the pool is stopped, and `work` will not run.
  [[nodiscard]] bool TrySubmit(std::function<void()> work);
  size_t queued() const;
  void Stop();

 private:
  void Run();

  const size_t queue_max_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace millrace::net
