#include "runtime/table_changes.h"

#include "ingest/partitioner.h"
#include "rows/json_text.h"
#include "runtime/change_envelope.h"

namespace millrace::runtime {

TableChanges::TableChanges(const Relation& table, const catalog::Storage& storage)
    : topic_(table.log_topic()),
      followed_(catalog::TableOfTopic(table.object) != nullptr ? std::optional(table.topic())
                                                               : std::nullopt),
      debezium_(followed_ && table.table()->format == catalog::TableDefinition::Format::kDebezium),
      source_(R"({"table":)"),
      tombstones_(debezium_ && storage.compact),
      partitions_(static_cast<size_t>(table.partitions()), ingest::BatchWriter(storage)) {
  rows::AppendJsonString(table.object.name(), source_);
  source_ += '}';
}

void TableChanges::Change(std::string_view key, std::optional<std::string_view> before,
                          std::optional<std::string_view> after, log::Millis now) {
  if (!debezium_) return Put(key, after, now);
  const std::string_view op = OperationOf(before.has_value(), after.has_value());
  Put(key, ChangeEnvelope(before, after, op, now, source_), now);
  if (!after && tombstones_) Put(key, std::nullopt, now);
}

void TableChanges::Add(std::string_view key, std::optional<std::string_view> value,
                       log::Millis now) {
  CHECK(!followed_) << "a table of a topic has a key";
  Put(key, value, now);
}

void TableChanges::Put(std::string_view key, std::optional<std::string_view> value,
                       log::Millis now) {
  const auto count = static_cast<int32_t>(partitions_.size());
  ingest::BatchWriter& batch = partitions_[static_cast<size_t>(ingest::PartitionOf(key, count))];
  const size_t before = batch.size();
  batch.Add(key, value, now);
  ++records_;
  size_ += batch.size() - before;
}

std::vector<TableAppend> TableChanges::Finish() {
  std::vector<TableAppend> appends;
  for (size_t i = 0; i < partitions_.size(); ++i) {
    if (partitions_[i].empty()) continue;
    const auto partition = static_cast<int32_t>(i);
    TableAppend& append = appends.emplace_back();
    append.records = partitions_[i].records();
    append.append = {{topic_, partition}, partitions_[i].Finish()};
    if (followed_) append.followed_at = log::PartitionId{*followed_, partition};
  }
  records_ = 0;
  size_ = 0;
  return appends;
}

}  // namespace millrace::runtime
