#include "state/flush_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "rows/key.h"
#include "state/disk_key.h"
#include "state/sort_by_bytes.h"

namespace millrace::state {
namespace {

constexpr size_t kFirstBlockBytes = 4 << 10;
constexpr size_t kBlockBytes = 1 << 20;

}  // namespace

void TableBuffer::Put(uint8_t shard, std::string_view key, std::string_view row,
                      std::string_view value) {
  CHECK(value.size() <= kValueBytesMax);
  Append(shard, key, row, value, false);
}

void TableBuffer::Delete(uint8_t shard, std::string_view key, std::string_view row) {
  Append(shard, key, row, {}, true);
}

void TableBuffer::Append(uint8_t shard, std::string_view key, std::string_view row,
                         std::string_view value, bool deleted) {
  const size_t key_bytes = kKeyLengthBytes + key.size() + row.size();
  const size_t bytes = key_bytes + value.size();
  if (bytes > free_bytes_) {
    const size_t block = std::max(bytes, blocks_.empty() ? kFirstBlockBytes : kBlockBytes);
    blocks_.emplace_back(new char[block]);
    free_ = blocks_.back().get();
    free_bytes_ = block;
    block_bytes_ += block;
  }
  char* const data = free_;
  char* at = data;
  WriteKeyLength(at, key.size());
  at += kKeyLengthBytes;
  for (const std::string_view part : {key, row, value}) {
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  free_ += bytes;
  free_bytes_ -= bytes;
  entries_.push_back(Entry{data, static_cast<uint32_t>(key_bytes),
                           static_cast<uint16_t>(value.size()), deleted, shard});
}

void TableBuffer::CutIntoShards() {
  shard_begin_.assign(rows::kVirtualShards + 1, 0);
  for (const Entry& entry : entries_) ++shard_begin_[entry.shard + 1];
  for (int s = 0; s < rows::kVirtualShards; ++s) shard_begin_[s + 1] += shard_begin_[s];
  std::vector<Entry> cut(entries_.size());
  std::vector<size_t> next(shard_begin_.begin(), shard_begin_.end() - 1);
  for (const Entry& entry : entries_) cut[next[entry.shard]++] = entry;
  entries_.swap(cut);
}

std::span<const TableBuffer::Entry> TableBuffer::SortShard(int shard) {
  const std::span<Entry> entries(entries_.data() + shard_begin_[shard], ShardSize(shard));
  // A shard's keys are few enough for the cache; fetched together, not one by one as the sort meets
  // them.
  for (const Entry& entry : entries) __builtin_prefetch(entry.data);
  SortByBytes<Entry>()(
      entries, [](const Entry& entry) { return entry.key(); },
      [](const Entry& entry) { return entry.deleted ? 1 : 0; });
  const auto end = std::unique(entries.begin(), entries.end(),
                               [](const Entry& a, const Entry& b) { return a.key() == b.key(); });
  return entries.first(static_cast<size_t>(end - entries.begin()));
}

size_t FlushBuffer::memory_bytes() const {
  size_t bytes = 0;
  for (const auto& [id, table] : tables) bytes += table.memory_bytes();
  return bytes;
}

}  // namespace millrace::state
