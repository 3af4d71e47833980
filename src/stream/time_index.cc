#include "stream/time_index.h"

#include <algorithm>

#include "base/coding.h"
#include "rows/key.h"

namespace millrace::stream {
namespace {

std::string ShardNames() {
  std::string names;
  for (int shard = 0; shard < rows::kVirtualShards; ++shard)
    names.push_back(static_cast<char>(shard));
  return names;
}

// An entry is time | key | payload | hash of the key, 8 bytes | size of the key, 4 bytes.
constexpr size_t kTailBytes = sizeof(uint64_t) + sizeof(uint32_t);

}  // namespace

state::TableId TimeIndexTable(state::TableId node) {
  std::string name = "time index";
  PutFixed(name, node.value);
  return {StableHash(name)};
}

TimeIndex::TimeIndex(state::WorkerState& state, state::TableId node, int worker, int workers)
    : table_(state.Bags(TimeIndexTable(node), /*ordered=*/true)), shard_names_(ShardNames()) {
  for (int shard = 0; shard < rows::kVirtualShards; ++shard) {
    if (rows::WorkerOfShard(shard, workers) == worker) shards_.push_back(ShardKey(shard));
  }
}

// Stored under the shard whose entries it holds, so that they go with it to another worker.
state::Key TimeIndex::ShardKey(int shard) const {
  return {std::string_view(shard_names_).substr(static_cast<size_t>(shard), 1),
          static_cast<uint64_t>(shard)};
}

Status TimeIndex::Add(std::span<const New> entries) {
  if (entries.empty()) return Ok();
  keys_.clear();
  for (const New& entry : entries) keys_.push_back(ShardKey(rows::VirtualShard(entry.key.hash)));
  TRY(table_.FindOrCreate(keys_, groups_));
  for (size_t i = 0; i < entries.size(); ++i) {
    const New& entry = entries[i];
    row_.assign(entry.time);
    row_.append(entry.key.bytes);
    row_.append(entry.payload);
    PutFixed(row_, entry.key.hash);
    PutFixed(row_, static_cast<uint32_t>(entry.key.bytes.size()));
    table_.Add(groups_[i], row_, entry.weight);
  }
  return Ok();
}

Result<std::span<const TimeIndex::Entry>> TimeIndex::Take(std::string_view bound, bool inclusive) {
  bytes_.Clear();
  taken_.clear();
  TRY(table_.Find(shards_, groups_));
  std::vector<state::BagTable::Entry> due;
  for (state::BagTable::Group* group : groups_) {
    if (group == nullptr) continue;
    due.clear();
    table_.Scan(group, {}, [&](const state::BagTable::Entry& entry) {
      const int order = entry.row.substr(0, bound.size()).compare(bound);
      if (order > 0 || (order == 0 && !inclusive)) return false;
      due.push_back({bytes_.Copy(entry.row), entry.weight});
      return true;
    });
    for (const state::BagTable::Entry& entry : due) {
      if (entry.row.size() < bound.size() + kTailBytes)
        return Error(Code::kCorruption, "an entry of {} bytes in a time index", entry.row.size());
      const char* tail = entry.row.data() + entry.row.size() - kTailBytes;
      const auto hash = GetFixed<uint64_t>(tail);
      const size_t key_bytes = GetFixed<uint32_t>(tail + sizeof(uint64_t));
      const std::string_view rest =
          entry.row.substr(bound.size(), entry.row.size() - bound.size() - kTailBytes);
      if (rest.size() < key_bytes)
        return Error(Code::kCorruption, "a key of {} bytes in a time index", key_bytes);
      taken_.push_back({{rest.substr(0, key_bytes), hash}, rest.substr(key_bytes), entry.weight});
      table_.Add(group, entry.row, -entry.weight);
    }
  }
  return std::span<const Entry>(taken_);
}

Result<std::string> TimeIndex::First() {
  std::string first;
  TRY(table_.Find(shards_, groups_));
  for (state::BagTable::Group* group : groups_) {
    if (group == nullptr) continue;
    table_.Scan(group, {}, [&](const state::BagTable::Entry& entry) {
      if (first.empty() || entry.row < first) first.assign(entry.row);
      return false;
    });
  }
  return first;
}

}  // namespace millrace::stream
