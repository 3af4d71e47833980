// Ends calls of DuckDB that took too long or that somebody cancelled: one thread that asks of all
// running calls every few milliseconds whether they are over, and interrupts their connections.
// DuckDB looks at an interrupt between two chunks of rows. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "duckdb.hpp"

namespace millrace::stream {

// When a call that begins now is over: after the timeout, or when somebody cancels it.
std::function<bool()> EndOfCall(std::chrono::milliseconds timeout,
                                std::shared_ptr<std::atomic<bool>> cancel);

class Watchdog {
 public:
  Watchdog();
  ~Watchdog();

 private:
  struct Call {
    duckdb::ClientContext* client;
    std::function<bool()> is_over;
    bool interrupted = false;
  };

 public:
  // A call under watch as long as it lives.
  class Guard {
   public:
    // `is_over` is asked on the watchdog's thread. REQUIRES: what it says stays true.
    Guard(Watchdog& watchdog, duckdb::ClientContext& client, std::function<bool()> is_over);
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

}  // namespace millrace::stream
