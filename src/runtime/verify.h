// Reads everything that a data directory holds, and says what is damaged. Offline: nothing changes,
// and no node may run on it. A backup is laid out in the same way.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

namespace millrace::runtime {

struct VerifyWatcher {
  // One for each damaged thing: a file, or records with topic, partition and offsets.
  std::function<void(const std::string& problem)> damaged;
  std::function<void(uint64_t bytes)> read;  // since the last call
};

struct Verified {
  int64_t batches = 0;
  int64_t records = 0;
  int64_t steps = 0;  // of the journal
  uint64_t bytes = 0;
};

// Checks the checkpoint and what else stands twice (both copies), the write-ahead file as far as it
// is needed, every batch of every segment with its entry, the catalog, the models, the journal, and
// the state. The error is one that keeps it from looking: kConflict (a node runs), kNotFound, kIo.
Result<Verified> VerifyData(const std::string& directory, const VerifyWatcher& watcher);

}  // namespace millrace::runtime
