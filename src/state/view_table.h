// A ViewTable holds the content of one relation (view or table) for its readers: rows with weights,
// in several versions, so that a reader sees the rows as of its step while the engine goes on.
//
// One writer (the step loop) applies each step's change; readers look up rows by key or scan, at a
// pinned step, under a lock that is held for one look-up or one chunk. Versions that no pinned step
// can see any more are dropped as the writer goes on.
//
// Thread rule: writer methods from one thread; reader methods from any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "rows/batch.h"
#include "rows/key.h"
#include "rows/row_codec.h"
#include "state/store.h"

namespace millrace::state {

class ViewTable {
 public:
  // `id`: under which its rows stand in the Store.
  ViewTable(TableId id, rows::Types types);
  ~ViewTable();
  ViewTable(const ViewTable&) = delete;
  ViewTable& operator=(const ViewTable&) = delete;

  TableId id() const { return id_; }
  const rows::Types& types() const { return types_; }

  // ---- Writer ----

  // Reads the content that the Store has, as of its flushed step. REQUIRES: the table is empty.
  Status Load(const Store& store);
  // The change of one step. Steps come in rising order. `oldest_needed`: no reader is pinned, or
  // will pin, before it. kInternal: a row was taken away that is not there (a bug upstream, caught
  // before harm).
  Status Apply(Step step, const rows::Batch& change, Step oldest_needed);
  // What changed since the last call, for Store::BeginFlush.
  void TakeDirty(std::vector<Mutation>& out);
  // Makes look-ups by these columns fast. Does nothing where that index exists.
  void AddIndex(std::vector<size_t> columns);

  // ---- Readers ----

  bool HasIndex(const std::vector<size_t>& columns) const;
  // Appends the rows (all columns) whose `columns` equal the key, as of `step`, to `out`. `key`:
  // rows::KeyEncoder bytes of the values. REQUIRES: HasIndex(columns).
  void Lookup(const std::vector<size_t>& columns, std::string_view key, Step step,
              rows::BatchBuilder& out) const;

  // Visits the rows as of `step` in storage order, from `position` on (0 at first), at most a chunk
  // of them; returns the position to go on from, or kEnd. A row of weight n is visited once with
  // that weight.
  static constexpr size_t kEnd = SIZE_MAX;
  size_t Scan(Step step, size_t position, size_t rows_max,
              const std::function<void(std::string_view row, rows::Weight weight)>& visit) const;

  // Rows fall into parts by their hash, the same ones for ever.
  static constexpr uint32_t kParts = 1024;
  static uint32_t PartOf(std::string_view row);
  // Visits the rows of the parts `first` <= p < `last` with their weights in the newest version.
  // REQUIRES: as NewestWeight.
  void ScanParts(uint32_t first, uint32_t last,
                 const std::function<void(std::string_view row, rows::Weight weight)>& visit) const;

  // The weight of a row in its newest version. REQUIRES: the writer's thread, or that of a step
  // that the writer waits for.
  rows::Weight NewestWeight(std::string_view row) const;
  // The same, from any thread.
  rows::Weight NewestWeightShared(std::string_view row) const;

  // The last step that changed it, as far as `step` (for ETags): the greatest change step <=
  // `step`.
  Step LastChange(Step step) const;
  size_t row_count() const;  // newest version, counting weights
  size_t memory_bytes() const;

 private:
  struct Entry;
  struct Index;

  Entry* FindOrCreate(std::string_view row, uint64_t hash);
  Entry* Find(std::string_view row, uint64_t hash) const;
  static rows::Weight WeightAt(const Entry& entry, Step step);
  void AddToIndexes(const std::vector<Entry*>& created);
  void Collect(Step oldest_needed);
  void Prune(Entry* entry, Step oldest_needed);
  void Remove(Entry* entry);
  void GrowTable();

  const TableId id_;
  const rows::Types types_;
  mutable std::shared_mutex
      mutex_;  // readers shared; the writer exclusive while it changes anything below

  std::vector<Entry*> buckets_;  // open hashing: chains through Entry::next
  std::vector<Entry*>
      slots_;  // all entries, for scans; a freed slot is nullptr until it is used again
  std::vector<size_t> free_slots_;
  std::vector<std::unique_ptr<Index>> indexes_;
  std::vector<Entry*> dirty_;
  // Entries with versions to drop once no reader needs steps before `.first`.
  std::vector<std::pair<Step, Entry*>> garbage_;
  size_t garbage_begin_ = 0;
  std::vector<Step> change_steps_;  // of late, ascending
  size_t entries_ = 0;
  int64_t row_count_ = 0;
  size_t memory_bytes_ = 0;
  rows::RowEncoder encoder_;
};

}  // namespace millrace::state
