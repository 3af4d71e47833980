// What went through the door, by stream and source: the producers' side of the ledger. The runtime
// takes the counts with each step and keeps them in the step's state. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace millrace::ingest {

struct DoorCounts {
  int64_t sent = 0;      // rows that producers sent and that were answered
  int64_t appended = 0;  // of these: written to the log
  int64_t repeated = 0;  // of these: known by their idempotency key
  int64_t rejected = 0;  // of these: refused

  DoorCounts& operator+=(const DoorCounts& other) {
    sent += other.sent;
    appended += other.appended;
    repeated += other.repeated;
    rejected += other.rejected;
    return *this;
  }
  bool operator==(const DoorCounts&) const = default;
};

// By (stream, source).
using DoorCountMap = std::map<std::pair<std::string, std::string>, DoorCounts>;

class DoorCounters {
 public:
  void Add(const std::string& stream, const std::string& source, const DoorCounts& counts) {
    const std::lock_guard lock(mutex_);
    counts_[{stream, source}] += counts;
  }
  // What came since the last call.
  DoorCountMap Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(counts_, {});
  }

 private:
  std::mutex mutex_;
  DoorCountMap counts_;
};

}  // namespace millrace::ingest
