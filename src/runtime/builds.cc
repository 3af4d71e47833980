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

Builds::Builds(std::function<Status(uint64_t build)> finish)
    : finish_(std::move(finish)), thread_([this] { Run(); }) {}

Builds::~Builds() { Stop(); }

void Builds::Complete(uint64_t build) {
  const std::lock_guard lock(mutex_);
  if (failed_.contains(build) || !complete_.insert(build).second) return;
  changed_.notify_all();
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
  while (true) {
    changed_.wait(lock, [&] { return stop_ || !complete_.empty(); });
    if (stop_) return;
    const uint64_t build = *complete_.begin();
    lock.unlock();
    const Status done = finish_(build);
    lock.lock();
    if (!done.ok()) {
      if (!stop_) LOG_ERROR("end of a build", "build={} error={}", build, done.error().message());
      failed_.insert(build);
    }
    complete_.erase(build);
    changed_.notify_all();
  }
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
