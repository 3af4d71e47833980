// A clock that nobody sets, for sessions and timeouts: setting the machine's time must not throw
// every member out of its group. Its zero is arbitrary, so it never reaches data.
#pragma once

#include <chrono>

#include "base/clock.h"

namespace millrace::kafka_groups {

// Thread-safe.
class SteadyClock final : public Clock {
 public:
  Micros Now() const override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return Micros{std::chrono::duration_cast<std::chrono::microseconds>(now).count()};
  }
};

}  // namespace millrace::kafka_groups
