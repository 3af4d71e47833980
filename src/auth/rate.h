// How many requests somebody may make: so many in so much time, as "100/s" or "600/m".
//
// Counted as a leaky bucket in the form of the generic cell rate algorithm (ITU-T I.371): one
// number, the time at which all that was let through so far would be over at exactly that rate. By
// a clock that nobody sets. What one period allows goes through at once, on average the rate.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::auth {

struct Rate {
  int64_t requests = 0;  // 0: no limit
  int64_t seconds = 1;   // 1, 60 or 3600
  bool limited() const { return requests > 0; }
  bool operator==(const Rate&) const = default;
};

// "100/s", "600/m", "5000/h"; empty: no limit. kInvalidArgument.
Result<Rate> ParseRate(std::string_view text);
// Of no limit: empty.
std::string ToString(const Rate& rate);

// Thread-safe.
class RateMeter {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  // Lets a request through, and gives 0; or the time after which one would be let through again.
  std::chrono::microseconds Take(const Rate& rate, TimePoint now) {
    return Count(rate, now, false);
  }
  // Lets it through whatever came before. How long whoever makes it should be still then.
  std::chrono::microseconds TakeAnyway(const Rate& rate, TimePoint now) {
    return Count(rate, now, true);
  }
  // Requests beyond the rate.
  int64_t beyond() const { return beyond_.load(std::memory_order_relaxed); }

 private:
  std::chrono::microseconds Count(const Rate& rate, TimePoint now, bool anyway);

  std::atomic<int64_t> over_at_{INT64_MIN};  // microseconds of the clock
  std::atomic<int64_t> beyond_{0};
};

}  // namespace millrace::auth
