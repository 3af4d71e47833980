// What a topic's configuration refuses, and records that are deleted by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/testing.h"

namespace millrace::log::log_topic_limits_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LogTopicLimitsTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    log_.reset();
    auto log = Log::Open(options_);
    ASSERT_TRUE(log.ok()) << log.error().ToString();
    log_ = *std::move(log);
  }
  void LosePower() {
    auto after = files_->AfterPowerLoss({});
    files_->LosePowerAt(1);
    log_.reset();
    files_ = std::move(after);
    options_.files = files_.get();
    Open();
  }
  PartitionId MakeTopic(const TopicConfig& config = {}) {
    return {log_->CreateTopic("t", config).value().id, 0};
  }
  Result<Appended> Append(PartitionId p, std::string batches) {
    return log_->AppendAndWait({{p, std::move(batches)}});
  }
  Code CodeOf(const Result<Appended>& appended) {
    return appended.ok() ? Code::kInternal : appended.error().code();
  }
  Cut::End Ends(PartitionId p) { return *log_->DurableCut()->Find(p); }

  std::unique_ptr<FaultyFiles> files_ = std::make_unique<FaultyFiles>();
  ManualClock clock_{Micros{1'000'000}};
  LogOptions options_ = SmallOptions(*files_, clock_);
  std::unique_ptr<Log> log_;
};

TEST_F(LogTopicLimitsTest, RefusesABatchLargerThanTheTopicAllows) {
  TopicConfig config;
  config.max_message_bytes = 200;
  const PartitionId p = MakeTopic(config);
  const std::string small = MakeBatch("small"), large = MakeBatch(std::string(150, 'x'));
  ASSERT_GT(large.size(), 200u);
  const auto refused = Append(p, small + large);
  EXPECT_EQ(CodeOf(refused), Code::kTooLarge);
  EXPECT_THAT(refused.error().message(), HasSubstr("max_message_bytes (200 bytes)"));
  EXPECT_EQ(Ends(p).end, Offset{0});
  std::string many;  // the limit is of a batch, not of a request
  for (int i = 0; i < 10; ++i) many += small;
  EXPECT_TRUE(Append(p, many).ok());
  ASSERT_TRUE(log_->Close().ok());
  Open();
  EXPECT_EQ(CodeOf(Append(p, large)), Code::kTooLarge);
  config.max_message_bytes = std::nullopt;
  ASSERT_TRUE(log_->AlterTopic(p.topic, config).ok());
  EXPECT_TRUE(Append(p, large).ok());
  LosePower();
  EXPECT_EQ(log_->FindTopic("t")->config, config);
  EXPECT_TRUE(Append(p, large).ok());
}

TEST_F(LogTopicLimitsTest, RefusesARecordWithoutKeyWhereKeysCount) {
  TopicConfig config;
  config.compact = true;
  const PartitionId p = MakeTopic(config);
  RecordBatchBuilder builder;
  builder.Add("", "the empty key is one", {1});
  builder.Add("key", std::nullopt, {1});
  EXPECT_TRUE(Append(p, builder.Finish()).ok());
  builder.Add("key", "x", {1});
  builder.Add(std::nullopt, "x", {1});
  const auto refused = Append(p, builder.Finish());
  EXPECT_EQ(CodeOf(refused), Code::kInvalidArgument);
  EXPECT_THAT(refused.error().message(), HasSubstr("record 1 has no key"));
  // Markers have a key of their own kind, and are not for producers to send.
  EXPECT_TRUE(log_->AppendMarkersAndWait({{7, 0}, TransactionOutcome::kCommit, 0, {p}}).ok());
}

TEST_F(LogTopicLimitsTest, RefusesAConfigurationThatCannotBeKept) {
  TopicConfig config;
  config.max_message_bytes = 60;
  EXPECT_EQ(log_->CreateTopic("a", config).error().code(), Code::kInvalidArgument);
  config = {};
  config.delete_retention = std::chrono::milliseconds(-1);
  EXPECT_EQ(log_->CreateTopic("a", config).error().code(), Code::kInvalidArgument);
  for (const uint64_t bytes : {kSegmentBytesMin - 1, kSegmentBytesMax + 1}) {
    config = {};
    config.segment_bytes = bytes;
    EXPECT_EQ(log_->CreateTopic("a", config).error().code(), Code::kInvalidArgument);
  }
  config = {};
  config.segment_age_max = std::chrono::milliseconds(0);
  EXPECT_EQ(log_->CreateTopic("a", config).error().code(), Code::kInvalidArgument);
}

TEST_F(LogTopicLimitsTest, GivesRecordsTheTimeOfTheirAppend) {
  TopicConfig config;
  config.append_time = true;
  const PartitionId p = MakeTopic(config);
  RecordBatchBuilder builder;
  builder.Add("a", "1", {5}, {{"h", "x"}});
  builder.Add("b", "2", {7});
  clock_.Advance(std::chrono::seconds(3));
  const Millis now{clock_.Now().value / 1000};
  EXPECT_EQ(Append(p, builder.Finish() + MakeBatch("c")).value().append_time, now);
  for (const bool after_power_loss : {false, true}) {
    if (after_power_loss) LosePower();
    const ReadResult read = log_->Read(p, {.from = {0}}).value();
    ASSERT_EQ(read.batches.size(), 2u);
    for (const ReadBatch& batch : read.batches) {
      const RecordBatchView view = RecordBatchView::Parse(batch.bytes).value();  // with its CRC
      EXPECT_EQ(view.timestamp_type(), TimestampType::kLogAppendTime);
      EXPECT_EQ(view.max_timestamp(), now);
      for (RecordCursor records = view.records(); records.Next();) {
        EXPECT_EQ(records.record().timestamp, now);
      }
    }
    EXPECT_EQ(log_->OffsetForTimestamp(p, now).value(), Offset{0});
  }
  config.append_time = false;
  ASSERT_TRUE(log_->AlterTopic(p.topic, config).ok());
  EXPECT_EQ(Append(p, MakeBatch("d")).value().append_time, std::nullopt);
  EXPECT_EQ(log_->Read(p, {.from = {3}}).value().batches[0].view().timestamp_type(),
            TimestampType::kCreateTime);
}

TEST_F(LogTopicLimitsTest, HasSegmentsOfItsOwnSizeAndAge) {
  options_.segment_bytes = 1 << 20;
  Open();
  TopicConfig config;
  config.segment_bytes = kSegmentBytesMin;
  config.segment_age_max = std::chrono::hours(1);
  const PartitionId p = MakeTopic(config);
  const auto segments = [&] {
    log_->RunOnce(/*background=*/true);
    const std::vector<std::string> paths = files_->Paths();
    return std::count_if(paths.begin(), paths.end(),
                         [](const std::string& path) { return path.ends_with(".log"); });
  };
  const std::string batch = MakeBatch(std::string(kSegmentBytesMin / 3, 'x'));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Append(p, batch).ok());
  EXPECT_EQ(segments(), 1);
  ASSERT_TRUE(Append(p, batch).ok());
  EXPECT_EQ(segments(), 2) << "it is full";
  clock_.Advance(std::chrono::hours(2));
  log_->RunOnce(/*background=*/true);
  ASSERT_TRUE(Append(p, MakeBatch("small")).ok());
  EXPECT_EQ(segments(), 3) << "it is old";
}

TEST_F(LogTopicLimitsTest, DeletesRecordsUpToAnOffsetDurably) {
  const PartitionId p = MakeTopic();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(Append(p, MakeBatch("value " + std::to_string(i), 2)).ok());
    if (i == 30) log_->RunOnce(/*background=*/true);
  }
  const size_t files = files_->Paths().size();
  EXPECT_EQ(log_->DeleteRecords(p, {0}).value(), Offset{0});
  EXPECT_EQ(log_->DeleteRecords(p, {41}).value(), Offset{41});
  EXPECT_EQ(log_->DeleteRecords(p, {40}).value(), Offset{41}) << "it never goes back";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Ends(p).start, Offset{41});
    EXPECT_EQ(Ends(p).end, Offset{100});
    EXPECT_EQ(log_->Read(p, {.from = {40}}).error().sqlstate(), "22003");
    const ReadResult read = log_->Read(p, {.from = {41}, .bytes_max = 1}).value();
    ASSERT_EQ(read.batches.size(), 1u);
    EXPECT_EQ(read.batches[0].base_offset, Offset{40}) << "a batch stays whole";
    EXPECT_EQ(read.next, Offset{42});
    i == 0 ? LosePower() : static_cast<void>(log_->RunOnce(/*background=*/true));
  }
  EXPECT_LT(files_->Paths().size(), files + 2) << "segments below the start are removed";
}

TEST_F(LogTopicLimitsTest, DeletesEverythingAndGoesOnBehindIt) {
  const PartitionId p = MakeTopic();
  ASSERT_TRUE(Append(p, MakeProducerBatch({7, 0}, 0, "a", 3)).ok());
  ASSERT_TRUE(Append(p, MakeProducerBatch({8, 0}, 0, "b", 1, /*transactional=*/true)).ok());
  const auto beyond = log_->DeleteRecords(p, {5});
  EXPECT_EQ(beyond.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(beyond.error().sqlstate(), "22003");
  EXPECT_EQ(log_->DeleteRecords(p, {-1}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(log_->DeleteRecords({p.topic, 1}, {0}).error().code(), Code::kNotFound);
  EXPECT_EQ(log_->DeleteRecords(p, {4}).value(), Offset{4});
  LosePower();
  EXPECT_EQ(Ends(p).start, Offset{4});
  EXPECT_EQ(Ends(p).end, Offset{4});
  EXPECT_EQ(Ends(p).stable, Offset{4});
  EXPECT_THAT(log_->Read(p, {.from = {4}}).value().batches, IsEmpty());
  // Empty is not the same as never used: producers are known, and unknown ones begin anywhere.
  EXPECT_EQ(Append(p, MakeProducerBatch({7, 0}, 0, "a", 3)).value().base_offsets[0], Offset{0});
  EXPECT_EQ(Append(p, MakeProducerBatch({9, 0}, 5, "c")).value().base_offsets[0], Offset{4});
  // A transaction that lost its beginning still holds readers back.
  EXPECT_EQ(Ends(p).stable, Offset{4});
  ASSERT_TRUE(log_->AppendMarkersAndWait({{8, 0}, TransactionOutcome::kCommit, 0, {p}}).ok());
  EXPECT_EQ(Ends(p).stable, Offset{6});
  EXPECT_THAT(Values(log_->Read(p, {.from = {4}, .committed_only = true}).value()),
              ElementsAre("c/0"));
}

TEST_F(LogTopicLimitsTest, FindsNoOffsetByTimeAmongDeletedRecords) {
  const PartitionId p = MakeTopic();
  for (int i = 0; i < 4; ++i) {
    clock_.Advance(std::chrono::seconds(1));
    ASSERT_TRUE(Append(p, MakeBatch("x", 2, Millis{1000 * i})).ok());
  }
  ASSERT_TRUE(log_->DeleteRecords(p, {5}).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(log_->OffsetForTimestamp(p, {0}).value(), Offset{5});
    EXPECT_EQ(log_->OffsetForTimestamp(p, {2000}).value(), Offset{5});
    EXPECT_EQ(log_->OffsetForTimestamp(p, {3000}).value(), Offset{6});
    EXPECT_EQ(log_->OffsetForAppendTime(p, {0}).value(), Offset{5});
    EXPECT_EQ(log_->OffsetForAppendTime(p, {5'000'000}).value(), Offset{6});
    ASSERT_TRUE(log_->Close().ok());
    Open();
  }
}

}  // namespace
}  // namespace millrace::log::log_topic_limits_test
