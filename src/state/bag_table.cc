#include "state/bag_table.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/coding.h"
#include "rows/key.h"
#include "state/disk_key.h"

namespace millrace::state {

static_assert(RowRecord::kDirty == kDirty && RowRecord::kDirtyParity == kDirtyParity);
static_assert(sizeof(BagTable::Group) == 40);

BagTableImpl::BagTableImpl(TableId id, bool ordered, WorkerContext& worker, bool has_disk)
    : Table(id, worker, sizeof(Group), has_disk), ordered_(ordered) {}

BagTable::Group* BagTableImpl::MakeEmpty(RecordHeader* record) const {
  Group* group = AsGroup(record);
  group->dirty_rows = 0;
  group->unused = 0;
  group->tree = RowTree{};
  return group;
}

Status BagTableImpl::Find(std::span<const Key> keys, std::vector<Group*>& groups) {
  TRY(CheckKeys(keys));
  const Metered metered(*this);
  groups.resize(keys.size());
  missing_.clear();
  const auto take = [&](size_t i, RecordHeader* record) {
    groups[i] = nullptr;
    if (record == nullptr && has_disk_) {
      missing_.push_back(i);
    } else if (record != nullptr && AsGroup(record)->tree.entries > 0) {
      groups[i] = AsGroup(record);
    }
  };
  LookUp(keys, take);
  if (missing_.empty()) return Ok();
  misses_ += missing_.size();
  TRY(Load(keys));
  for (const size_t i : missing_) take(i, FindInMemory(keys[i]));
  return Ok();
}

Status BagTableImpl::FindOrCreate(std::span<const Key> keys, std::vector<Group*>& groups) {
  TRY(CheckKeys(keys));
  const Metered metered(*this);
  groups.resize(keys.size());
  missing_.clear();
  LookUp(keys, [&](size_t i, RecordHeader* record) {
    if (record == nullptr && has_disk_) {
      missing_.push_back(i);
      return;
    }
    if (record == nullptr) {
      record = Create(keys[i], kReferenced);
      ListEmpty(MakeEmpty(record));
    }
    groups[i] = AsGroup(record);
  });
  if (missing_.empty()) return Ok();
  misses_ += missing_.size();
  TRY(Load(keys));
  for (const size_t i : missing_) groups[i] = AsGroup(FindInMemory(keys[i]));
  return Ok();
}

Status BagTableImpl::Load(std::span<const Key> keys) {
  TRY(FindCold(keys, [&](const Key& key, const ColdEntries::Found& found) {
    return LoadCold(MakeEmpty(Create(key, kReferenced)), found.value);
  }));
  return asked_.empty() ? Ok() : LoadDisk(keys);
}

Status BagTableImpl::LoadCold(Group* group, std::string_view rows) {
  for (Reader reader(rows); reader.remaining() > 0;) {
    TRY(const std::string_view row, reader.Bytes());
    TRY(const std::string_view weight, reader.Bytes());
    TRY(LoadRow(group, row, weight));
  }
  return Ok();
}

Status BagTableImpl::LoadDisk(std::span<const Key> keys) {
  std::vector<Group*> loaded;
  std::vector<std::string> prefixes;
  for (const size_t i : asked_) {
    // An equal key of this call may have come before.
    if (FindInMemory(keys[i]) != nullptr) continue;
    loaded.push_back(MakeEmpty(Create(keys[i], kReferenced)));
    prefixes.push_back(
        DiskKey(id_, static_cast<uint8_t>(rows::VirtualShard(keys[i].hash)), keys[i].bytes));
  }
  worker_.misses += loaded.size();
  std::vector<size_t> order(loaded.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return prefixes[a] < prefixes[b]; });
  std::vector<std::string> sorted;
  sorted.reserve(order.size());
  for (const size_t i : order) sorted.push_back(std::move(prefixes[i]));
  return worker_.disk.ReadGroups(sorted,
                                 [&](size_t at, std::string_view row, std::string_view value) {
                                   return LoadRow(loaded[order[at]], row, value);
                                 });
}

Status BagTableImpl::LoadRow(Group* group, std::string_view row, std::string_view value) {
  Reader reader(value);
  TRY(const int64_t weight, reader.Zigzag());
  if (weight == 0 || reader.remaining() != 0 || row.size() > RowRecord::kRowBytesMax) {
    return Error(Code::kCorruption, "state table {:016x}: an entry that is no row", id_.value);
  }
  RowTree::Path path;
  if (group->tree.Locate(worker_.arena, row, path) != 0) {
    return Error(Code::kCorruption, "state table {:016x}: a row is there twice", id_.value);
  }
  RowRecord* record = NewRow(group, row, weight, RowRecord::kOnDisk);
  group->tree.Insert(worker_.arena, path, worker_.arena.RefOf(record));
  ++entries_in_memory_;
  return Ok();
}

RowRecord* BagTableImpl::NewRow(Group* group, std::string_view row, int64_t weight,
                                uint32_t flags) {
  const Arena::Ref ref = worker_.arena.Allocate(RowRecord::Bytes(row.size()));
  auto* record = worker_.arena.At<RowRecord>(ref);
  record->weight = weight;
  record->group = worker_.arena.RefOf(group);
  record->flags = flags & 0xf;
  record->row_bytes = static_cast<uint32_t>(row.size()) & RowRecord::kRowBytesMax;
  std::copy_n(row.data(), row.size(), reinterpret_cast<char*>(record + 1));
  return record;
}

int64_t BagTableImpl::Add(Group* group, std::string_view row, int64_t weight) {
  CHECK(row.size() <= RowRecord::kRowBytesMax) << "a row of " << row.size() << " bytes";
  RowTree::Path path;
  Arena::Ref ref = group->tree.Locate(worker_.arena, row, path);
  if (ref == 0) {
    if (weight == 0) return 0;
    const Metered metered(*this);
    CountEntry(1);
    RowRecord* record = NewRow(group, row, weight, 0);
    ref = worker_.arena.RefOf(record);
    MarkDirty(record, ref);
    group->tree.Insert(worker_.arena, path, ref);
    return 0;
  }
  auto* record = worker_.arena.At<RowRecord>(ref);
  const int64_t before = record->weight;
  if (weight == 0) return before;
  MarkDirty(record, ref);
  CHECK(!__builtin_add_overflow(before, weight, &record->weight)) << "weight of a row overflows";
  if (record->weight == 0) {
    const Metered metered(*this);
    CountEntry(-1);
    record->flags |= RowRecord::kDead;
    group->tree.Remove(worker_.arena, path);
    if (group->tree.entries == 0) ListEmpty(group);
  }
  return before;
}

void BagTableImpl::Rows(const Group* group, std::vector<Entry>& out) const {
  out.clear();
  out.reserve(group->tree.entries);
  group->tree.Scan(worker_.arena, {}, [&](Arena::Ref ref) {
    const auto* row = worker_.arena.At<RowRecord>(ref);
    out.push_back(Entry{row->row(), row->weight});
    return true;
  });
}

void BagTableImpl::Scan(const Group* group, std::string_view from,
                        const std::function<bool(const Entry&)>& visit) const {
  CHECK(ordered_) << "Scan of a table that is not ordered";
  group->tree.Scan(worker_.arena, from, [&](Arena::Ref ref) {
    const auto* row = worker_.arena.At<RowRecord>(ref);
    return visit(Entry{row->row(), row->weight});
  });
}

void BagTableImpl::MarkDirty(RowRecord* row, Arena::Ref ref) {
  if (IsDirtyNow(row->flags)) return;
  if (IsFrozen(row->flags)) Write(row);
  row->flags = AsDirty(row->flags) & 0xf;
  ++worker_.arena.At<Group>(row->group)->dirty_rows;
  dirty_.push_back(ref);
}

void BagTableImpl::Write(RowRecord* row) {
  auto* group = worker_.arena.At<Group>(row->group);
  const bool dead = (row->flags & RowRecord::kDead) != 0;
  const bool on_disk = (row->flags & RowRecord::kOnDisk) != 0;
  if (!dead) {
    std::string weight;
    PutZigzag(weight, row->weight);
    out_->Put(group->header.shard(), KeyOf(&group->header), row->row(), weight);
    row->flags |= RowRecord::kOnDisk;
  } else if (on_disk) {
    out_->Delete(group->header.shard(), KeyOf(&group->header), row->row());
    row->flags &= ~RowRecord::kOnDisk;
  }
  row->flags &= ~RowRecord::kDirty;
  --group->dirty_rows;
  if (!dead || on_disk) group->header.flags = AsWritten(group->header.flags) & 0xff;
}

void BagTableImpl::WriteListed(Arena::Ref ref) {
  auto* row = worker_.arena.At<RowRecord>(ref);
  if (!IsFrozen(row->flags)) return;
  Write(row);
  if ((row->flags & RowRecord::kDead) != 0) {
    worker_.arena.Free(ref, RowRecord::Bytes(row->row_bytes));
  }
}

void BagTableImpl::ListEmpty(Group* group) {
  if (group->header.Has(kListed)) return;
  group->header.flags |= kListed;
  empty_.push_back(worker_.arena.RefOf(group));
}

void BagTableImpl::EndStep() {
  if (empty_.empty()) return;
  const Metered metered(*this);
  for (const Arena::Ref ref : empty_) {
    auto* group = worker_.arena.At<Group>(ref);
    if (group->tree.entries > 0) {
      group->header.flags &= ~uint32_t{kListed};
    } else if (group->dirty_rows > 0 || InFlight(group->header.flags)) {
      waiting_.push_back(ref);
    } else {
      index_.Remove(group->header.tag, ref);
      Leave(ref);
    }
  }
  empty_.clear();
}

void BagTableImpl::OnIngested() {
  empty_.insert(empty_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
}

bool BagTableImpl::TryEvict(Arena::Ref ref) {
  auto* group = worker_.arena.At<Group>(ref);
  if (group->dirty_rows > 0 || group->header.Has(kListed) || InFlight(group->header.flags)) {
    return false;
  }
  if (group->header.Has(kReferenced)) {
    group->header.flags &= ~uint32_t{kReferenced};
    return false;
  }
  return true;
}

void BagTableImpl::Leave(Arena::Ref ref) {
  auto* group = worker_.arena.At<Group>(ref);
  NoteError(MoveOut(group));
  Release(group);
}

Status BagTableImpl::MoveOut(const Group* group) {
  if (cold_ == nullptr) return Ok();
  const std::string_view key = KeyOf(&group->header);
  if (group->tree.entries == 0) return cold_->Erase(group->header.tag, key);
  moved_.clear();
  std::string weight;
  group->tree.Scan(worker_.arena, {}, [&](Arena::Ref ref) {
    const auto* row = worker_.arena.At<RowRecord>(ref);
    weight.clear();
    PutZigzag(weight, row->weight);
    PutBytes(moved_, row->row());
    PutBytes(moved_, weight);
    return moved_.size() <= ColdEntries::kValueBytesMax;
  });
  return cold_->Put(group->header.tag, key, moved_);
}

void BagTableImpl::Release(Group* group) {
  entries_in_memory_ -= group->tree.entries;
  group->tree.Scan(worker_.arena, {}, [&](Arena::Ref row) {
    worker_.arena.Free(row, RowRecord::Bytes(worker_.arena.At<RowRecord>(row)->row_bytes));
    return true;
  });
  group->tree.Clear(worker_.arena);
  worker_.arena.Free(worker_.arena.RefOf(group), RecordBytes(group->header.key_bytes));
}

void BagTableImpl::FreeAll() {
  cold_.reset();
  CHECK(frozen_.empty());
  for (const Arena::Ref ref : dirty_) {
    const auto* row = worker_.arena.At<RowRecord>(ref);
    if ((row->flags & RowRecord::kDead) == 0) continue;
    worker_.arena.Free(ref, RowRecord::Bytes(row->row_bytes));
  }
  for (size_t i = 0; i < index_.slot_count(); ++i) {
    if (index_.slot(i).ref != 0) Release(worker_.arena.At<Group>(index_.slot(i).ref));
  }
}

Status BagTableImpl::ForEach(
    const std::function<void(std::string_view key, const Group* group)>& visit) {
  for (size_t i = 0; i < index_.slot_count(); ++i) {
    if (index_.slot(i).ref == 0) continue;
    const auto* group = worker_.arena.At<Group>(index_.slot(i).ref);
    if (group->tree.entries > 0) visit(KeyOf(&group->header), group);
  }
  if (!has_disk_) return Ok();
  // A group on disk only is built for the visit and freed again.
  Group* group = nullptr;
  const auto finish = [&] {
    if (group == nullptr) return;
    visit(KeyOf(&group->header), group);
    Release(group);
    group = nullptr;
  };
  std::string skipped;  // the key that was last seen to be in memory, with its length
  const auto take = [&](std::string_view disk_key, std::string_view value) -> Status {
    const size_t key_bytes =
        disk_key.size() < kKeyOffset ? 0 : ReadKeyLength(disk_key.data() + kTableIdBytes + 1);
    if (disk_key.size() < kKeyOffset + key_bytes) {
      return Error(Code::kCorruption, "state table {:016x}: an entry that is no row", id_.value);
    }
    const std::string_view key = disk_key.substr(kKeyOffset, key_bytes);
    if (group == nullptr || KeyOf(&group->header) != key) {
      finish();
      const std::string_view with_length =
          disk_key.substr(kTableIdBytes, kKeyOffset - kTableIdBytes + key_bytes);
      if (skipped == with_length) return Ok();
      const Key looked_up{key, rows::KeyHash(key)};
      if (FindInMemory(looked_up) != nullptr) {
        skipped = with_length;
        return Ok();
      }
      group = MakeEmpty(NewRecord(looked_up, 0));
    }
    return LoadRow(group, disk_key.substr(kKeyOffset + key_bytes), value);
  };
  Status status;
  for (int shard = worker_.index; status.ok() && shard < rows::kVirtualShards;
       shard += worker_.workers) {
    status = worker_.disk.Scan(ShardPrefix(id_, static_cast<uint8_t>(shard)), take);
    if (status.ok()) finish();
  }
  if (group != nullptr) Release(group);
  return status;
}

}  // namespace millrace::state
