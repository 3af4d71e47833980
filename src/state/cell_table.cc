#include "state/cell_table.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "rows/key.h"
#include "state/disk_key.h"

namespace millrace::state {
namespace {

size_t Padded(size_t cell_bytes) { return (cell_bytes + 7) / 8 * 8; }

}  // namespace

CellTableImpl::CellTableImpl(TableId id, size_t cell_bytes, WorkerContext& worker, bool has_disk)
    : Table(id, worker, sizeof(RecordHeader) + Padded(cell_bytes), has_disk),
      cell_bytes_(cell_bytes),
      padded_bytes_(Padded(cell_bytes)) {}

Status CellTableImpl::FindOrCreate(std::span<const Key> keys, std::vector<std::byte*>& cells,
                                   std::vector<uint8_t>& created) {
  TRY(CheckKeys(keys));
  cells.resize(keys.size());
  created.assign(keys.size(), 0);
  missing_.clear();
  const auto take = [&](size_t i, RecordHeader* record) {
    if (record == nullptr && has_disk_) {
      missing_.push_back(i);
      return;
    }
    if (record == nullptr || record->Has(kAbsent)) {
      if (record == nullptr) record = Create(keys[i], kReferenced);
      MarkDirty(record);
      record->flags &= ~uint32_t{kAbsent};
      std::memset(CellOf(record), 0, padded_bytes_);
      created[i] = 1;
    }
    cells[i] = CellOf(record);
  };
  LookUp(keys, take);
  if (missing_.empty()) return Ok();
  TRY(Load(keys));
  for (const size_t i : missing_) take(i, FindInMemory(keys[i]));
  return Ok();
}

Status CellTableImpl::Find(std::span<const Key> keys, std::vector<std::byte*>& cells) {
  TRY(CheckKeys(keys));
  cells.resize(keys.size());
  missing_.clear();
  const auto take = [&](size_t i, RecordHeader* record) {
    if (record == nullptr && has_disk_) {
      missing_.push_back(i);
      return;
    }
    cells[i] = record == nullptr || record->Has(kAbsent) ? nullptr : CellOf(record);
  };
  LookUp(keys, take);
  if (missing_.empty()) return Ok();
  TRY(Load(keys));
  for (const size_t i : missing_) take(i, FindInMemory(keys[i]));
  return Ok();
}

Status CellTableImpl::Load(std::span<const Key> keys) {
  std::vector<std::string> disk_keys;
  disk_keys.reserve(missing_.size());
  for (const size_t i : missing_) {
    disk_keys.push_back(
        DiskKey(id_, static_cast<uint8_t>(rows::VirtualShard(keys[i].hash)), keys[i].bytes));
  }
  std::vector<std::optional<std::string>> values;
  TRY(worker_.disk.MultiGet(disk_keys, values));
  worker_.misses += missing_.size();
  for (size_t m = 0; m < missing_.size(); ++m) {
    const Key& key = keys[missing_[m]];
    // An equal key of this call came before.
    if (FindInMemory(key) != nullptr) continue;
    if (!values[m].has_value()) {
      Create(key, kAbsent | kReferenced);
      continue;
    }
    if (values[m]->size() != cell_bytes_) {
      return Error(Code::kCorruption, "state table {:016x}: a cell of {} bytes on disk, not {}",
                   id_.value, values[m]->size(), cell_bytes_);
    }
    std::memcpy(CellOf(Create(key, kOnDisk | kReferenced)), values[m]->data(), cell_bytes_);
  }
  return Ok();
}

void CellTableImpl::Touch(std::byte* cell) { MarkDirty(RecordOf(cell)); }

void CellTableImpl::Erase(std::byte* cell) {
  RecordHeader* const record = RecordOf(cell);
  MarkDirty(record);
  record->flags |= kAbsent;
}

void CellTableImpl::MarkDirty(RecordHeader* record) {
  if (IsDirtyNow(record->flags)) return;
  if (IsFrozen(record->flags)) Write(record);
  record->flags = AsDirty(record->flags) & 0xff;
  dirty_.push_back(worker_.arena.RefOf(record));
}

void CellTableImpl::Write(RecordHeader* record) {
  if (!record->Has(kAbsent)) {
    out_->Put(record->shard(), KeyOf(record), {},
              {reinterpret_cast<const char*>(CellOf(record)), cell_bytes_});
    record->flags |= kOnDisk;
  } else if (record->Has(kOnDisk)) {
    out_->Delete(record->shard(), KeyOf(record), {});
    record->flags &= ~uint32_t{kOnDisk};
  } else {
    record->flags &= ~uint32_t{kDirty};
    return;
  }
  record->flags = AsWritten(record->flags) & 0xff;
}

void CellTableImpl::WriteListed(Arena::Ref ref) {
  auto* const record = worker_.arena.At<RecordHeader>(ref);
  if (!IsFrozen(record->flags)) return;
  Write(record);
  if (!record->Has(kAbsent)) return;
  if (InFlight(record->flags)) {
    dying_.push_back(ref);
  } else {
    index_.Remove(record->tag, ref);
    Release(ref);
  }
}

void CellTableImpl::OnIngested() {
  for (const Arena::Ref ref : dying_) {
    const auto* record = worker_.arena.At<RecordHeader>(ref);
    if (!record->Has(kAbsent) || record->Has(kDirty)) continue;
    index_.Remove(record->tag, ref);
    Release(ref);
  }
  dying_.clear();
}

bool CellTableImpl::TryEvict(Arena::Ref ref) {
  auto* const record = worker_.arena.At<RecordHeader>(ref);
  if (record->Has(kDirty) || InFlight(record->flags)) return false;
  if (record->Has(kReferenced)) {
    record->flags &= ~uint32_t{kReferenced};
    return false;
  }
  if (record->Has(kOnDisk)) has_disk_ = true;
  Release(ref);
  return true;
}

void CellTableImpl::Release(Arena::Ref ref) {
  worker_.arena.Free(ref, RecordBytes(worker_.arena.At<RecordHeader>(ref)->key_bytes));
}

void CellTableImpl::FreeAll() {
  for (size_t i = 0; i < index_.slot_count(); ++i) {
    if (index_.slot(i).ref != 0) Release(index_.slot(i).ref);
  }
}

Status CellTableImpl::ForEach(
    const std::function<void(std::string_view key, const std::byte* cell)>& visit) {
  for (size_t i = 0; i < index_.slot_count(); ++i) {
    if (index_.slot(i).ref == 0) continue;
    auto* const record = worker_.arena.At<RecordHeader>(index_.slot(i).ref);
    if (!record->Has(kAbsent)) visit(KeyOf(record), CellOf(record));
  }
  if (!has_disk_) return Ok();
  // Aligned as the cells in memory are.
  std::vector<uint64_t> cell(padded_bytes_ / 8);
  for (int shard = worker_.index; shard < rows::kVirtualShards; shard += worker_.workers) {
    TRY(worker_.disk.Scan(ShardPrefix(id_, static_cast<uint8_t>(shard)),
                          [&](std::string_view disk_key, std::string_view value) -> Status {
                            if (disk_key.size() < kKeyOffset || value.size() != cell_bytes_) {
                              return Error(Code::kCorruption,
                                           "state table {:016x}: an entry that is no cell",
                                           id_.value);
                            }
                            const std::string_view key = disk_key.substr(kKeyOffset);
                            if (FindInMemory(Key{key, rows::KeyHash(key)}) != nullptr) return Ok();
                            std::memcpy(cell.data(), value.data(), cell_bytes_);
                            visit(key, reinterpret_cast<const std::byte*>(cell.data()));
                            return Ok();
                          }));
  }
  return Ok();
}

}  // namespace millrace::state
