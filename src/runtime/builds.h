// Ends the builds of a node: a thread of its own, told by the step loop which views have all their
// history, makes the changes that waited for them, and tells the statements that wait for it.
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "base/result.h"

namespace millrace::runtime {

class Builds {
 public:
  // `finish` makes the changes of a build that is complete; it may find that the build is over.
  // Where it fails (a full disk) it is asked again, every `retry_after`.
  explicit Builds(std::function<Status(uint64_t build)> finish,
                  std::chrono::milliseconds retry_after = std::chrono::seconds(1));
  ~Builds();
  Builds(const Builds&) = delete;
  Builds& operator=(const Builds&) = delete;

  void Complete(uint64_t build);
  // A build was given up because its views failed.
  void GivenUp(uint64_t build, std::string reason);
  std::optional<std::string> ReasonOf(uint64_t build) const;
  // A build has ended, or the node stops: who waits looks again.
  void Wake();
  void Stop();

  // Waits until `over` says so. False: not within the time, cancelled, or the node stops.
  bool WaitUntil(const std::function<bool()>& over, std::chrono::milliseconds timeout,
                 const std::shared_ptr<std::atomic<bool>>& cancel);

 private:
  void Run();
  void Finish(uint64_t build, std::unique_lock<std::mutex>& lock);

  const std::function<Status(uint64_t build)> finish_;
  const std::chrono::milliseconds retry_after_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<uint64_t> complete_;               // not ended yet
  std::map<uint64_t, std::string> failed_;    // of these, whose end has failed last, and why
  std::map<uint64_t, std::string> given_up_;  // the newest kGivenUpMax
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace millrace::runtime
