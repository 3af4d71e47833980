// FlushBuffer gathers what one worker has to write in one flush: for each table, keys with their
// value or their deletion. The worker fills it, then the flush thread sorts and writes it.
//
// Not thread-safe: handed over as a whole.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "state/store.h"

namespace millrace::state {

// One table's share of one worker.
class TableBuffer {
 public:
  // `data` is the disk key without table and shard (disk_key.h), then the value.
  struct Entry {
    const char* data;
    uint32_t key_bytes;
    uint16_t value_bytes;
    bool deleted;
    uint8_t shard;
    std::string_view key() const { return {data, key_bytes}; }
    std::string_view value() const { return {data + key_bytes, value_bytes}; }
  };
  static constexpr size_t kValueBytesMax = UINT16_MAX;

  // The disk key's tail is `key` with its length, then `row`. REQUIRES: value.size() <=
  // kValueBytesMax.
  void Put(uint8_t shard, std::string_view key, std::string_view row, std::string_view value);
  void Delete(uint8_t shard, std::string_view key, std::string_view row);

  // How many entries more the table has at the freeze than when it was opened.
  void set_entries_change(int64_t change) { entries_change_ = change; }
  int64_t entries_change() const { return entries_change_; }

  size_t size() const { return entries_.size(); }
  size_t memory_bytes() const { return block_bytes_ + entries_.capacity() * sizeof(Entry); }

  // Puts the entries of each shard side by side. Nothing is added afterwards.
  void CutIntoShards();
  // REQUIRES of both: CutIntoShards was called.
  size_t ShardSize(int shard) const { return shard_begin_[shard + 1] - shard_begin_[shard]; }
  // The entries of a shard, ascending, each key once. Where a key was both put and deleted, the put
  // stays: see BagTable. Different shards may be sorted by different threads.
  std::span<const Entry> SortShard(int shard);

 private:
  void Append(uint8_t shard, std::string_view key, std::string_view row, std::string_view value,
              bool deleted);

  std::vector<Entry> entries_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* free_ = nullptr;
  size_t free_bytes_ = 0;
  size_t block_bytes_ = 0;
  std::vector<size_t> shard_begin_;
  int64_t entries_change_ = 0;
};

struct FlushBuffer {
  std::map<TableId, TableBuffer> tables;
  size_t memory_bytes() const;
};

}  // namespace millrace::state
