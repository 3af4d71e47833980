// What the model of log_model_test.cc knows of a log: every record that it was told is stored, by
// offset, and what may have become of it since. Check compares a log with it.
//
// A record is there, at its offset, as it was sent, unless
//   - retention, below the highest free floor there was, or DeleteRecords freed its beginning;
//   - its topic is compacted, it lies below the highest floor and the last stable offset, and it
//   was
//     aborted, or a later record of its key stands below the same bounds, or it deletes its key,
//     nothing older of the key is left, and the clock has risen by delete_retention since.
// What is gone never comes back. Markers stay.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "log/log.h"

namespace millrace::log::model {

inline constexpr int kNone = -1;

struct Record {
  std::string key;
  std::optional<std::string> value;  // nullopt: it deletes its key
  bool operator==(const Record&) const = default;
};

// What stands in a marker.
inline Record Marker(TransactionOutcome outcome) {
  return {std::string("\0\0\0", 3) + static_cast<char>(outcome), std::string(6, '\0')};
}

inline std::string BatchOf(const std::vector<Record>& records, Producer producer = {},
                           int32_t sequence = -1, bool transactional = false) {
  RecordBatchBuilder builder;
  for (const Record& record : records) builder.Add(record.key, record.value, {1000});
  if (producer.id >= 0) builder.SetProducer(producer, sequence, transactional);
  return builder.Finish();
}

// A request of which nobody knows yet that it is durable.
struct Pending {
  std::vector<std::pair<PartitionId, std::vector<Record>>> writes;
  AppendRequest again;  // of an idempotent producer: to be sent until it is acknowledged
  int64_t producer = -1;
  int transaction = kNone;
  std::optional<TransactionEnd> end;  // the same, of a coordinator
  bool acknowledged = false;
  bool refused = false;
  Appended appended;
};

// Values that the clock had, one after the other: it goes back, too.
class Clocks {
 public:
  void Add(Micros now) { values_.push_back(now.value); }
  size_t count() const { return values_.size(); }
  // From any time behind the first `since` to any later one, the most.
  std::chrono::microseconds RisenSince(size_t since) const {
    int64_t lowest = INT64_MAX;
    int64_t risen = 0;
    for (size_t i = since == 0 ? 0 : since - 1; i < values_.size(); ++i) {
      lowest = std::min(lowest, values_[i]);
      risen = std::max(risen, values_[i] - lowest);
    }
    return std::chrono::microseconds(risen);
  }

 private:
  std::vector<int64_t> values_;
};

struct StoredRecord {
  Record record;
  int transaction = kNone;
  bool marker = false;
  size_t clocks = 0;  // Clocks::count when it was stored
  bool gone = false;  // compaction took it out
};

struct ModelPartition {
  std::vector<StoredRecord> records;  // by offset
  int64_t unsynced = 0;               // of those, the last ones, which were answered early
  TopicConfig config;
  int64_t floor_max = 0;  // retention and compaction may have freed up to here
  int64_t deleted = 0;    // by hand
  int64_t seen_end = 0;

  int64_t end() const { return static_cast<int64_t>(records.size()); }
  int64_t durable_end() const { return end() - unsynced; }
};

// What happened, for whoever doubts that anything did.
struct Counts {
  uint64_t compacted = 0;   // records that compaction took out,
  uint64_t aborted = 0;     // of them: that were aborted,
  uint64_t deletions = 0;   // that deleted their key
  uint64_t freed = 0;       // by retention and by hand, once for each check
  uint64_t lost_early = 0;  // requests that were answered and then lost with the power

  void Add(const Counts& other) {
    compacted += other.compacted;
    aborted += other.aborted;
    deletions += other.deletions;
    freed += other.freed;
    lost_early += other.lost_early;
  }
  std::string text() const {
    return fmt::format(
        "compaction took out {} records, {} of them aborted and {} deletions; freed: {}; answered "
        "and lost with the power: {} requests",
        compacted, aborted, deletions, freed, lost_early);
  }
};

class Model {
 public:
  std::map<PartitionId, ModelPartition> partitions;
  std::map<int, TransactionOutcome> outcomes;  // by transaction
  Clocks clocks;
  Counts counts;

  void Store(const Pending& pending, PartitionId id, const std::vector<Record>& records) {
    if (pending.end) outcomes[pending.transaction] = pending.end->outcome;
    for (const Record& record : records) {
      partitions[id].records.push_back(
          {record, pending.transaction, pending.end.has_value(), clocks.count(), /*gone=*/false});
    }
  }

  // Everything of the log. `bytes_max` of the reads of committed records.
  void Check(const Log& log, size_t bytes_max) {
    const auto cut = log.DurableCut();
    ASSERT_EQ(cut->ends.size(), partitions.size());
    for (auto& [id, partition] : partitions) {
      const Cut::End* range = cut->Find(id);
      ASSERT_NE(range, nullptr);
      ASSERT_EQ(range->end.value, partition.durable_end());
      ASSERT_GE(range->end.value, partition.seen_end) << "the durable end went back";
      partition.seen_end = range->end.value;
      ASSERT_LE(range->start.value, partition.floor_max) << "freed above the floor";
      ASSERT_GE(range->start.value, partition.deleted) << "what was deleted is back";
      ASSERT_EQ(range->stable.value, StableOf(partition, *range));
      std::map<int64_t, Record> there;
      ReadAll(log, id, *range, there);
      if (::testing::Test::HasFatalFailure()) return;
      CheckRecords(partition, *range, there);
      if (::testing::Test::HasFatalFailure()) return;
      CheckCommitted(log, id, *range, there, bytes_max);
      if (::testing::Test::HasFatalFailure()) return;
      counts.freed += static_cast<uint64_t>(range->start.value);
    }
    ASSERT_TRUE(log.damage().empty()) << log.damage()[0].range.reason;
  }

  // One read, from anywhere.
  void CheckRead(const Log& log, PartitionId id, Offset from, size_t bytes_max) {
    const ModelPartition& partition = partitions[id];
    const auto read = log.Read(id, {.from = from, .bytes_max = bytes_max});
    ASSERT_TRUE(read.ok()) << read.error().ToString();
    ASSERT_TRUE(read->damaged.empty());
    ASSERT_EQ(read->next == from, from == read->end);
    if (!partition.config.compact) {
      ASSERT_EQ(read->batches.empty(), from == read->end);
    }
    FrameSequence frame;
    uint32_t index = 0;
    Offset next;
    for (const ReadBatch& batch : read->batches) {
      ASSERT_TRUE(batch.frame > frame || (batch.frame == frame && batch.index_in_frame > index));
      ASSERT_GE(batch.base_offset, next);
      frame = batch.frame;
      index = batch.index_in_frame;
      next = batch.last_offset + 1;
      RecordCursor records = batch.view().records();
      while (records.Next()) {
        const int64_t offset = records.record().offset.value;
        ASSERT_LT(offset, partition.durable_end());
        ASSERT_EQ(RecordOf(records.record()),
                  partition.records[static_cast<size_t>(offset)].record);
      }
    }
  }

 private:
  static Record RecordOf(const RecordView& record) {
    Record out{std::string(record.key.value_or("")), std::nullopt};
    if (record.value) out.value = std::string(*record.value);
    return out;
  }

  // Every record from `from` on, by offset; a batch may begin below it.
  static void AddRecords(const ReadResult& read, Offset from, std::map<int64_t, Record>& to) {
    for (const ReadBatch& batch : read.batches) {
      RecordCursor records = batch.view().records();
      while (records.Next()) {
        if (records.record().offset < from) continue;
        to.emplace(records.record().offset.value, RecordOf(records.record()));
      }
    }
  }

  static void ReadAll(const Log& log, PartitionId id, const Cut::End& range,
                      std::map<int64_t, Record>& there) {
    for (Offset from = range.start; from < range.end;) {
      const auto read = log.Read(id, {.from = from, .bytes_max = 2000});
      ASSERT_TRUE(read.ok()) << read.error().ToString();
      ASSERT_GT(read->next, from);
      ASSERT_TRUE(read->damaged.empty());
      AddRecords(*read, from, there);
      from = read->next;
    }
  }

  bool Aborted(const StoredRecord& stored) const {
    const auto outcome = outcomes.find(stored.transaction);
    return outcome != outcomes.end() && outcome->second == TransactionOutcome::kAbort;
  }
  bool Open(const StoredRecord& stored) const {
    return stored.transaction != kNone && !outcomes.contains(stored.transaction);
  }

  // The first offset of an open transaction, of which retention may have freed the beginning.
  int64_t StableOf(const ModelPartition& partition, const Cut::End& range) const {
    for (int64_t at = 0; at < range.end.value; ++at) {
      if (Open(partition.records[static_cast<size_t>(at)])) return std::max(at, range.start.value);
    }
    return range.end.value;
  }

  void CheckRecords(ModelPartition& partition, const Cut::End& range,
                    const std::map<int64_t, Record>& there) {
    const int64_t reach = std::min(partition.floor_max, range.stable.value);
    std::map<std::string, int64_t> newest;  // of a key, below `reach`
    for (int64_t at = range.start.value; partition.config.compact && at < reach; ++at) {
      const StoredRecord& stored = partition.records[static_cast<size_t>(at)];
      if (!stored.marker && !Aborted(stored)) newest[stored.record.key] = at;
    }
    std::set<std::string> left;  // keys with a record that stands, so far
    for (int64_t at = range.start.value; at < range.end.value; ++at) {
      SCOPED_TRACE("offset " + std::to_string(at));
      StoredRecord& stored = partition.records[static_cast<size_t>(at)];
      const auto found = there.find(at);
      if (found != there.end()) {
        ASSERT_EQ(found->second, stored.record);
        ASSERT_FALSE(stored.gone) << "it is back";
        if (!stored.marker && !Aborted(stored)) left.insert(stored.record.key);
        continue;
      }
      const bool first_time = !std::exchange(stored.gone, true);
      ASSERT_TRUE(partition.config.compact && at < reach && !stored.marker) << "it is lost";
      if (!first_time) continue;
      ++counts.compacted;
      if (Aborted(stored)) {
        ++counts.aborted;
      } else if (newest.at(stored.record.key) == at) {
        ASSERT_FALSE(stored.record.value.has_value()) << "the newest of its key is lost";
        ASSERT_FALSE(left.contains(stored.record.key)) << "its deletion went before an older value";
        ASSERT_GE(clocks.RisenSince(stored.clocks), partition.config.delete_retention)
            << "its deletion went too early";
        ++counts.deletions;
      }
    }
  }

  void CheckCommitted(const Log& log, PartitionId id, const Cut::End& range,
                      const std::map<int64_t, Record>& there, size_t bytes_max) {
    std::map<int64_t, Record> expected;
    for (const auto& [at, record] : there) {
      const StoredRecord& stored = partitions[id].records[static_cast<size_t>(at)];
      if (at < range.stable.value && !stored.marker && !Aborted(stored))
        expected.emplace(at, record);
    }
    std::map<int64_t, Record> committed;
    for (Offset from = range.start; from < range.stable;) {
      const auto read =
          log.Read(id, {.from = from, .bytes_max = bytes_max, .committed_only = true});
      ASSERT_TRUE(read.ok()) << read.error().ToString();
      ASSERT_GT(read->next, from);
      AddRecords(*read, from, committed);
      from = read->next;
    }
    ASSERT_EQ(committed, expected);
  }
};

// A transactional producer's view: what it does belongs to one transaction until that is ended.
struct Owner {
  int transaction = kNone;
  std::set<PartitionId> partitions;
};

}  // namespace millrace::log::model
