// Turns: a mutex whose holders leave work behind that runs after it was released, in the order in
// which it was left, one piece at a time.
//
// A coordinator does everything within a Turn: it changes its state, appends to its storage, and
// leaves the callbacks that tell others about it. So no callback runs under the lock (it may call
// the coordinator again), and callbacks of different turns do not overtake each other.
//
// Thread-safe. A thread may run what other threads' turns have left.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace millrace::kafka_groups {

class Turns {
 public:
  // Holds the mutex as long as it lives; then the work left is run. Not to be nested.
  class Turn {
   public:
    explicit Turn(Turns& turns) : turns_(turns), lock_(turns.mutex_) {}
    ~Turn() { turns_.RunLeft(lock_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Turns& turns_;
    std::unique_lock<std::mutex> lock_;
  };

  // REQUIRES: within a turn.
  void After(std::function<void()> work) { left_.push_back(std::move(work)); }

 private:
  void RunLeft(std::unique_lock<std::mutex>& lock) {
    if (running_) return;
    running_ = true;
    while (!left_.empty()) {
      std::function<void()> work = std::move(left_.front());
      left_.pop_front();
      lock.unlock();
      work();
      work = nullptr;  // what it captured is destroyed outside the lock, too
      lock.lock();
    }
    running_ = false;
  }

  std::mutex mutex_;
  std::deque<std::function<void()>> left_;
  bool running_ = false;
};

}  // namespace millrace::kafka_groups
