#include "kafka_groups/log_storage.h"

#include "base/logging.h"
#include "log/record_batch.h"

namespace millrace::kafka_groups {

Result<std::unique_ptr<LogStorage>> LogStorage::Open(log::Log& log, const std::string& topic) {
  // Whatever lies below the floor that Trim sets is not needed.
  log::TopicConfig config;
  config.retention_bytes = 0;
  auto found = log.FindTopic(topic);
  if (!found) {
    TRY(found, log.CreateTopic(topic, config));
  }
  return std::unique_ptr<LogStorage>(new LogStorage(log, topic, {found->id, 0}));
}

Status LogStorage::Append(std::string record, AppendDone done) {
  log::RecordBatchBuilder builder;
  builder.Add(std::nullopt, record, log::Millis{});
  log::AppendRequest request;
  request.push_back({partition_, builder.Finish()});
  return log_.AppendAlways(std::move(request),
                           [done = std::move(done)](Result<log::Appended> appended) {
                             if (!appended.ok()) return done(std::move(appended).error());
                             done(StoragePosition{appended->base_offsets.front().value});
                           });
}

Status LogStorage::ReadAll(const Visitor& visit) {
  const auto cut = log_.DurableCut();
  const log::Cut::End* end = cut->Find(partition_);
  if (end == nullptr) return Error(Code::kNotFound, "topic {} is gone", Quoted(topic_));
  for (log::Offset at = end->start; at < end->end;) {
    TRY(const log::ReadResult read, log_.Read(partition_, {.from = at, .until = end->end}));
    for (const log::DamagedRange& lost : read.damaged) {
      lost_records_ = true;
      LOG_ERROR("records are damaged and left out: what they changed is as it was before",
                "topic={} first={} last={} reason={}", topic_, lost.first.value, lost.last.value,
                lost.reason);
    }
    for (const log::ReadBatch& batch : read.batches) {
      log::RecordCursor records = batch.view().records();
      while (records.Next()) {
        if (records.record().offset < at) continue;
        const auto value = records.record().value;
        if (!value)
          return Error(Code::kCorruption, "topic {}: the record at offset {} has no value",
                       Quoted(topic_), records.record().offset.value);
        TRY(visit({records.record().offset.value}, *value).With(Quoted(topic_)));
      }
    }
    at = read.next;
  }
  return Ok();
}

Status LogStorage::Trim(StoragePosition before) {
  return log_.SetFreeFloor(partition_, {before.value});
}

}  // namespace millrace::kafka_groups
