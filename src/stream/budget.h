// What one node may use in one step, so that a query that explodes ends its own views and nothing
// else. Not thread-safe: one per worker, node and step.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "base/result.h"

namespace millrace::stream {

struct Limits {
  double step_seconds = 0;  // of CPU, on one worker
  size_t step_bytes = 0;    // of its output, on one worker
};

// "64 KiB", "4096 MiB".
std::string SizeText(size_t bytes);

class Budget {
 public:
  // None.
  Budget() = default;
  // `factor` times the limits.
  Budget(const Limits& limits, double factor);
  // The operator has put out that many bytes more; to be called every some thousand rows. The error
  // (kTooLarge, kTimeout) says what was exceeded, and the operator returns it at once.
  Status Spend(size_t bytes);
  // Whether the time is over, for operators that cannot be interrupted.
  Status CheckTime() const;

 private:
  std::optional<Limits> limits_;
  std::chrono::steady_clock::time_point start_;
  double start_seconds_ = 0;  // of the thread
  size_t bytes_ = 0;
};

}  // namespace millrace::stream
