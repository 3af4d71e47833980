#include "kafka/list_offsets.h"

#include "kafka/errors.h"

namespace millrace::kafka {

namespace {

// What a timestamp below zero asks for.
constexpr int64_t kLatest = -1;
constexpr int64_t kEarliest = -2;
constexpr int64_t kMaxTimestamp = -3;
constexpr int64_t kEarliestLocal = -4;

struct Found {
  int64_t timestamp = -1;
  int64_t offset = -1;
};

// The first record at `at` or later, within the batch that the log names.
Result<Found> FindTime(const log::Log& log, log::PartitionId partition, log::Millis at) {
  TRY(const log::Offset batch_offset, log.OffsetForTimestamp(partition, at));
  TRY(const log::ReadResult read,
      log.Read(partition, {.from = batch_offset, .bytes_max = 1, .unpack = true}));
  for (const log::ReadBatch& batch : read.batches) {
    log::RecordCursor records = batch.view().records();
    while (records.Next()) {
      if (records.record().timestamp >= at)
        return Found{records.record().timestamp.value, records.record().offset.value};
    }
  }
  return Found{};
}

// The record with the greatest timestamp.
Result<Found> FindNewest(const log::Log& log, log::PartitionId partition,
                         const log::Cut::End& end) {
  Found newest;
  for (log::Offset at = end.start; at < end.end;) {
    TRY(const log::ReadResult read, log.Read(partition, {.from = at, .until = end.end}));
    for (const log::ReadBatch& batch : read.batches) {
      const log::RecordBatchView view = batch.view();
      if (view.max_timestamp().value > newest.timestamp)
        newest = {view.max_timestamp().value, view.last_offset().value};
    }
    at = read.next;
  }
  return newest;
}

Result<Found> Find(const log::Log& log, log::PartitionId partition, int64_t timestamp,
                   bool committed) {
  const auto cut = log.DurableCut();
  const log::Cut::End* end = cut->Find(partition);
  if (end == nullptr) return Error(Code::kNotFound, "no such partition");
  switch (timestamp) {
    case kLatest:
      return Found{-1, committed ? end->stable.value : end->end.value};
    case kEarliest:
    case kEarliestLocal:
      return Found{-1, end->start.value};
    case kMaxTimestamp:
      return FindNewest(log, partition, *end);
    default:
      return FindTime(log, partition, log::Millis{timestamp});
  }
}

}  // namespace

ListOffsetsResponse ListOffsets(Backend& backend, const Request& request,
                                const ListOffsetsRequest& message) {
  ListOffsetsResponse response;
  for (const auto& wanted : message.topics) {
    const std::optional<Topic> topic = backend.FindTopic(wanted.name);
    auto& topic_out = response.topics.emplace_back();
    topic_out.name = wanted.name;
    for (const auto& partition : wanted.partitions) {
      auto& out = topic_out.partitions.emplace_back();
      out.partition_index = partition.partition_index;
      if (!request.May(auth::Permission::kConsume, wanted.name)) {
        out.error_code = ErrorCode::kTopicAuthorizationFailed;
        continue;
      }
      const bool known =
          topic && partition.partition_index >= 0 && partition.partition_index < topic->partitions;
      const auto found = known
                             ? Find(backend.log(), {topic->id, partition.partition_index},
                                    partition.timestamp, message.isolation_level == kReadCommitted)
                             : Error(Code::kNotFound, "no such partition");
      if (found.ok()) {
        out.timestamp = found->timestamp;
        out.offset = found->offset;
      } else {
        out.error_code = ReadErrorCode(found.error());
      }
    }
  }
  return response;
}

OffsetForLeaderEpochResponse EndOfEpochs(Backend& backend, const Request& request,
                                         const OffsetForLeaderEpochRequest& message) {
  OffsetForLeaderEpochResponse response;
  const auto cut = backend.log().DurableCut();
  for (const auto& wanted : message.topics) {
    const std::optional<Topic> topic = backend.FindTopic(wanted.topic);
    auto& topic_out = response.topics.emplace_back();
    topic_out.topic = wanted.topic;
    for (const auto& partition : wanted.partitions) {
      auto& out = topic_out.partitions.emplace_back();
      out.partition = partition.partition;
      if (!request.May(auth::Permission::kConsume, wanted.topic)) {
        out.error_code = ErrorCode::kTopicAuthorizationFailed;
        continue;
      }
      const log::Cut::End* end = topic ? cut->Find({topic->id, partition.partition}) : nullptr;
      if (end == nullptr) {
        out.error_code = ErrorCode::kUnknownTopicOrPartition;
        continue;
      }
      out.leader_epoch = partition.leader_epoch;
      out.end_offset = end->end.value;
    }
  }
  return response;
}

}  // namespace millrace::kafka
