// Which records of a stream are no rows, and why: decided once, in the step, and part of the state.
// Every reader of the stream (views, queries, backfill, the books) reads it through these, so they
// all see the same rows.
//
// Thread rule: one writer (the step loop); readers from any thread. Entries come in rising offsets
// within a partition, so what lies below an offset that was published never changes.
#pragma once

#include <cstdint>
#include <shared_mutex>
#include <vector>

#include "base/result.h"
#include "log/types.h"
#include "state/store.h"

namespace millrace::runtime {

enum class Reason : uint8_t {
  kDuplicate = 1,
  kInvalid = 2,
  kLateDiverted = 3,
  kLateKept = 4,  // a row all the same: listed so that it can be shown
};
inline bool Excludes(Reason reason) { return reason != Reason::kLateKept; }

class Exclusions {
 public:
  struct Item {
    log::Offset offset;
    Reason reason;
  };

  Exclusions(log::TopicId topic, int32_t partitions);

  // What the Store has. REQUIRES: nothing was added.
  Status Load(const state::Store& store);
  // REQUIRES: not fewer than there are.
  void Grow(int32_t partitions);
  // REQUIRES: items ascend and lie above all earlier ones of the partition.
  void Add(int32_t partition, const std::vector<Item>& items);
  void TakeDirty(std::vector<state::Mutation>& out);

  // Those with from <= offset < until, ascending.
  std::vector<Item> Read(int32_t partition, log::Offset from, log::Offset until) const;

 private:
  struct Partition {
    std::vector<Item> items;
    size_t clean = 0;  // how many of them the Store has
  };
  const log::TopicId topic_;
  mutable std::shared_mutex mutex_;
  std::vector<Partition> partitions_;
};

}  // namespace millrace::runtime
