// Storage: the durable, ordered records of one coordinator, seen as little as it needs. LogStorage
// keeps them in an internal topic of the log; tests keep them in memory and lose power when they
// like.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::kafka_groups {

// Place of a record among all that were ever appended; grows.
struct StoragePosition {
  int64_t value = 0;
  auto operator<=>(const StoragePosition&) const = default;
};

// Thread-safe.
class Storage {
 public:
  using AppendDone = std::function<void(Result<StoragePosition>)>;
  using Visitor = std::function<Status(StoragePosition, std::string_view record)>;

  virtual ~Storage() = default;

  // Queues the record. `done` runs once, when the record is durable, never inside Append, and in
  // the order of the calls. An error from Append itself: nothing was queued, and `done` never runs
  // (kTooLarge, kOverloaded, kUnavailable). An error handed to `done`: the outcome is unknown, and
  // every later append fails too.
  virtual Status Append(std::string record, AppendDone done) = 0;
  // All durable records from the oldest that was not trimmed, in order; at start, before the first
  // Append. Records from before a Trim may still come. A visitor's error ends it.
  // Records that are lost to damage are left out, and lost_records() tells.
  virtual Status ReadAll(const Visitor& visit) = 0;
  virtual bool lost_records() const { return false; }
  // The records before this one are not needed any more; they may go when it suits.
  virtual Status Trim(StoragePosition before) = 0;
};

}  // namespace millrace::kafka_groups
