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
  const Metered metered(*this);
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
      CountEntry(1);
    }
    cells[i] = CellOf(record);
  };
  LookUp(keys, take);
  if (missing_.empty()) return Ok();
  misses_ += missing_.size();
  TRY(Load(keys));
  for (const size_t i : missing_) take(i, FindInMemory(keys[i]));
  return Ok();
}

Status CellTableImpl::Find(std::span<const Key> keys, std::vector<std::byte*>& cells) {
  TRY(CheckKeys(keys));
  const Metered metered(*this);
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
  misses_ += missing_.size();
  TRY(Load(keys));
  for (const size_t i : missing_) take(i, FindInMemory(keys[i]));
  return Ok();
}

Status CellTableImpl::Load(std::span<const Key> keys) {
  TRY(FindCold(keys, [&](const Key& key, const ColdEntries::Found& found) {
    if (found.where == ColdEntries::Found::Where::kHere) return LoadCell(key, found.value);
    Create(key, kAbsent | kReferenced);
    return Ok();
  }));
  if (asked_.empty()) return Ok();
  worker_.misses += asked_.size();
  std::string bytes;
  for (const size_t i : asked_) {
    AppendDiskKey(bytes, id_, static_cast<uint8_t>(rows::VirtualShard(keys[i].hash)),
                  keys[i].bytes);
  }
  std::vector<std::string_view> disk_keys;
  disk_keys.reserve(asked_.size());
  const char* next = bytes.data();
  for (const size_t i : asked_) {
    disk_keys.emplace_back(next, kKeyOffset + keys[i].bytes.size());
    next += disk_keys.back().size();
  }
  return worker_.disk.MultiGet(disk_keys, [&](size_t at, std::optional<std::string_view> cell) {
    const Key& key = keys[asked_[at]];
    // An equal key of this call came before.
    if (FindInMemory(key) != nullptr) return Ok();
    if (cell.has_value()) return LoadCell(key, *cell);
    Create(key, kAbsent | kReferenced);
    return Ok();
  });
}

Status CellTableImpl::LoadCell(const Key& key, std::string_view cell) {
  if (cell.size() != cell_bytes_) {
    return Error(Code::kCorruption, "state table {:016x}: a cell of {} bytes on disk, not {}",
                 id_.value, cell.size(), cell_bytes_);
  }
  std::memcpy(CellOf(Create(key, kOnDisk | kReferenced)), cell.data(), cell_bytes_);
  ++entries_in_memory_;
  return Ok();
}

void CellTableImpl::Touch(std::byte* cell) { MarkDirty(RecordOf(cell)); }

void CellTableImpl::Erase(std::byte* cell) {
  RecordHeader* const record = RecordOf(cell);
  MarkDirty(record);
  if (!record->Has(kAbsent)) CountEntry(-1);
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
  const Metered metered(*this);
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
  return true;
}

Status CellTableImpl::MoveOut(RecordHeader* record) {
  if (cold_ == nullptr) return Ok();
  if (record->Has(kAbsent)) return cold_->Erase(record->tag, KeyOf(record));
  return cold_->Put(record->tag, KeyOf(record),
                    {reinterpret_cast<const char*>(CellOf(record)), cell_bytes_});
}

void CellTableImpl::Release(Arena::Ref ref) {
  auto* const record = worker_.arena.At<RecordHeader>(ref);
  NoteError(MoveOut(record));
  if (!record->Has(kAbsent)) --entries_in_memory_;
  worker_.arena.Free(ref, RecordBytes(record->key_bytes));
}

void CellTableImpl::FreeAll() {
  cold_.reset();
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
