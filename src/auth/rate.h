// How many requests somebody may make: so many in so much time, as "100/s" or "600/m".
//
// Counted as a leaky bucket in the form of the generic cell rate algorithm (ITU-T I.371): one
// number, the time at which all that was let through so far would be over at exactly that rate.
// What one period allows goes through at once, on average the rate.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
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
  // Lets a request through, and gives 0; or the time after which one would be let through again.
  std::chrono::microseconds Take(const Rate& rate, Micros now);
  // Lets it through whatever came before. How long whoever makes it should be still then.
  std::chrono::microseconds TakeAnyway(const Rate& rate, Micros now);
  int64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> over_at_{0};  // microseconds
  std::atomic<int64_t> refused_{0};
};

}  // namespace millrace::auth
