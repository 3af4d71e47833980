// Disk is the RocksDB behind the tables: opened, read by key, and written only by ingesting the
// sorted files of a flush.
//
// Thread-safe: workers read while the flush thread ingests.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "state/flush_buffer.h"
#include "state/store.h"

namespace rocksdb {
class DB;
class Iterator;
}  // namespace rocksdb

namespace millrace::state {

// How many entries operators' tables have, where it is known.
using EntryCounts = std::map<TableId, int64_t>;

// What a flush writes.
struct FlushJob {
  Step step;
  std::vector<FlushBuffer> workers;
  std::vector<Mutation> mutations;
  std::set<TableId> drops;  // come before everything else of the flush
  // As the store was opened with; the workers' buffers say what has changed since.
  EntryCounts entries = {};
};

struct FlushResult {
  size_t entries = 0;
  size_t bytes = 0;
};

class Disk {
 public:
  static Result<std::unique_ptr<Disk>> Open(const StoreOptions& options);
  ~Disk();

  // What the disk held when it was opened.
  Step opened_step() const;
  // Of the step that it held then.
  const EntryCounts& opened_entries() const;
  // Where files without a name may be made; empty where nothing may be written.
  std::string cold_directory() const;

  // Writes all of the job or nothing.
  Result<FlushResult> Ingest(FlushJob& job);

  // Looks keys up together, in ascending order, and calls `visit` with the place of each key and
  // its value, nullopt where it is not there.
  Status MultiGet(
      std::span<const std::string_view> keys,
      const std::function<Status(size_t at, std::optional<std::string_view> value)>& visit) const;
  using Visit = std::function<Status(std::string_view key, std::string_view value)>;
  // Visits the entries whose key begins with one of `prefixes`, each the prefix of one group
  // (table, shard and key), in ascending order of the prefixes. `visit` gets the prefix's place and
  // the key without it.
  Status ReadGroups(const std::vector<std::string>& prefixes,
                    const std::function<Status(size_t group, std::string_view row,
                                               std::string_view value)>& visit) const;
  // Visits all entries whose key begins with `prefix`, ascending, with their whole keys.
  Status Scan(std::string_view prefix, const Visit& visit) const;
  Result<bool> HasTable(TableId table) const;
  // See Store::CopyTo.
  Status CopyTo(const std::string& directory) const;
  // About what the table takes.
  Result<size_t> ApproximateBytes(TableId table) const;

  struct Impl;
  explicit Disk(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::state
