#include "log/stats.h"

#include <algorithm>

namespace millrace::log {

void LatencyHistogram::Add(int64_t micros) {
  size_t bucket = 0;
  while (bucket + 1 < kBuckets && micros >= BoundMicros(bucket)) ++bucket;
  ++counts[bucket];
  total_micros += static_cast<uint64_t>(std::max<int64_t>(0, micros));
}

int64_t LatencyHistogram::BoundMicros(size_t i) {
  return i + 1 >= kBuckets ? INT64_MAX : kFirstBoundMicros << i;
}

}  // namespace millrace::log
