#include "base/memory_budget.h"

#include <algorithm>

namespace millrace {

bool MemoryBudget::TryTake(size_t bytes) {
  size_t used = used_.load();
  do {
    if (bytes > bytes_max_ - std::min(used, bytes_max_)) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes));
  return true;
}

}  // namespace millrace
