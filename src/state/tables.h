// The two shapes in which operators remember: one fixed cell per key (CellTable), and a bag of rows
// per key (BagTable). Keys are bytes (rows/key.h), prefix-free within a table; the caller passes
// their hash (rows::KeyHash), which also decides the virtual shard under which an entry is stored,
// so that the number of workers may change at a restart.
//
// Thread rule: owned by one worker; every call from that worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "state/store.h"

namespace millrace::state {

struct Key {
  std::string_view bytes;
  uint64_t hash;
};

// key → `cell_bytes` bytes, for accumulators: counts, sums, weights, times.
class CellTable {
 public:
  virtual ~CellTable() = default;

  // Gives each key its cell, made of zero bytes where the key is new (`created[i]` says so). Misses
  // of one call are read from disk together. Pointers stay valid until the end of the step (until
  // the next AfterStep), whatever else is called. Equal keys in one call get the same cell (only
  // the first one "created").
  virtual Status FindOrCreate(std::span<const Key> keys, std::vector<std::byte*>& cells,
                              std::vector<uint8_t>& created) = 0;
  // As above, but nullptr where the key has no cell.
  virtual Status Find(std::span<const Key> keys, std::vector<std::byte*>& cells) = 0;
  // Says that the caller is about to change the cell. Must come before the change. Cheap when
  // called again in one step.
  virtual void Touch(std::byte* cell) = 0;
  // Removes the cell's key. The pointer is dead afterwards.
  virtual void Erase(std::byte* cell) = 0;
  // All entries, in no particular order, those on disk included.
  virtual Status ForEach(
      const std::function<void(std::string_view key, const std::byte* cell)>& visit) = 0;
};

// key → bag of rows, each with a weight other than 0. A row is bytes; in an ordered table rows of a
// group come in memcmp order (put a sort key before the row's encoding to have them in SQL order).
class BagTable {
 public:
  class Group;  // opaque

  virtual ~BagTable() = default;

  // The groups of the keys, with all their rows in memory; nullptr where a key has none. Valid
  // until the end of the step.
  virtual Status Find(std::span<const Key> keys, std::vector<Group*>& groups) = 0;
  virtual Status FindOrCreate(std::span<const Key> keys, std::vector<Group*>& groups) = 0;

  // Adds `weight` to the row's weight in the group and returns the weight before. A row whose
  // weight gets to 0 is gone.
  virtual int64_t Add(Group* group, std::string_view row, int64_t weight) = 0;

  struct Entry {
    std::string_view row;
    int64_t weight;
  };
  // All rows of the group, in memcmp order in an ordered table, else in an order that depends only
  // on the history of calls. Views stay valid until the next Add to that group.
  virtual void Rows(const Group* group, std::vector<Entry>& out) const = 0;
  // Visits rows in memcmp order (ordered tables only), from the first one >= `from`, until `visit`
  // returns false.
  virtual void Scan(const Group* group, std::string_view from,
                    const std::function<bool(const Entry&)>& visit) const = 0;
  // Number of different rows.
  virtual size_t Size(const Group* group) const = 0;
  // All groups, in no particular order, those on disk included.
  virtual Status ForEach(
      const std::function<void(std::string_view key, const Group* group)>& visit) = 0;
};

// The tables of one worker.
class WorkerState {
 public:
  virtual ~WorkerState() = default;
  // The table of that id, opened or made. Every call for one id names the same shape. REQUIRES: 0 <
  // cell_bytes <= 4096.
  virtual CellTable& Cells(TableId id, size_t cell_bytes) = 0;
  virtual BagTable& Bags(TableId id, bool ordered) = 0;
  // Called by the worker after each of its steps, when no pointer into a table is in use any more:
  // goes on with a flush for a slice of time, and evicts when memory runs over. kIo/kCorruption:
  // the node has to stop.
  virtual Status AfterStep() = 0;
  virtual size_t memory_bytes() const = 0;
};

}  // namespace millrace::state
