// How much of a stream comes to each partition, and which keys it comes under: rates over about the
// last ten seconds, and a sketch of the most frequent keys. It is what was seen since the start, no
// part of the state.
//
// Rates are counters that decay exponentially. The keys are a Space-Saving sketch (Metwally,
// Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT
// 2005) over every kSample-th record: a key with more than 1 / kCounters of them is in it for sure.
// A step costs one lock a partition.
//
// Thread-safe; partitions do not wait for each other for long.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::runtime {

class Heat {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr int64_t kSample = 8;
  static constexpr size_t kCounters = 32;
  static constexpr size_t kKeysShown = 5;

  struct Key {
    std::string key;     // as text: at most 64 bytes of it, those that are no UTF-8 as \xNN
    double share = 0.0;  // of the partition's records
  };
  struct Partition {
    double records_per_s = 0.0;
    double bytes_per_s = 0.0;
    double share = 0.0;  // of the stream's bytes; 0 where none come
    // The most frequent, where they have at least a hundredth of the records each.
    std::vector<Key> keys;
  };

  // What a step has taken of a partition; `keys`: those of one in kSample records.
  void Add(int32_t partition, int64_t records, int64_t bytes,
           std::span<const std::string_view> keys, Time now);

  // By partition, as far as any had records; without their keys.
  std::vector<Partition> Rates(Time now) const;
  // The same with their keys.
  std::vector<Partition> Read(Time now) const;

  // A partition has more than twice its fair share: the first such, at most once a minute. -1:
  // none, little comes at all, or not for ten seconds yet. `partitions`: how many the stream has.
  // Called with every step, it looks once a second.
  int32_t TakeWarning(int32_t partitions, Time now);

 private:
  struct Counter {
    size_t hash = 0;
    std::string key;
    double count = 0.0;
  };
  struct Seen {
    mutable std::mutex mutex;
    Time first, last;
    bool any = false;
    double records = 0.0;  // decayed to `last`, as is all below
    double bytes = 0.0;
    double sampled = 0.0;
    std::vector<Counter> counters;
  };
  static void Count(Seen& seen, std::string_view key);

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Seen>> partitions_;
  Time started_{};
  Time looked_{};
  Time warned_{};
};

}  // namespace millrace::runtime
