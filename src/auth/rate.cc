#include "auth/rate.h"

#include <algorithm>
#include <charconv>

namespace millrace::auth {
namespace {

constexpr int64_t kRequestsMax = 1'000'000;

struct Unit {
  std::string_view name;
  int64_t seconds;
};
constexpr Unit kUnits[] = {{"/s", 1}, {"/m", 60}, {"/h", 3600}};

int64_t MicrosOf(RateMeter::TimePoint time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}
int64_t PeriodMicros(const Rate& rate) { return rate.seconds * 1'000'000; }

}  // namespace

Result<Rate> ParseRate(std::string_view text) {
  if (text.empty()) return Rate{};
  Rate rate;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, rate.requests);
  const std::string_view rest(parsed.ptr, static_cast<size_t>(end - parsed.ptr));
  for (const Unit& unit : kUnits) {
    if (parsed.ec != std::errc() || rest != unit.name) continue;
    rate.seconds = unit.seconds;
    if (rate.requests >= 1 && rate.requests <= kRequestsMax) return rate;
  }
  return Error(Code::kInvalidArgument, "{} is no rate", Quoted(text))
      .Hint(fmt::format("write 100/s, 600/m or 5000/h: requests in a second, minute or hour, at "
                        "most {}",
                        kRequestsMax));
}

std::string ToString(const Rate& rate) {
  for (const Unit& unit : kUnits) {
    if (rate.limited() && unit.seconds == rate.seconds)
      return fmt::format("{}{}", rate.requests, unit.name);
  }
  return "";
}

std::chrono::microseconds RateMeter::Count(const Rate& rate, TimePoint now, bool anyway) {
  const int64_t at = MicrosOf(now);
  const int64_t period = PeriodMicros(rate);
  int64_t over_at = over_at_.load(std::memory_order_relaxed);
  for (;;) {
    const int64_t next = std::max(over_at, at) + period / rate.requests;
    const int64_t wait = std::max<int64_t>(next - at - period, 0);
    const bool refused = wait > 0 && !anyway;
    if (!refused && !over_at_.compare_exchange_weak(over_at, next, std::memory_order_relaxed))
      continue;
    if (wait > 0) beyond_.fetch_add(1, std::memory_order_relaxed);
    return std::chrono::microseconds(wait);
  }
}

}  // namespace millrace::auth
