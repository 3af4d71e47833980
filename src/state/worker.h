// Worker is the WorkerState of one worker: its arena, its tables, its share of a flush, and
// eviction.
//
// Thread rule: the methods of WorkerState belong to the worker's thread; BeginFlush, FinishShare,
// EndFlush and Drop are called by the Store while no worker is in a step; what `published` holds
// may be read by any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>

#include "state/bag_table.h"
#include "state/cell_table.h"
#include "state/table.h"

namespace millrace::state {

// What the workers need of the Store.
class FlushDesk {
 public:
  virtual ~FlushDesk() = default;
  // The worker's whole share of the flush under way. Called once by each worker.
  virtual void HandOver(FlushBuffer buffer) = 0;
  // How many flushes have reached the disk.
  virtual uint64_t ingested() const = 0;
  virtual Status health() const = 0;
  // Whether a table starts without what the disk may hold under its id.
  virtual bool IsDropped(TableId id) const = 0;
  // A table is opened of which the disk holds nothing.
  virtual void NoteEmpty(TableId id) = 0;
};

class Worker final : public WorkerState {
 public:
  struct Published {
    std::atomic<size_t> memory_bytes{0};
    std::atomic<size_t> misses{0};
    std::atomic<size_t> cold_hits{0};
    std::atomic<size_t> evicted{0};
    std::atomic<bool> wants_flush{false};
  };

  Worker(int index, int workers, size_t budget_bytes, Disk& disk, std::unique_ptr<Arena> arena,
         FlushDesk& desk);

  CellTable& Cells(TableId id, size_t cell_bytes) override;
  BagTable& Bags(TableId id, bool ordered) override;
  Status AfterStep() override;
  size_t memory_bytes() const override;

  void BeginFlush();
  // Writes all that is left of the worker's share, and hands it over.
  void FinishShare();
  // Takes note of files that have reached the disk.
  void NoteIngested();
  void Drop(TableId id);

  const Published& published() const { return published_; }
  // The open table of that id; nullptr where there is none.
  const Table* Find(TableId id) const;

 private:
  // What counts against the budget: entries rather than the pages that hold them, which evicting
  // does not free at once.
  size_t used_bytes() const;
  size_t TableBytes() const;
  void WriteSlice();
  void HandOverIfDone();
  void Evict();
  void Publish();
  bool StartsWithDisk(TableId id);

  const size_t budget_bytes_;
  Disk& disk_;
  const std::unique_ptr<Arena> arena_;
  FlushDesk& desk_;
  WorkerContext context_;
  std::map<TableId, std::unique_ptr<CellTableImpl>> cells_;
  std::map<TableId, std::unique_ptr<BagTableImpl>> bags_;
  std::vector<Table*> tables_;
  FlushBuffer buffer_;
  std::vector<Table*> unwritten_;  // tables with frozen entries
  std::chrono::steady_clock::time_point last_step_end_ = std::chrono::steady_clock::now();
  bool share_open_ = false;  // frozen, and not yet handed over
  uint64_t ingested_ = 0;
  size_t evict_table_ = 0;
  size_t evict_again_bytes_ = 0;  // no sweep before memory has reached this
  Published published_;
};

}  // namespace millrace::state
