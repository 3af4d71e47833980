// DurableTable: a small ordered table of keys and values that survives the node, kept as the
// records of a Storage.
//
// Each Apply is one record: all of its changes survive, or none does. The table holds what was
// *appended*, durable or not yet; its owner keeps what may be shown, and brings it forward when
// `done` says that a change is durable. The order of `done`s is that of the Applies.
//
// It stays bounded: when more than `rewrite_bytes_min` and more than twice the table's own size
// stand in the storage, the table is written again, piece by piece between other records, and what
// stands before the first piece is trimmed after the last one has become durable. Every live key is
// then in a piece or in a later record, so reading all records in order gives the table, wherever
// the trimming has come to. Format: docs/formats/consumer_offsets.md.
//
// Not thread-safe: every call is within a turn of the `turns` given, and so is every `done`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kafka_groups/storage.h"
#include "kafka_groups/turns.h"

namespace millrace::kafka_groups {

struct TableChange {
  std::string key;
  std::optional<std::string> value;  // nullopt: the key goes
};

struct TableOptions {
  uint64_t rewrite_bytes_min = 4ull << 20;
  uint64_t piece_bytes = 256ull << 10;
};

class DurableTable {
 public:
  using Done = std::function<void(Status)>;

  DurableTable(Turns& turns, Storage& storage, TableOptions options);

  // Reads the storage; once, before everything else. kCorruption, kNotSupported, kIo.
  Status Load();
  // Records were lost to damage: a key may have an older value, or be missing or back.
  bool lost_records() const { return storage_.lost_records(); }

  // An error from Apply itself: nothing has changed, and `done` never runs. REQUIRES: changes is
  // not empty.
  Status Apply(const std::vector<TableChange>& changes, Done done);

  // nullptr: no such key. Valid until the next Apply.
  const std::string* Find(const std::string& key) const;
  // Whether any key begins so.
  bool Any(std::string_view prefix) const;
  // In order of keys. `visit` must not call Apply.
  void ForEach(
      std::string_view prefix,
      const std::function<void(const std::string& key, const std::string& value)>& visit) const;

  // Goes on with a rewrite when nothing else does. Call it now and then.
  void Tick();

  size_t keys() const { return entries_.size(); }
  uint64_t live_bytes() const { return live_bytes_; }
  uint64_t stored_bytes() const { return stored_bytes_; }

 private:
  void Put(const TableChange& change);
  void RewriteMore();
  void PieceDone(Result<StoragePosition> position);

  Turns& turns_;
  Storage& storage_;
  const TableOptions options_;

  std::map<std::string, std::string> entries_;
  uint64_t live_bytes_ = 0;    // of keys and values
  uint64_t stored_bytes_ = 0;  // of the records that were not trimmed
  bool failed_ = false;        // an append's outcome is unknown: nothing may follow it

  // A rewrite that is under way.
  struct Rewrite {
    std::optional<std::string> next_key = "";  // nullopt: all pieces are appended
    std::optional<StoragePosition> first;      // of the first piece, once it is durable
    uint64_t bytes_before = 0;                 // stored before the first piece
    bool in_flight = false;
  };
  std::optional<Rewrite> rewrite_;
};

}  // namespace millrace::kafka_groups
