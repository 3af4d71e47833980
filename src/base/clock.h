// Time goes through a seam, so that a test can replay a run.
#pragma once

#include <chrono>
#include <cstdint>

namespace millrace {

// Microseconds since 1970-01-01 UTC, as DuckDB's TIMESTAMP counts.
struct Micros {
  int64_t value = 0;
  auto operator<=>(const Micros&) const = default;
};

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Micros Now() const = 0;
  // The machine's clock.
  static Clock& System();
};

// A clock that a test moves by hand. Thread-safe only as far as the test is.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Micros now) : now_(now) {}
  Micros Now() const override { return now_; }
  void Set(Micros now) { now_ = now; }
  void Advance(std::chrono::microseconds by) { now_.value += by.count(); }

 private:
  Micros now_;
};

// For measuring durations only. Never reaches data.
inline std::chrono::steady_clock::time_point Tick() { return std::chrono::steady_clock::now(); }
inline double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace millrace
