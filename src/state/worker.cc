#include "state/worker.h"

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"
#include "state/disk_key.h"

namespace millrace::state {
namespace {

// A slice of a flush at the end of a step: long enough to be through in a few hundred steps, short
// beside the 10 ms that a step may take.
constexpr double kSliceSeconds = 0.0015;
// After a longer step: this share of the time it took, up to a bound.
constexpr double kSliceShareOfStep = 0.5;
constexpr double kSliceSecondsMax = 1.0;
constexpr size_t kEntriesPerLookAtTheClock = 128;
constexpr size_t kSlotsPerLook = 1024;

}  // namespace

Worker::Worker(int index, int workers, size_t budget_bytes, Disk& disk,
               std::unique_ptr<Arena> arena, FlushDesk& desk)
    : budget_bytes_(budget_bytes),
      disk_(disk),
      arena_(std::move(arena)),
      desk_(desk),
      context_{.disk = disk,
               .arena = *arena_,
               .index = index,
               .workers = workers,
               .cold_directory = disk.cold_directory()} {}

bool Worker::StartsWithDisk(TableId id) {
  CHECK(id != kMetaTable) << "the id of the store's own table";
  const bool dropped = desk_.IsDropped(id);
  Result<bool> has = dropped ? false : disk_.HasTable(id);
  if (has.ok()) {
    if (!*has) desk_.NoteEmpty(id);
    return *has;
  }
  // A table has no way to fail when it is opened: the step's end tells it.
  if (context_.error.ok()) context_.error = has.error();
  return true;
}

CellTable& Worker::Cells(TableId id, size_t cell_bytes) {
  CHECK(cell_bytes > 0 && cell_bytes <= 4096) << "a cell of " << cell_bytes << " bytes";
  CHECK(!bags_.contains(id)) << "a table of cells was made as one of bags";
  auto& table = cells_[id];
  if (table == nullptr) {
    table = std::make_unique<CellTableImpl>(id, cell_bytes, context_, StartsWithDisk(id));
    tables_.push_back(table.get());
  }
  CHECK(table->cell_bytes() == cell_bytes) << "one table with two sizes of cells";
  return *table;
}

BagTable& Worker::Bags(TableId id, bool ordered) {
  CHECK(!cells_.contains(id)) << "a table of bags was made as one of cells";
  auto& table = bags_[id];
  if (table == nullptr) {
    table = std::make_unique<BagTableImpl>(id, ordered, context_, StartsWithDisk(id));
    tables_.push_back(table.get());
  }
  CHECK(table->ordered() == ordered) << "one table both ordered and not";
  return *table;
}

Status Worker::AfterStep() {
  TRY(Status(context_.error));
  TRY(desk_.health());
  NoteIngested();
  if (share_open_) WriteSlice();
  for (Table* table : tables_) table->EndStep();
  Evict();
  TRY(Status(context_.error));
  Publish();
  last_step_end_ = Tick();
  return Ok();
}

void Worker::BeginFlush() {
  NoteIngested();
  CHECK(!share_open_ && !context_.flushing);
  context_.parity = !context_.parity;
  context_.flushing = true;
  share_open_ = true;
  unwritten_ = tables_;
  for (const auto& [id, table] : cells_) table->Freeze(buffer_.tables[id]);
  for (const auto& [id, table] : bags_) table->Freeze(buffer_.tables[id]);
}

void Worker::WriteSlice() {
  const auto start = Tick();
  // Large steps are few: their slices grow with them, or a flush would take the whole load.
  const double slice_seconds =
      std::clamp(kSliceShareOfStep * SecondsSince(last_step_end_), kSliceSeconds, kSliceSecondsMax);
  while (!unwritten_.empty()) {
    if (unwritten_.back()->WriteFrozen(kEntriesPerLookAtTheClock)) unwritten_.pop_back();
    if (SecondsSince(start) > slice_seconds) break;
  }
  HandOverIfDone();
}

void Worker::FinishShare() {
  if (!share_open_) return;
  while (!unwritten_.empty()) {
    if (unwritten_.back()->WriteFrozen(SIZE_MAX)) unwritten_.pop_back();
  }
  HandOverIfDone();
}

void Worker::HandOverIfDone() {
  if (!unwritten_.empty()) return;
  share_open_ = false;
  desk_.HandOver(std::exchange(buffer_, FlushBuffer{}));
}

void Worker::NoteIngested() {
  const uint64_t ingested = desk_.ingested();
  if (ingested == ingested_) return;
  ingested_ = ingested;
  context_.flushing = false;
  for (Table* table : tables_) {
    table->OnIngested();
    table->ShrinkIndex();
  }
  evict_again_bytes_ = 0;
  Publish();
}

const Table* Worker::Find(TableId id) const {
  if (const auto cell = cells_.find(id); cell != cells_.end()) return cell->second.get();
  if (const auto bag = bags_.find(id); bag != bags_.end()) return bag->second.get();
  return nullptr;
}

void Worker::Drop(TableId id) {
  Table* table = nullptr;
  if (const auto cell = cells_.find(id); cell != cells_.end()) table = cell->second.get();
  if (const auto bag = bags_.find(id); bag != bags_.end()) table = bag->second.get();
  if (table == nullptr) return;
  // A flush under way still holds the table: should it be the last one, the steps after it run
  // again.
  while (!table->WriteFrozen(SIZE_MAX)) {
  }
  std::erase(unwritten_, table);
  std::erase(tables_, table);
  table->FreeAll();
  cells_.erase(id);
  bags_.erase(id);
  Publish();
}

size_t Worker::TableBytes() const {
  size_t bytes = share_open_ ? buffer_.memory_bytes() : 0;
  for (const Table* table : tables_) bytes += table->memory_bytes();
  return bytes;
}

size_t Worker::used_bytes() const { return arena_->live_bytes() + TableBytes(); }
size_t Worker::memory_bytes() const { return arena_->page_bytes() + TableBytes(); }

// Second chance (Corbató 1968): the hand goes over the slots of one table after the other; an entry
// that was used since the hand's last visit is spared once.
void Worker::Evict() {
  size_t used = used_bytes();
  if (used <= std::max(budget_bytes_, evict_again_bytes_)) {
    if (used <= budget_bytes_) published_.wants_flush = false;
    return;
  }
  // Twice around, and one look more for each entry that goes, because the next one may move into
  // its slot.
  size_t slots = 0;
  for (const Table* table : tables_) slots += 3 * table->slot_count();
  while (used > budget_bytes_ && slots > 0 && !tables_.empty()) {
    evict_table_ %= tables_.size();
    Table& table = *tables_[evict_table_];
    const size_t look = std::min({slots, kSlotsPerLook, table.slot_count()});
    table.Evict(look);
    slots -= look;
    // Tables take turns by their share of the slots, look by look.
    ++evict_table_;
    used = used_bytes();
  }
  for (Table* table : tables_) table->ShrinkIndex();
  used = used_bytes();
  if (used > budget_bytes_) {
    // All that is left is dirty or in flight. Looking again is worth while only when there is more,
    // or after a flush.
    published_.wants_flush = true;
    evict_again_bytes_ = used + budget_bytes_ / 4;
  } else {
    published_.wants_flush = false;
    evict_again_bytes_ = 0;
  }
}

void Worker::Publish() {
  published_.memory_bytes = memory_bytes();
  published_.misses = context_.misses;
  published_.cold_hits = context_.cold_hits;
  published_.evicted = context_.evicted;
}

}  // namespace millrace::state
