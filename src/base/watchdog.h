// Ends calls that took too long or that somebody cancelled: one thread that asks of all running
// calls every few milliseconds whether they are over, and interrupts them. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

namespace millrace {

// When a call that begins now is over: after the timeout, or when somebody cancels it.
std::function<bool()> EndOfCall(std::chrono::milliseconds timeout,
                                std::shared_ptr<std::atomic<bool>> cancel);

class Watchdog {
 public:
  Watchdog();
  ~Watchdog();

 private:
  struct Call {
    std::function<bool()> is_over;
    std::function<void()> interrupt;
    bool interrupted = false;
  };

 public:
  // A call under watch as long as it lives.
  class Guard {
   public:
    // Both are called on the watchdog's thread, which has its lock: they are quick. What is over is
    // interrupted again and again, since an interrupt between two phases of a call may be
    // forgotten. REQUIRES: once `is_over` is true it stays so.
    Guard(Watchdog& watchdog, std::function<bool()> is_over, std::function<void()> interrupt);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    // Whether the call was interrupted. Its error, if it had time to fail, says less.
    bool interrupted() const;

   private:
    Watchdog& watchdog_;
    std::list<Call>::iterator call_;
  };

 private:
  static constexpr std::chrono::milliseconds kInterval{10};
  void Run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Call> calls_;  // guarded by mutex_
  bool stop_ = false;      // guarded by mutex_
  bool asleep_ = false;    // guarded by mutex_: waits for a call without looking at the clock
  std::thread thread_;
};

}  // namespace millrace
