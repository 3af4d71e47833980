#include "base/clock.h"

namespace millrace {
namespace {
class SystemClock final : public Clock {
 public:
  Micros Now() const override {
    return Micros{std::chrono::duration_cast<std::chrono::microseconds>(
                      std::chrono::system_clock::now().time_since_epoch())
                      .count()};
  }
};
}  // namespace

Clock& Clock::System() {
  static SystemClock clock;
  return clock;
}

}  // namespace millrace
