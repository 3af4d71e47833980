// Helpers of this module's tests: a storage in memory that the test makes durable by hand and that
// can lose power, and names of errors in failures.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/coding.h"
#include "base/random.h"
#include "kafka_groups/error_code.h"
#include "kafka_groups/storage.h"

namespace millrace::kafka {
inline void PrintTo(ErrorCode code, std::ostream* out) { *out << ErrorName(code); }
}  // namespace millrace::kafka

namespace millrace::kafka_groups {

using kafka::ErrorCode;

// What a disk holds; outlives the storages over it, as a disk outlives the processes.
struct MemoryDisk {
  std::deque<std::pair<int64_t, std::string>> records;
  int64_t next = 0;
};

class MemoryStorage final : public Storage {
 public:
  explicit MemoryStorage(MemoryDisk& disk) : disk_(disk) {}

  Status Append(std::string record, AppendDone done) override {
    if (refuse_with_) return *refuse_with_;
    if (failed_) return Error(Code::kUnavailable, "the storage has failed");
    queue_.push_back({std::move(record), std::move(done)});
    ++appends_;
    return Ok();
  }
  Status ReadAll(const Visitor& visit) override {
    for (const auto& [position, record] : disk_.records) TRY(visit({position}, record));
    return Ok();
  }
  Status Trim(StoragePosition before) override {
    while (!disk_.records.empty() && disk_.records.front().first < before.value)
      disk_.records.pop_front();
    return Ok();
  }

  // Makes the oldest record that is queued durable, and tells. False: none is queued.
  bool RunOne() {
    if (queue_.empty()) return false;
    Queued queued = std::move(queue_.front());
    queue_.pop_front();
    if (failed_) {
      queued.done(Error(Code::kIo, "the storage has failed"));
      return true;
    }
    const int64_t position = disk_.next++;
    disk_.records.emplace_back(position, std::move(queued.record));
    queued.done(StoragePosition{position});
    return true;
  }
  void RunAll() {
    while (RunOne()) {
    }
  }
  // The first `durable` queued records reach the disk, nobody is told, the others are lost.
  void LosePower(size_t durable) {
    for (; durable > 0 && !queue_.empty(); --durable) {
      disk_.records.emplace_back(disk_.next++, std::move(queue_.front().record));
      queue_.pop_front();
    }
    queue_.clear();
  }

  size_t queued() const { return queue_.size(); }
  uint64_t appends() const { return appends_; }
  void RefuseWith(std::optional<Error> error) { refuse_with_ = std::move(error); }
  void Fail() { failed_ = true; }

 private:
  struct Queued {
    std::string record;
    AppendDone done;
  };
  MemoryDisk& disk_;
  std::deque<Queued> queue_;
  uint64_t appends_ = 0;
  std::optional<Error> refuse_with_;
  bool failed_ = false;
};

// Metadata of a consumer that subscribes to these topics: ConsumerProtocolSubscription version 0.
inline std::string Subscription(const std::vector<std::string>& topics) {
  std::string out;
  PutBig<int16_t>(out, 0);
  PutBig<int32_t>(out, static_cast<int32_t>(topics.size()));
  for (const std::string& topic : topics) {
    PutBig<int16_t>(out, static_cast<int16_t>(topic.size()));
    out += topic;
  }
  return out;
}

inline uint64_t SeedFromEnvironment(uint64_t otherwise) {
  const char* text = std::getenv("MILLRACE_SEED");
  const uint64_t seed = text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
  ::testing::Test::RecordProperty("seed", std::to_string(seed));
  std::fprintf(stderr, "MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace millrace::kafka_groups
