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
class Snapshot;
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

// Entries whose keys begin with a prefix, as the disk was when it was made. Not thread-safe. After
// Disk::Close it stands nowhere, with kUnavailable.
class DiskCursor {
 public:
  ~DiskCursor();
  // Goes to the first entry from `from` (a key without the prefix) on.
  void Seek(std::string_view from);
  bool Valid() const;
  void Next();
  std::string_view key() const;  // without the prefix; until Next
  std::string_view value() const;
  Status status() const;

 private:
  friend class Disk;
  DiskCursor();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Keeps the disk readable as it is now, until Disk::Close.
using DiskSnapshot = rocksdb::Snapshot;

struct FlushResult {
  size_t entries = 0;
  size_t bytes = 0;
};

class Disk : public std::enable_shared_from_this<Disk> {
  friend class DiskCursor;

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
      const std::function<Status(size_t at, std::optional<std::string_view> value)>& visit,
      const DiskSnapshot* snapshot = nullptr) const;
  // Over the entries whose keys begin with `prefix`. `one_group`: it is the prefix of one group.
  std::unique_ptr<DiskCursor> Cursor(std::string prefix, bool one_group,
                                     std::shared_ptr<const DiskSnapshot> snapshot) const;
  std::shared_ptr<const DiskSnapshot> TakeSnapshot() const;
  // Closes the RocksDB, whoever still has a share of this Disk, its cursors or its snapshots: what
  // they ask of it afterwards is kUnavailable. REQUIRES: nobody is in a call.
  void Close();
  // For tests: how many cursors were made, and to how many entries those that are gone went.
  uint64_t cursors_made() const;
  uint64_t cursor_steps() const;
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
