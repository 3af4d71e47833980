#include "stream/budget.h"

#include <pthread.h>

#include "base/check.h"
#include "base/clock.h"

namespace millrace::stream {

namespace {

clockid_t CpuClockOfThisThread() {
  clockid_t clock{};
  CHECK(pthread_getcpuclockid(pthread_self(), &clock) == 0);
  return clock;
}

double SecondsBy(clockid_t clock) {
  timespec time{};
  CHECK(clock_gettime(clock, &time) == 0);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

std::string SizeText(size_t bytes) {
  return bytes < (10 << 20) ? fmt::format("{} KiB", bytes >> 10)
                            : fmt::format("{} MiB", bytes >> 20);
}

Budget::Budget(const Limits& limits, double factor)
    : limits_({limits.step_seconds * factor,
               static_cast<size_t>(static_cast<double>(limits.step_bytes) * factor)}),
      start_(Tick()),
      cpu_clock_(CpuClockOfThisThread()),
      start_seconds_(SecondsBy(cpu_clock_)) {}

Status Budget::Spend(size_t bytes) {
  if (!limits_) return Ok();
  bytes_ += bytes;
  if (bytes_ > limits_->step_bytes) {
    return Error(Code::kTooLarge, "one step would give more than {} of rows",
                 SizeText(limits_->step_bytes))
        .Hint("a join needs an equality that few rows of the other side meet; or raise memory_max");
  }
  return CheckTime();
}

// On a busy machine the clock on the wall goes on while the thread waits.
bool Budget::IsOver() const {
  return limits_ && SecondsSince(start_) > limits_->step_seconds &&
         SecondsBy(cpu_clock_) - start_seconds_ > limits_->step_seconds;
}

Status Budget::CheckTime() const {
  if (!IsOver()) return Ok();
  return Error(Code::kTimeout, "a step took more than {} s", limits_->step_seconds)
      .Hint("a key with fewer rows makes it cheaper; --view-step-seconds sets the limit");
}

}  // namespace millrace::stream
