#include "runtime/builds.h"

#include <algorithm>

#include "base/logging.h"

namespace millrace::runtime {

namespace {
// How often a statement that waits looks whether it was cancelled.
constexpr std::chrono::milliseconds kLook{50};
// Reasons that are kept for those who wait.
constexpr size_t kGivenUpMax = 100;
}  // namespace

Builds::Builds(std::function<Status(uint64_t build)> finish, std::chrono::milliseconds retry_after)
    : finish_(std::move(finish)), retry_after_(retry_after), thread_([this] { Run(); }) {}

Builds::~Builds() { Stop(); }

void Builds::Complete(uint64_t build) {
  const std::lock_guard lock(mutex_);
  if (complete_.insert(build).second) changed_.notify_all();
}

void Builds::GivenUp(uint64_t build, std::string reason) {
  const std::lock_guard lock(mutex_);
  given_up_[build] = std::move(reason);
  if (given_up_.size() > kGivenUpMax) given_up_.erase(given_up_.begin());
  changed_.notify_all();
}

std::optional<std::string> Builds::ReasonOf(uint64_t build) const {
  const std::lock_guard lock(mutex_);
  const auto found = given_up_.find(build);
  return found == given_up_.end() ? std::nullopt : std::optional(found->second);
}

void Builds::Wake() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void Builds::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Builds::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const auto next = std::find_if(complete_.begin(), complete_.end(),
                                   [&](uint64_t build) { return !failed_.contains(build); });
    if (next != complete_.end()) {
      Finish(*next, lock);
    } else if (failed_.empty()) {
      changed_.wait(lock, [&] { return stop_ || !complete_.empty(); });
    } else {
      changed_.wait_for(lock, retry_after_,
                        [&] { return stop_ || complete_.size() > failed_.size(); });
      if (complete_.size() > failed_.size()) continue;
      for (const uint64_t build : std::set<uint64_t>(complete_)) {
        if (!stop_) Finish(build, lock);
      }
    }
  }
}

void Builds::Finish(uint64_t build, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  const Status done = finish_(build);
  lock.lock();
  if (done.ok()) {
    failed_.erase(build);
    complete_.erase(build);
    changed_.notify_all();
    return;
  }
  std::string& why = failed_[build];
  if (!stop_ && why != done.error().message())
    LOG_ERROR("end of a build, tried again", "build={} error={}", build, done.error().message());
  why = done.error().message();
}

bool Builds::WaitUntil(const std::function<bool()>& over, std::chrono::milliseconds timeout,
                       const std::shared_ptr<std::atomic<bool>>& cancel) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::unique_lock lock(mutex_);
  while (!over()) {
    const auto now = std::chrono::steady_clock::now();
    if (stop_ || now >= deadline || (cancel != nullptr && cancel->load())) return false;
    changed_.wait_until(lock, std::min(deadline, now + kLook));
  }
  return true;
}

}  // namespace millrace::runtime
