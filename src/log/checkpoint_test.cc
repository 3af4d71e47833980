#include "log/checkpoint.h"

#include <gtest/gtest.h>

#include "base/coding.h"

namespace millrace::log::checkpoint_test {
namespace {

Checkpoint Sample() {
  Checkpoint checkpoint;
  checkpoint.generation = 5;
  checkpoint.position = 4096;
  checkpoint.next_sequence = {77};
  checkpoint.clock = {1234};
  checkpoint.leader_epoch = 3;
  checkpoint.clean = true;
  TopicState topic;
  topic.info = {{9}, "t", {}};
  topic.info.config.partitions = 2;
  topic.info.config.retention_bytes = 1000;
  topic.partitions = {{{1}, {20}, Offset{10}, 500, 4, "producers"}, {}};
  checkpoint.topics = {topic};
  return checkpoint;
}

void ExpectSample(const Checkpoint& checkpoint, std::string_view producers) {
  EXPECT_EQ(checkpoint.generation, 5u);
  EXPECT_EQ(checkpoint.position, 4096u);
  EXPECT_EQ(checkpoint.next_sequence, FrameSequence{77});
  EXPECT_EQ(checkpoint.clock, Micros{1234});
  EXPECT_EQ(checkpoint.leader_epoch, 3);
  EXPECT_TRUE(checkpoint.clean);
  ASSERT_EQ(checkpoint.topics.size(), 1u);
  EXPECT_EQ(checkpoint.topics[0].info.id, TopicId{9});
  EXPECT_EQ(checkpoint.topics[0].info.name, "t");
  EXPECT_EQ(checkpoint.topics[0].info.config, Sample().topics[0].info.config);
  ASSERT_EQ(checkpoint.topics[0].partitions.size(), 2u);
  const PartitionState& partition = checkpoint.topics[0].partitions[0];
  EXPECT_EQ(partition.start, Offset{1});
  EXPECT_EQ(partition.end, Offset{20});
  EXPECT_EQ(partition.active, Offset{10});
  EXPECT_EQ(partition.log_bytes, 500u);
  EXPECT_EQ(partition.entry_count, 4u);
  EXPECT_EQ(partition.producers, producers);
  EXPECT_EQ(checkpoint.topics[0].partitions[1].active, std::nullopt);
}

TEST(Checkpoint, GivesBackWhatItHolds) {
  const auto decoded = DecodeCheckpoint(EncodeCheckpoint(Sample()));
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  ExpectSample(*decoded, "producers");
}

TEST(Checkpoint, SurvivesADamagedByteAnywhere) {
  const std::string whole = EncodeCheckpoint(Sample());
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
    const auto decoded = DecodeCheckpoint(damaged);
    ASSERT_TRUE(decoded.ok()) << i << ": " << decoded.error().ToString();
    ExpectSample(*decoded, "producers");
  }
}

// As written before partitions knew their producers.
TEST(Checkpoint, ReadsTheFormatBefore) {
  std::string body;
  PutFixed(body, uint64_t{5});
  PutFixed(body, uint64_t{4096});
  PutFixed(body, uint64_t{77});
  PutFixed(body, int64_t{1234});
  PutFixed(body, int32_t{3});
  PutFixed(body, uint8_t{1});
  PutVarint(body, 1);
  PutFixed(body, uint64_t{9});
  PutBytes(body, "t");
  PutFixed(body, int32_t{2});
  PutFixed(body, UINT64_MAX);
  PutFixed(body, uint64_t{1000});
  for (const int64_t number : {1, 20, 10, 500, 4, 0, 0, -1, 0, 0}) PutFixed(body, number);
  std::string copy;
  PutFixed(copy, static_cast<uint64_t>(body.size()));
  PutFixed(copy, Crc32c(body, static_cast<uint32_t>(body.size())));
  copy += body;
  const auto decoded = DecodeCheckpoint("MRCP0001" + copy + copy + "MRCP0001");
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  ExpectSample(*decoded, "");
}

TEST(Topic, GivesBackItsConfiguration) {
  TopicConfig config;
  config.partitions = 3;
  config.retention_time = std::chrono::milliseconds(5);
  config.max_message_bytes = 1000;
  config.compact = true;
  config.delete_retention = std::chrono::milliseconds(7);
  config.sync_delay_max = std::chrono::milliseconds(50);
  config.append_time = true;
  config.segment_bytes = 1 << 20;
  config.segment_age_max = std::chrono::milliseconds(9);
  const TopicInfo topic = DecodeTopic(EncodeTopic({{9}, "t", config})).value();
  EXPECT_EQ(topic.id, TopicId{9});
  EXPECT_EQ(topic.name, "t");
  EXPECT_EQ(topic.config, config);
}

// As written before topics could be compacted.
TEST(Topic, IsReadFromTheFormatBefore) {
  std::string bytes;
  PutFixed(bytes, uint64_t{9});
  PutBytes(bytes, "t");
  PutFixed(bytes, int32_t{2});
  PutFixed(bytes, uint64_t{5});
  PutFixed(bytes, UINT64_MAX);
  PutFixed(bytes, Crc32c(bytes));
  const TopicInfo topic = DecodeTopic(bytes).value();
  TopicConfig config;
  config.partitions = 2;
  config.retention_time = std::chrono::milliseconds(5);
  EXPECT_EQ(topic.config, config);
}

}  // namespace
}  // namespace millrace::log::checkpoint_test
