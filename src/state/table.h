// What the tables of a worker have in common: entries that are clean or dirty, the freeze of a
// flush, and eviction.
//
// An entry that changed since the last freeze is dirty with the current parity. BeginFlush flips
// the parity: dirty entries of the other parity are frozen, which costs nothing. A frozen entry is
// written to the flush buffer either by WriteFrozen, slice by slice, or before it changes (then it
// is dirty again, with the current parity).
//
// Invariants:
// 1. An entry is in `dirty_` exactly once if it is dirty with the current parity.
// 2. Every frozen entry is in `frozen_`, at or after `frozen_next_`. Others may be there too: those
// changed since.
// 3. Memory of an entry that is in one of the lists is not given back before the list has passed
// it.
// 4. An entry is evicted only if what it holds has reached the disk: not dirty, and not part of the
// flush under way.
//
// Thread rule: owned by one worker.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/arena.h"
#include "state/cold_entries.h"
#include "state/disk.h"
#include "state/flush_buffer.h"
#include "state/hash_index.h"
#include "state/tables.h"

namespace millrace::state {

// What a worker shares with its tables.
struct WorkerContext {
  Disk& disk;
  Arena& arena;
  int index;
  int workers;
  bool parity = false;    // of the entries that become dirty now
  bool flushing = false;  // from the freeze until the files are ingested
  size_t misses = 0;      // look-ups that had to ask RocksDB
  size_t cold_hits = 0;   // look-ups that the file of evicted entries answered
  size_t evicted = 0;
  std::string cold_directory = {};  // of the files of evicted entries; empty: there are none
  // What failed where nothing can be returned: the end of the step tells it.
  Status error = {};
};

enum Flag : uint8_t {
  kDirty = 1,          // differs from what was last written
  kDirtyParity = 2,    // ... with this parity
  kWritten = 4,        // written into a flush
  kWrittenParity = 8,  // ... that froze this parity; an older one is through
  kOnDisk = 16,        // the disk holds the entry, or will when the flush under way is through
  kAbsent = 32,        // the key has no entry (erased, or known to be nowhere)
  kReferenced = 64,    // used since the clock's hand last passed
  kListed = 128,       // a group that is in the list of empty ones
};

// Begins every record of the hash index. `tag` is the low half of the key's hash; its low byte is
// the virtual shard.
struct RecordHeader {
  uint32_t tag;
  uint32_t flags : 8;
  uint32_t key_bytes : 24;

  uint8_t shard() const { return static_cast<uint8_t>(tag); }
  bool Has(uint32_t flag) const { return (flags & flag) != 0; }
};
static_assert(sizeof(RecordHeader) == 8);

class Table {
 public:
  // Records begin with a RecordHeader and hold their key `key_offset` bytes from the start on.
  Table(TableId id, WorkerContext& worker, size_t key_offset, bool has_disk)
      : id_(id), worker_(worker), key_offset_(key_offset), has_disk_(has_disk) {}
  virtual ~Table() = default;
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // Frozen entries go to `out`, which stays until they are all written. REQUIRES: the last flush's
  // are.
  void Freeze(TableBuffer& out);
  // Writes up to `count` frozen entries. True when none is left.
  bool WriteFrozen(size_t count);
  // The files of the flush are on disk.
  virtual void OnIngested() = 0;
  // No pointer given out is in use any more.
  virtual void EndStep() {}
  // Looks at up to `slots` slots from where it stopped the last time and evicts what it may.
  void Evict(size_t slots);
  size_t slot_count() const { return index_.slot_count(); }
  size_t memory_bytes() const {
    return index_.memory_bytes() + (dirty_.capacity() + frozen_.capacity()) * sizeof(Arena::Ref);
  }
  void ShrinkIndex() { index_.ShrinkIfSparse(); }
  // `entries`: how many more than when the table was opened.
  TableStats stats() const {
    return {.entries = entries_change_,
            .entries_in_memory = entries_in_memory_,
            .memory_bytes = live_bytes_ + memory_bytes(),
            .look_ups = look_ups_,
            .misses = misses_};
  }
  // Gives all memory back to the arena. The table is not used afterwards.
  virtual void FreeAll() = 0;

 protected:
  // What the arena gives out or takes back while it lives counts towards the table.
  class Metered {
   public:
    explicit Metered(Table& table) : table_(table), before_(table.worker_.arena.live_bytes()) {}
    ~Metered() { table_.live_bytes_ += table_.worker_.arena.live_bytes() - before_; }
    Metered(const Metered&) = delete;
    Metered& operator=(const Metered&) = delete;

   private:
    Table& table_;
    const size_t before_;
  };
  // An entry that has come into being (1) or ceased to be (-1).
  void CountEntry(int change) {
    entries_change_ += change;
    entries_in_memory_ += change;
  }

  // Writes one entry of the frozen list if it is still frozen, and frees it if it was kept for the
  // list only.
  virtual void WriteListed(Arena::Ref ref) = 0;
  // Whether nothing speaks against evicting the record.
  virtual bool TryEvict(Arena::Ref ref) = 0;
  // Moves an evicted record, of which the index does not know any more, to `cold_` where there is
  // one, and frees it.
  virtual void Leave(Arena::Ref ref) = 0;

  bool IsFrozen(uint32_t flags) const {
    return (flags & kDirty) != 0 && ((flags & kDirtyParity) != 0) != worker_.parity;
  }
  bool IsDirtyNow(uint32_t flags) const {
    return (flags & kDirty) != 0 && ((flags & kDirtyParity) != 0) == worker_.parity;
  }
  bool InFlight(uint32_t flags) const {
    return (flags & kWritten) != 0 && worker_.flushing &&
           ((flags & kWrittenParity) != 0) != worker_.parity;
  }
  uint32_t AsDirty(uint32_t flags) const {
    return (flags & ~uint32_t{kDirtyParity}) | kDirty | (worker_.parity ? kDirtyParity : 0);
  }
  uint32_t AsWritten(uint32_t flags) const {
    return (flags & ~uint32_t{kDirty | kWrittenParity}) | kWritten |
           (worker_.parity ? 0 : kWrittenParity);
  }
  Status CheckKeys(std::span<const Key> keys) const;

  std::string_view KeyOf(const RecordHeader* record) const {
    return {reinterpret_cast<const char*>(record) + key_offset_, record->key_bytes};
  }
  size_t RecordBytes(size_t key_bytes) const { return key_offset_ + key_bytes; }
  RecordHeader* FindInMemory(const Key& key) const;
  // Calls visit(i, record or nullptr) for each key, in order, with the memory accesses of many keys
  // under way together.
  template <typename Visit>
  void LookUp(std::span<const Key> keys, const Visit& visit);
  // Asks `cold_` for the keys that `missing_` names, and calls take(key, found), a Status, for
  // each that is here or nowhere. The others are named by `asked_`, to be looked for in RocksDB.
  template <typename Take>
  Status FindCold(std::span<const Key> keys, const Take& take);
  void NoteError(Status status) {
    if (!status.ok() && worker_.error.ok()) worker_.error = std::move(status);
  }
  // A record with header and key; the rest is not filled, the index does not know it.
  RecordHeader* NewRecord(const Key& key, uint32_t flags);
  RecordHeader* Create(const Key& key, uint32_t flags);

  const TableId id_;
  WorkerContext& worker_;
  const size_t key_offset_;
  // Whether the disk may hold keys of this table that are not in memory.
  bool has_disk_;
  HashIndex index_;
  std::vector<Arena::Ref> dirty_;
  std::vector<Arena::Ref> frozen_;
  size_t frozen_next_ = 0;
  TableBuffer* out_ = nullptr;
  size_t hand_ = 0;
  std::vector<size_t> missing_;  // places in the keys of a call, not found in memory
  std::vector<size_t> asked_;
  int64_t entries_in_memory_ = 0;
  uint64_t misses_ = 0;
  // Made when something is evicted for the first time.
  std::unique_ptr<ColdEntries> cold_;

 private:
  // Pages of `cold_` whose memory accesses are under way together.
  static constexpr size_t kColdLanes = 16;

  void MakeCold();
  void LeaveEvicted();

  std::vector<Arena::Ref> evicted_;
  bool cold_tried_ = false;
  int64_t entries_change_ = 0;
  size_t live_bytes_ = 0;  // of the arena
  uint64_t look_ups_ = 0;
};

template <typename Visit>
void Table::LookUp(std::span<const Key> keys, const Visit& visit) {
  // About what a core can have outstanding.
  constexpr size_t kLanes = 32;
  look_ups_ += keys.size();
  Arena::Ref candidates[kLanes];
  for (size_t begin = 0; begin < keys.size(); begin += kLanes) {
    const size_t count = std::min(kLanes, keys.size() - begin);
    for (size_t i = 0; i < count; ++i) {
      index_.Prefetch(static_cast<uint32_t>(keys[begin + i].hash));
    }
    for (size_t i = 0; i < count; ++i) {
      candidates[i] = index_.Candidate(static_cast<uint32_t>(keys[begin + i].hash));
      if (candidates[i] == 0) continue;
      const std::byte* record = worker_.arena.At<std::byte>(candidates[i]);
      __builtin_prefetch(record);
      __builtin_prefetch(record + RecordBytes(keys[begin + i].bytes.size()) - 1);
    }
    for (size_t i = 0; i < count; ++i) {
      const Key& key = keys[begin + i];
      RecordHeader* record = nullptr;
      if (candidates[i] != 0) {
        record = worker_.arena.At<RecordHeader>(candidates[i]);
        if (KeyOf(record) != key.bytes) record = nullptr;
      }
      // Not the first of its tag, or made since by an equal key of this call.
      if (record == nullptr) record = FindInMemory(key);
      if (record != nullptr && !record->Has(kReferenced)) record->flags |= kReferenced;
      visit(begin + i, record);
    }
  }
}

template <typename Take>
Status Table::FindCold(std::span<const Key> keys, const Take& take) {
  asked_.clear();
  if (cold_ == nullptr) {
    asked_ = missing_;
    return Ok();
  }
  for (size_t begin = 0; begin < missing_.size(); begin += kColdLanes) {
    const size_t end = std::min(begin + kColdLanes, missing_.size());
    for (size_t m = begin; m < end; ++m) {
      cold_->Prefetch(static_cast<uint32_t>(keys[missing_[m]].hash));
    }
    for (size_t m = begin; m < end; ++m) {
      const Key& key = keys[missing_[m]];
      // An equal key of this call may have come before.
      if (FindInMemory(key) != nullptr) continue;
      TRY(const auto found, cold_->Find(static_cast<uint32_t>(key.hash), key.bytes));
      if (found.where == ColdEntries::Found::Where::kUnknown) {
        asked_.push_back(missing_[m]);
        continue;
      }
      ++worker_.cold_hits;
      TRY(take(key, found));
    }
  }
  return Ok();
}

}  // namespace millrace::state
