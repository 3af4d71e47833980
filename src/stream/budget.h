// What one node may use in one step, so that a query that explodes ends its own views and nothing
// else. Not thread-safe but for IsOver: one per
// worker, node and step.
#pragma once

#include <chrono>
#include <cstddef>
#include <ctime>
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
  // kTimeout when the time is over.
  Status CheckTime() const;
  // Whether the time is over; any thread may ask as long as the one that made the budget lives.
  bool IsOver() const;

 private:
  std::optional<Limits> limits_;
  std::chrono::steady_clock::time_point start_;
  clockid_t cpu_clock_ = 0;   // of the thread that the budget was made on
  double start_seconds_ = 0;  // by it
  size_t bytes_ = 0;
};

}  // namespace millrace::stream
