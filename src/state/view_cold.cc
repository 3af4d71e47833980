// How rows of a ViewTable leave memory for the disk and come back.
#include <mutex>

#include "base/check.h"
#include "base/coding.h"
#include "state/view_entry.h"
#include "state/view_table.h"

namespace millrace::state {
namespace {

// How many entries the eviction looks at before readers have a turn.
constexpr size_t kLooksAtOnce = 4096;

}  // namespace

Status ViewTable::Load(const Store& store) {
  const std::unique_lock lock(mutex_);
  CHECK(entries_ == 0 && disk_entries_ == 0);
  TRY(const std::optional<ContentMeta> meta, disk_.ReadMeta());
  if (!meta) {
    TRY(LoadUngrouped());
  } else if (meta->key != key_index_.columns()) {
    TRY(LoadRegrouped());
  } else {
    row_count_ = meta->rows;
    disk_entries_ = meta->entries;
  }
  flushed_ = flushing_ = store.flushed_step();
  // When it changed last is not kept; what is certain is that it has not changed since this step.
  change_steps_.assign(1, flushed_);
  return Ok();
}

// As releases before format version 3 kept them. All of it fitted into memory then.
Status ViewTable::LoadUngrouped() {
  std::vector<Entry*> created;
  TRY(disk_.ScanUngrouped([&](std::string_view row, rows::Weight weight) -> Status {
    TakeInRelaid(row, weight, std::string(row), /*grouped=*/false, created);
    return Ok();
  }));
  AddToIndexes(created);
  return Ok();
}

// Another release has found another key for the view.
Status ViewTable::LoadRegrouped() {
  std::vector<Entry*> created;
  ContentDisk::Cursor cursor = disk_.All();
  for (cursor.Begin(); cursor.Valid(); cursor.Next()) {
    TRY(const rows::Weight weight, cursor.weight());
    TakeInRelaid(cursor.row(), weight, std::string(cursor.key()), /*grouped=*/true, created);
  }
  TRY(cursor.status());
  AddToIndexes(created);
  return Ok();
}

void ViewTable::TakeInRelaid(std::string_view row, rows::Weight weight, std::string key,
                             bool grouped, std::vector<Entry*>& created) {
  Entry* entry = FindOrCreate(row, StableHash(row));
  entry->newest.weight = weight;
  row_count_ += weight;
  MarkDirty(entry);
  created.push_back(entry);
  relaid_.push_back({id_, std::move(key), std::nullopt, grouped});
}

Result<bool> ViewTable::Warm(size_t rows_max) {
  if (complete()) return false;
  struct Row {
    std::string bytes;
    rows::Weight weight;
  };
  std::vector<Row> rows;
  ContentDisk::Cursor cursor = disk_.All();
  size_t seen = 0;
  for (cursor.Begin(warm_at_); cursor.Valid() && seen < rows_max; cursor.Next(), ++seen) {
    TRY(const rows::Weight weight, cursor.weight());
    warm_at_ = cursor.key();
    if (Find(cursor.row(), StableHash(cursor.row())) != nullptr) continue;
    rows.push_back({std::string(cursor.row()), weight});
  }
  TRY(cursor.status());
  const bool more = cursor.Valid();
  if (!more) warm_at_.clear();
  const std::unique_lock lock(mutex_);
  std::vector<Entry*> created;
  created.reserve(rows.size());
  for (const Row& row : rows) {
    Entry* entry = FindOrCreate(row.bytes, StableHash(row.bytes));
    entry->newest.weight = row.weight;
    entry->on_disk = true;
    entry->used = false;
    ++resident_entries_;
    created.push_back(entry);
  }
  AddToIndexes(created);
  return more;
}

bool ViewTable::MayLeave(Entry* entry, Step oldest_needed) const {
  if (entry->dirty || entry->in_flight || entry->in_garbage || entry->newest.older != nullptr ||
      entry->newest.weight == 0 || entry->newest.step > oldest_needed)
    return false;
  CHECK(entry->on_disk) << "a clean row is not on disk";
  // Second chance (Corbató 1968), as of the operators' entries.
  return !entry->used.exchange(false, std::memory_order_relaxed);
}

// Scans that go by the slots will not find it there, or find it again when it has come back.
void ViewTable::TellScans(const Entry& entry) {
  const std::lock_guard lock(scans_mutex_);
  for (ViewScan* scan : slot_scans_) {
    // What counts is where it was when it left first.
    scan->left_.try_emplace(ViewScan::HashOf(entry.row()), entry.slot >= scan->position_);
  }
}

size_t ViewTable::Evict(size_t bytes, Step oldest_needed) {
  {
    // The last change may be long ago.
    const std::unique_lock lock(mutex_);
    Collect(oldest_needed);
  }
  size_t freed = 0;
  // Twice around: the first time may only take away the marks of use.
  for (size_t looks = 2 * slots_.size(); looks > 0 && freed < bytes;) {
    const std::unique_lock lock(mutex_);
    const size_t before = memory_bytes_;
    for (size_t i = std::min(looks, kLooksAtOnce); i > 0; --i, --looks) {
      if (hand_ >= slots_.size()) hand_ = 0;
      Entry* entry = slots_[hand_++];
      if (entry == nullptr || !MayLeave(entry, oldest_needed)) continue;
      TellScans(*entry);
      Remove(entry);
    }
    freed += before - memory_bytes_;
  }
  return freed;
}

void ViewTable::Retire() {
  const std::unique_lock lock(mutex_);
  disk_.Freeze();
}

}  // namespace millrace::state
