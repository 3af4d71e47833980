// Bytes that many together may hold. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>

namespace millrace {

class MemoryBudget {
 public:
  explicit MemoryBudget(size_t bytes_max) : bytes_max_(bytes_max) {}
  bool TryTake(size_t bytes);
  void Give(size_t bytes) { used_.fetch_sub(bytes); }
  size_t used() const { return used_.load(); }
  size_t bytes_max() const { return bytes_max_; }

 private:
  const size_t bytes_max_;
  std::atomic<size_t> used_{0};
};

}  // namespace millrace
