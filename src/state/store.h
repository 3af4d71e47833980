// The Store keeps what the operators of a node remember: in memory first, on disk (one RocksDB)
// from time to time.
//
// Each worker owns its WorkerState and the tables in it; nobody else touches them. About once a
// second, at a step boundary n, the runtime calls BeginFlush(n): each worker's dirty entries are
// frozen, which costs nothing by itself. From then on the worker writes frozen entries into a
// buffer, a slice at the end of each step (WorkerState::AfterStep), and before it changes a frozen
// entry it writes that one first. So the buffers hold exactly the values of step n, without locks
// and without a pause. When all workers are through, the flush thread sorts the buffers, writes
// sorted files and has RocksDB ingest them in one atomic call together with `flushed step = n`.
// After a crash the store is at flushed_step() and the journal's later steps run again.
//
// Clean entries may be evicted when memory runs over the budget; a later look-up reads them back.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace rocksdb {
class Env;
}

namespace millrace::state {

class Disk;
class WorkerState;

// Steps count from 1; 0 is "before the first step".
struct Step {
  int64_t value = 0;
  auto operator<=>(const Step&) const = default;
};

// Which table: the fingerprint of the operator it belongs to, or one of the runtime's own.
struct TableId {
  uint64_t value = 0;
  auto operator<=>(const TableId&) const = default;
};

// A change of an entry of one of the runtime's own tables (views, exclusions, ledger), which live
// outside the workers and are handed over whole at a flush.
struct Mutation {
  TableId table;
  std::string key;
  std::optional<std::string> value;  // nullopt: the entry is deleted
  // The first eight bytes of the key name a group, which is found as one (content_disk.h).
  bool grouped = false;
};

// What one operator's table holds and how it is used, over all workers.
struct TableStats {
  // Cells, and rows of bags; those that are on disk only are part of them. None: the table is older
  // than the count, which a release before this one did not keep.
  std::optional<int64_t> entries = int64_t{0};
  int64_t entries_in_memory = 0;
  size_t memory_bytes = 0;  // of entries, indexes and lists
  uint64_t look_ups = 0;    // of keys, since the start
  uint64_t misses = 0;      // those of them that memory could not answer

  TableStats& operator+=(const TableStats& other);
};

struct StoreOptions {
  std::string directory;
  int workers = 1;
  // Memory for operator state over all workers; above it clean entries are evicted.
  size_t memory_bytes = size_t{4} << 30;
  rocksdb::Env* env = nullptr;  // tests: a faulty one
  // Looks only: nothing in the directory changes. It must hold a store, and nothing may be flushed.
  bool read_only = false;
};

// Thread-safe where not said otherwise.
class Store {
 public:
  // Opens or creates. kCorruption where the files are damaged, kConflict where they were written
  // with other encodings.
  static Result<std::unique_ptr<Store>> Open(const StoreOptions& options);
  ~Store();

  // The step whose state the disk holds.
  Step flushed_step() const;

  // A worker's tables. Owned by the Store, used by that worker's thread only.
  WorkerState& worker(int index);

  // Freezes the dirty entries of all workers at `step`, together with `mutations`, written
  // atomically with them. REQUIRES: no worker is in a step; no flush is under way.
  void BeginFlush(Step step, std::vector<Mutation> mutations);
  bool flushing() const;
  // Ends a flush that is under way, doing the workers' share itself. REQUIRES: no worker is in a
  // step.
  Status FinishFlush();
  // Memory is over the budget and what fills it is dirty: only a flush makes room.
  bool wants_flush() const;
  // The error that made a flush fail; from then on nothing is flushed, and the node has to stop.
  Status health() const;

  // The entries of a runtime table as of flushed_step(), in key order. REQUIRES: no flush is under
  // way.
  Status Scan(
      TableId table, std::string_view prefix,
      const std::function<Status(std::string_view key, std::string_view value)>& visit) const;
  Result<std::optional<std::string>> Get(TableId table, std::string_view key) const;

  // Puts the state as of flushed_step() into a new folder, which is then a store of its own. Files
  // are linked where both lie in one file system, so it takes milliseconds whatever the size; the
  // linked ones never change. The folder must not exist; its parent must. REQUIRES: no flush is
  // under way.
  Status CopyTo(const std::string& directory) const;
  // For contents, which read it by themselves.
  std::shared_ptr<const Disk> disk() const;

  // Forgets a table in memory and, with the next flush, on disk. REQUIRES: no worker is in a step.
  void Drop(TableId table);

  struct Stats {
    size_t memory_bytes = 0;     // of all tables
    size_t flushed_entries = 0;  // since the start
    size_t flushed_bytes = 0;
    size_t evicted_entries = 0;
    size_t misses = 0;     // look-ups that had to ask RocksDB
    size_t cold_hits = 0;  // look-ups of evicted entries that their own file answered
    double last_flush_seconds = 0;
  };
  Stats stats() const;
  // None where no worker has the table. REQUIRES: no worker is in a step.
  std::optional<TableStats> table_stats(TableId table) const;
  // About what the table takes on disk; what a compaction has yet to remove counts. Less than a
  // block of 8 KiB may show as nothing.
  Result<size_t> DiskBytes(TableId table) const;

  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::state
