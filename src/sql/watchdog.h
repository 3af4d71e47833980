// Ends calls that took too long or that somebody cancelled: one thread that looks at all running
// calls every few milliseconds and interrupts their connections. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "duckdb.hpp"

namespace millrace::sql {

class Watchdog {
 public:
  enum class Reason { kNone, kTimeout, kCancelled };

  Watchdog();
  ~Watchdog();

 private:
  using Clock = std::chrono::steady_clock;
  struct Call {
    duckdb::ClientContext* client;
    Clock::time_point deadline;
    std::shared_ptr<std::atomic<bool>> cancel;
    Reason reason = Reason::kNone;
  };

 public:
  // A call under watch as long as it lives.
  class Guard {
   public:
    Guard(Watchdog& watchdog, duckdb::ClientContext& client, std::chrono::milliseconds timeout,
          std::shared_ptr<std::atomic<bool>> cancel);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    // Why the call was interrupted.
    Reason reason() const;

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

}  // namespace millrace::sql
