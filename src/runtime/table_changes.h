// The records that change a table, by the partitions that they go to: one of its own changelog, or
// those of the topic that the table stands on, where a key's records go as Kafka's Java client
// would send them. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/batch_writer.h"
#include "log/log.h"
#include "runtime/relation.h"

namespace millrace::runtime {

// What goes to one partition.
struct TableAppend {
  log::PartitionAppend append;
  int64_t records = 0;
  // Of a table of a topic: where steps note how far the table has read it, which may be behind what
  // they have read of the topic's stream.
  std::optional<log::PartitionId> followed_at;
};

class TableChanges {
 public:
  // `storage`: of the stream whose topic the table stands on; that of no stream for a changelog.
  TableChanges(const Relation& table, const catalog::Storage& storage);
  // Whether records say what the row was before, besides what it is.
  bool has_before() const { return debezium_; }
  // Of the row with the key, JSON as the rows `before` and `after`, which are none where there is
  // none. Becomes what the format of the table's topic has for it, else the changelog's record.
  void Change(std::string_view key, std::optional<std::string_view> before,
              std::optional<std::string_view> after, log::Millis now);
  // A record as it is. REQUIRES: the changelog of a table without primary key.
  void Add(std::string_view key, std::optional<std::string_view> value, log::Millis now);
  bool empty() const { return records_ == 0; }
  int64_t records() const { return records_; }
  size_t size() const { return size_; }  // bytes
  // To be appended in one frame; nothing is left.
  std::vector<TableAppend> Finish();

 private:
  void Put(std::string_view key, std::optional<std::string_view> value, log::Millis now);

  const log::TopicId topic_;
  const std::optional<log::TopicId> followed_;
  const bool debezium_;
  std::string source_;  // of Debezium's envelope
  // Of Debezium's events in a compacted topic: what deletes a row is followed by a record without
  // value, so that compaction takes the key out.
  const bool tombstones_;
  std::vector<ingest::BatchWriter> partitions_;
  int64_t records_ = 0;
  size_t size_ = 0;
};

}  // namespace millrace::runtime
