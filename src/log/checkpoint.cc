#include "log/checkpoint.h"

#include "base/coding.h"
#include "log/doubled.h"

namespace millrace::log {
namespace {

constexpr std::string_view kCheckpointMagic = "MRCP0002";
constexpr std::string_view kMagicBeforeProducers = "MRCP0001";
constexpr uint64_t kUnlimited = UINT64_MAX;

void PutTopic(std::string& out, const TopicInfo& topic) {
  PutFixed(out, topic.id.value);
  PutBytes(out, topic.name);
  PutFixed(out, topic.config.partitions);
  PutFixed(out, topic.config.retention_time
                    ? static_cast<uint64_t>(topic.config.retention_time->count())
                    : kUnlimited);
  PutFixed(out, topic.config.retention_bytes.value_or(kUnlimited));
}

// As far as it goes in the first version of a topic.
Result<TopicInfo> ReadTopic(Reader& in) {
  TopicInfo topic;
  TRY(topic.id.value, in.Fixed<uint64_t>());
  TRY(topic.name, in.Bytes());
  TRY(topic.config.partitions, in.Fixed<int32_t>());
  TRY(const uint64_t time, in.Fixed<uint64_t>());
  TRY(const uint64_t bytes, in.Fixed<uint64_t>());
  if (time != kUnlimited) topic.config.retention_time = std::chrono::milliseconds(time);
  if (bytes != kUnlimited) topic.config.retention_bytes = bytes;
  if (topic.config.partitions < 1) {
    return Error(Code::kCorruption, "topic {} has {} partitions", Quoted(topic.name),
                 topic.config.partitions);
  }
  return topic;
}

std::string EncodeBody(const Checkpoint& checkpoint) {
  std::string out;
  PutFixed(out, checkpoint.generation);
  PutFixed(out, checkpoint.position);
  PutFixed(out, checkpoint.next_sequence.value);
  PutFixed(out, checkpoint.clock.value);
  PutFixed(out, checkpoint.leader_epoch);
  PutFixed(out, static_cast<uint8_t>(checkpoint.clean));
  PutVarint(out, checkpoint.topics.size());
  for (const TopicState& topic : checkpoint.topics) {
    PutBytes(out, EncodeTopic(topic.info));
    for (const PartitionState& partition : topic.partitions) {
      PutFixed(out, partition.start.value);
      PutFixed(out, partition.end.value);
      PutFixed(out, partition.active.value_or(Offset{-1}).value);
      PutFixed(out, partition.log_bytes);
      PutFixed(out, partition.entry_count);
      PutBytes(out, partition.producers);
    }
  }
  return out;
}

Result<Checkpoint> DecodeBody(std::string_view bytes, bool with_producers) {
  Reader in(bytes);
  Checkpoint checkpoint;
  TRY(checkpoint.generation, in.Fixed<uint64_t>());
  TRY(checkpoint.position, in.Fixed<uint64_t>());
  TRY(checkpoint.next_sequence.value, in.Fixed<uint64_t>());
  TRY(checkpoint.clock.value, in.Fixed<int64_t>());
  TRY(checkpoint.leader_epoch, in.Fixed<int32_t>());
  TRY(const uint8_t clean, in.Fixed<uint8_t>());
  checkpoint.clean = clean != 0;
  TRY(const uint64_t topics, in.Varint());
  for (uint64_t i = 0; i < topics; ++i) {
    TopicState topic;
    if (with_producers) {
      TRY(const std::string_view info, in.Bytes());
      TRY(topic.info, DecodeTopic(info));
    } else {
      TRY(topic.info, ReadTopic(in));
    }
    for (int32_t p = 0; p < topic.info.config.partitions; ++p) {
      PartitionState partition;
      TRY(partition.start.value, in.Fixed<int64_t>());
      TRY(partition.end.value, in.Fixed<int64_t>());
      TRY(const int64_t active, in.Fixed<int64_t>());
      if (active >= 0) partition.active = Offset{active};
      TRY(partition.log_bytes, in.Fixed<uint64_t>());
      TRY(partition.entry_count, in.Fixed<uint64_t>());
      if (with_producers) {
        TRY(partition.producers, in.Bytes());
      }
      topic.partitions.push_back(partition);
    }
    checkpoint.topics.push_back(std::move(topic));
  }
  return checkpoint;
}

}  // namespace

std::string EncodeCheckpoint(const Checkpoint& checkpoint) {
  return EncodeDoubled(kCheckpointMagic, EncodeBody(checkpoint));
}

Result<Checkpoint> DecodeCheckpoint(std::string_view bytes) {
  if (bytes.size() < 2 * kMagicBytes) {
    return Error(Code::kCorruption, "only {} bytes", bytes.size());
  }
  const bool before = HasMagic(bytes, kMagicBeforeProducers);
  if (!before && !HasMagic(bytes, kCheckpointMagic)) {
    return Error(Code::kNotSupported, "written by another version: {}",
                 bytes.substr(0, kMagicBytes));
  }
  TRY(const std::string_view body, DecodeDoubled(bytes));
  return DecodeBody(body, /*with_producers=*/!before);
}

std::string EncodeTopic(const TopicInfo& topic) {
  std::string out;
  PutTopic(out, topic);
  PutFixed(out,
           topic.config.max_message_bytes ? uint64_t{*topic.config.max_message_bytes} : kUnlimited);
  PutFixed(out, static_cast<uint8_t>(topic.config.compact));
  PutFixed(out, static_cast<int64_t>(topic.config.delete_retention.count()));
  PutFixed(out, static_cast<uint32_t>(topic.config.sync_delay_max.count()));
  PutFixed(out, static_cast<uint8_t>(topic.config.append_time));
  PutFixed(out, topic.config.segment_bytes.value_or(kUnlimited));
  const auto age = topic.config.segment_age_max;
  PutFixed(out, age ? static_cast<uint64_t>(age->count()) : kUnlimited);
  PutFixed(out, Crc32c(out));
  return out;
}

Result<TopicInfo> DecodeTopic(std::string_view bytes) {
  if (bytes.size() < 4) return Error(Code::kCorruption, "topic: only {} bytes", bytes.size());
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  if (Crc32c(body) != GetFixed<uint32_t>(bytes.data() + body.size())) {
    return Error(Code::kCorruption, "topic: crc mismatch");
  }
  Reader in(body);
  TRY(TopicInfo topic, ReadTopic(in));
  if (in.remaining() == 0) return topic;
  TRY(const uint64_t max_message_bytes, in.Fixed<uint64_t>());
  TRY(const uint8_t compact, in.Fixed<uint8_t>());
  TRY(const int64_t delete_retention, in.Fixed<int64_t>());
  if (max_message_bytes != kUnlimited) {
    topic.config.max_message_bytes = static_cast<uint32_t>(max_message_bytes);
  }
  topic.config.compact = compact != 0;
  topic.config.delete_retention = std::chrono::milliseconds(delete_retention);
  if (in.remaining() == 0) return topic;
  TRY(const uint32_t sync_delay_max, in.Fixed<uint32_t>());
  topic.config.sync_delay_max = std::chrono::milliseconds(sync_delay_max);
  if (in.remaining() == 0) return topic;
  TRY(const uint8_t append_time, in.Fixed<uint8_t>());
  TRY(const uint64_t segment_bytes, in.Fixed<uint64_t>());
  TRY(const uint64_t segment_age, in.Fixed<uint64_t>());
  topic.config.append_time = append_time != 0;
  if (segment_bytes != kUnlimited) topic.config.segment_bytes = segment_bytes;
  if (segment_age != kUnlimited) {
    topic.config.segment_age_max = std::chrono::milliseconds(static_cast<int64_t>(segment_age));
  }
  return topic;
}

}  // namespace millrace::log
