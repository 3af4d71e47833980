// What a ViewTable keeps of a row in memory.
#pragma once

#include <atomic>
#include <string_view>

#include "state/view_table.h"

namespace millrace::state {

struct ViewVersion {
  Step step;
  rows::Weight weight;
  ViewVersion* older;
};

// A row with its versions, newest first. The row's bytes follow the struct.
struct ViewTable::Entry {
  Entry* next;  // in the hash chain
  ViewVersion newest;
  uint64_t hash;
  uint32_t slot;
  uint32_t size;
  bool dirty;      // since the last TakeDirty
  bool in_flight;  // given by it, and not known to be on disk
  bool on_disk;    // once what is in flight is there
  bool in_garbage;
  mutable std::atomic<bool> used;  // since the eviction's hand came by
  std::string_view row() const { return {reinterpret_cast<const char*>(this + 1), size}; }
};

inline rows::Weight ViewTable::WeightAt(const Entry& entry, Step step) {
  for (const ViewVersion* version = &entry.newest; version != nullptr; version = version->older) {
    if (version->step <= step) return version->weight;
  }
  return 0;
}

}  // namespace millrace::state
