// A ViewTable holds the content of one relation (view or table) for its readers: rows with weights,
// in several versions, so that a reader sees the rows as of its step while the engine goes on.
//
// One writer (the step loop) applies each step's change; readers look up rows by key or scan, at a
// pinned step, under a lock that is held for one look-up or one chunk. Versions that no pinned step
// can see any more are dropped as the writer goes on.
//
// Rows may be on disk only, once a flush has written them: after a restart, and when the writer
// evicts them. Three rules make what stands there right for every reader:
//   1. A row leaves memory only when the disk has its newest version and no reader needs an older
//      one. So a row that is not in memory is what the disk says, at every step that may be read.
//   2. A row in memory hides what the disk has of it.
//   3. A reader takes a cursor, which sees the disk as it is now, under the lock under which it
//      takes what memory has; then it reads the disk without the lock.
//
// Thread rule: writer methods from one thread; reader methods from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "rows/batch.h"
#include "rows/key.h"
#include "rows/row_codec.h"
#include "state/content_disk.h"
#include "state/content_index.h"
#include "state/content_order.h"
#include "state/store.h"

namespace millrace::state {

class ViewScan;

class ViewTable {
 public:
  // `id`: under which its rows stand in the Store. `key`: the columns by which it is looked up
  // first of all, also on disk. `key_is_unique`: at no step have two rows the same key.
  ViewTable(const Store& store, TableId id, rows::Types types, std::vector<size_t> key = {},
            bool key_is_unique = false);
  ~ViewTable();
  ViewTable(const ViewTable&) = delete;
  ViewTable& operator=(const ViewTable&) = delete;

  TableId id() const { return id_; }
  const rows::Types& types() const { return types_; }

  // ---- Writer ----

  // Takes over the content that the Store has, as of its flushed step; its rows stay on disk.
  // REQUIRES: the table is empty.
  Status Load(const Store& store);
  // Looks at up to `rows_max` more rows on disk and brings them into memory. False: it came to the
  // end; the next call begins anew.
  Result<bool> Warm(size_t rows_max);
  // The newest weights of a change's rows that are on disk only, by part and row; empty where none
  // are.
  using Before = std::vector<std::vector<rows::Weight>>;
  // Reads them: all that can fail of a change that is right. Errors: kCorruption, kIo.
  Result<Before> ReadBefore(const rows::Batch& change);
  // The change of one step. Steps come in rising order. `before`: what ReadBefore has given for it
  // since the last writer's call. `oldest_needed`: no reader is pinned, or will pin, before it.
  // kInternal: a row was taken away that is not there (a bug upstream); nothing of the change was
  // applied.
  Status Apply(Step step, const rows::Batch& change, const Before& before, Step oldest_needed);
  Status Apply(Step step, const rows::Batch& change, Step oldest_needed) {
    TRY(const Before before, ReadBefore(change));
    return Apply(step, change, before, oldest_needed);
  }
  // Takes back a change that Apply has taken at `step`, the last one applied.
  void Revert(Step step, const rows::Batch& change);
  // What changed since the last call, for Store::BeginFlush at `step`, the last one applied.
  // REQUIRES: no flush is under way.
  void TakeDirty(Step step, std::vector<Mutation>& out);
  // The flush of what TakeDirty gave has reached the disk.
  void NoteFlushed();
  // Drops rows from memory until they take `bytes` less, those first that were not used of late.
  // Returns what it could drop: rows that are not on disk stay, and those that a reader needs.
  size_t Evict(size_t bytes, Step oldest_needed);
  // Makes look-ups by these columns fast. Does nothing where that index exists.
  Status AddIndex(std::vector<size_t> columns);
  // Keeps the rows that are in memory in the order of these columns, for ReadRange. Does nothing
  // where they are. Reads all of them, a few at a time: as long as a scan takes. From any thread.
  Status AddOrder(std::vector<size_t> columns);
  // Its table in the Store is about to be dropped: readers go on seeing it.
  void Retire();

  // ---- Readers ----

  // Appends the rows (all columns) whose `columns` equal the key, as of `step`, to `out`. `key`:
  // rows::KeyEncoder bytes of the values. False, and nothing appended: no index has all rows by
  // these columns. One that was added has, as long as no row is on disk only; the one by the key of
  // the table always has, and asks the disk where the row is not in memory.
  Result<bool> Lookup(const std::vector<size_t>& columns, std::string_view key, Step step,
                      rows::BatchBuilder& out) const;
  // The keys (rows::KeyEncoder) at or above `low` and below `high`, the least first or last.
  struct KeyRange {
    std::string low;
    std::string high;
    bool backwards = false;
  };
  struct RangeRows {
    size_t rows;  // appended, counting weights
    bool more;    // there are in the range
  };
  // Appends the rows whose `columns`, as a key, are in the range, as of `step`, in its order, until
  // there are `rows_max`. nullopt, and nothing appended: the rows are kept in no such order, or
  // some are on disk only.
  Result<std::optional<RangeRows>> ReadRange(const std::vector<size_t>& columns,
                                             const KeyRange& range, Step step, size_t rows_max,
                                             rows::BatchBuilder& out) const;
  // An order by these columns is there, and has all rows that are in memory.
  bool HasOrder(const std::vector<size_t>& columns) const;
  // Lookup of all its rows, one after the other. `go_on` is asked now and then: its error ends
  // the look-up.
  Status LookupByScan(const std::vector<size_t>& columns, std::string_view key, Step step,
                      const std::function<Status()>& go_on, rows::BatchBuilder& out) const;

  // The rows as of `step`, in storage order.
  std::unique_ptr<ViewScan> Scan(Step step) const;

  // The key by which it was made, and by which its rows stand together; none: by the whole row.
  const std::vector<size_t>& key() const { return key_index_.columns(); }
  // Rows fall into parts by the hash of some columns, or, with none, of the whole row: the same
  // ones for ever.
  static constexpr uint32_t kParts = kContentParts;
  static std::vector<uint32_t> PartsOf(duckdb::DataChunk& rows, const std::vector<size_t>& columns,
                                       rows::RowEncoder& encoder);
  struct Parts {
    uint32_t first;  // first, first + stride, … < last
    uint32_t last;
    uint32_t stride;
    std::vector<size_t> by;  // key(), or nothing
  };
  // Visits the rows of the parts with their weights in the newest version; their bytes stand until
  // the visit ends. By key() it reads no more of the disk than those parts; else all of it.
  // kConflict: `by` is another key. REQUIRES: as NewestWeights.
  Status ScanParts(
      const Parts& parts,
      const std::function<void(std::string_view row, rows::Weight weight)>& visit) const;

  // The weights of rows in their newest version; `encoded`: the rows' encodings. REQUIRES: the
  // writer's thread, or that of a step that the writer waits for.
  Result<std::vector<rows::Weight>> NewestWeights(
      duckdb::DataChunk& rows, const std::vector<std::string_view>& encoded) const;
  // The same, from any thread.
  Result<std::vector<rows::Weight>> NewestWeightsShared(
      duckdb::DataChunk& rows, const std::vector<std::string_view>& encoded) const;

  // The last step that changed it, as far as `step` (for ETags): the greatest change step <=
  // `step`.
  Step LastChange(Step step) const;
  size_t row_count() const;  // newest version, counting weights
  // Different rows: all, and those that are on disk only.
  size_t entry_count() const;
  size_t cold_entry_count() const;
  size_t memory_bytes() const;
  size_t unflushed_count() const;
  size_t memory_entry_count() const;
  size_t bytes() const;  // of all rows, about

 private:
  friend class ViewScan;
  struct Entry;

  // Everything is in memory.
  bool complete() const { return disk_entries_ == resident_entries_; }
  Entry* FindOrCreate(std::string_view row, uint64_t hash);
  Entry* Find(std::string_view row, uint64_t hash) const;
  void TakeBack(Step step, const rows::Batch& change);
  static rows::Weight WeightAt(const Entry& entry, Step step);
  uint64_t GroupOf(const Entry& entry) const;
  std::vector<uint64_t> GroupsOf(duckdb::DataChunk& rows,
                                 const std::vector<std::string_view>& encoded) const;
  void MarkDirty(Entry* entry);
  void AddToIndexes(const std::vector<Entry*>& created);
  Status LoadUngrouped();
  Status LoadRegrouped();
  void TakeInRelaid(std::string_view row, rows::Weight weight, std::string key, bool grouped,
                    std::vector<Entry*>& created);
  Entry* TakeIn(std::string_view row, uint64_t hash, rows::Weight weight);
  void Collect(Step oldest_needed);
  void Prune(Entry* entry, Step oldest_needed);
  void Remove(Entry* entry);
  bool MayLeave(Entry* entry, Step oldest_needed) const;
  void TellScans(const Entry& entry);
  template <typename Visit>
  void ForEachInPart(uint32_t part, const std::vector<size_t>& by, const Visit& visit) const;
  void GrowTable();
  using RowAndWeight = std::pair<std::string, rows::Weight>;
  Result<size_t> LookupInMemory(const ContentIndex& index, std::string_view key, Step step,
                                rows::BatchBuilder& out) const;
  Result<std::vector<RowAndWeight>> ReadGroup(std::string_view key, Step step) const;
  const ContentIndex* IndexBy(const std::vector<size_t>& columns) const;
  ContentOrder* OrderBy(const std::vector<size_t>& columns) const;
  Status GrowOrder(ContentOrder& order);
  static void PutInOrder(ContentOrder& order, duckdb::DataChunk& rows,
                         std::span<Entry* const> entries, rows::KeyEncoder& keys);

  const TableId id_;
  const rows::Types types_;
  ContentDisk disk_;
  // Readers shared; the writer exclusive while it changes anything below.
  mutable std::shared_mutex mutex_;

  std::vector<Entry*> buckets_;  // open hashing: chains through Entry::next
  // All entries in memory; a freed slot is nullptr until it is used again.
  std::vector<Entry*> slots_;
  std::vector<uint32_t> free_slots_;
  ContentIndex key_index_;  // without columns: not used
  const bool key_is_unique_;
  std::vector<std::unique_ptr<ContentIndex>> indexes_;
  std::vector<Entry*> dirty_;      // since the last TakeDirty
  std::vector<Entry*> in_flight_;  // given by it, and not known to be on disk
  // Entries with versions to drop once no reader needs steps before `.first`.
  std::vector<std::pair<Step, Entry*>> garbage_;
  size_t garbage_begin_ = 0;
  std::vector<Step> change_steps_;  // of late, ascending
  size_t entries_ = 0;              // in memory
  int64_t row_count_ = 0;
  size_t memory_bytes_ = 0;
  // Different rows on disk once the flush under way is through, and those of them in memory.
  size_t disk_entries_ = 0;
  size_t resident_entries_ = 0;
  Step flushing_;                              // what is in flight is of this step
  Step flushed_;                               // what is neither dirty nor in flight is not newer
  std::vector<Mutation> relaid_;               // deletions of rows that stood elsewhere on disk
  std::string warm_at_;                        // the last row that Warm has seen
  size_t hand_ = 0;                            // of the eviction
  mutable std::mutex scans_mutex_;             // taken after mutex_, or alone
  mutable std::vector<ViewScan*> slot_scans_;  // those that go by the slots
  rows::RowEncoder encoder_;
  std::mutex making_order_;  // taken before mutex_
  std::vector<std::unique_ptr<ContentOrder>> orders_;
};

// One pass over a ViewTable's rows as of a step. Not thread-safe; the table outlives it, and its
// step stays pinned.
class ViewScan {
 public:
  ~ViewScan();
  ViewScan(const ViewScan&) = delete;
  ViewScan& operator=(const ViewScan&) = delete;

  // Visits up to `rows_max` more rows; a row of weight n once, with that weight. The rows' bytes
  // stand until the next call. False: that was the end.
  Result<bool> Next(size_t rows_max,
                    const std::function<void(std::string_view row, rows::Weight weight)>& visit);

 private:
  friend class ViewTable;
  ViewScan(const ViewTable& table, Step step) : table_(table), step_(step) {}
  void TakeOverrides();
  void LeaveSlots();
  bool GoOnWithLeft();
  // False: that was the end.
  bool NextInMemory(size_t rows_max);
  Result<bool> NextMerged(size_t rows_max);
  void KeepMerged(std::string_view row, rows::Weight weight);
  void Keep(std::string_view row, rows::Weight weight);

  const ViewTable& table_;
  const Step step_;
  // Everything was in memory: by the slots. Rows that are evicted meanwhile are noted (by hashes of
  // 128 bits) and passed over should they come back, in whichever slot; those that the scan had not
  // come to (true) are read last, from the disk.
  bool by_slots_ = false;
  size_t position_ = 0;
  struct RowHash {
    uint64_t low;
    uint64_t high;
    bool operator==(const RowHash&) const = default;
  };
  struct LowOf {
    size_t operator()(const RowHash& hash) const { return hash.low; }
  };
  static RowHash HashOf(std::string_view row);
  std::unordered_map<RowHash, bool, LowOf> left_;
  bool reads_left_ = false;
  // Else, or then, the disk, and what memory has instead of it, both in the order of
  // ContentDisk::KeyOf.
  struct Override {
    std::string key;
    rows::Weight weight;
  };
  ContentDisk::Cursor cursor_;
  bool begun_ = false;
  std::vector<Override> overrides_;
  size_t next_override_ = 0;
  std::string bytes_;
  std::vector<std::pair<size_t, rows::Weight>> ends_;  // of each row in bytes_
};

}  // namespace millrace::state
