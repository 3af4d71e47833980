#include "log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/testing.h"

namespace millrace::log::log_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    log_.reset();
    auto log = Log::Open(options_);
    ASSERT_TRUE(log.ok()) << log.error().ToString();
    log_ = *std::move(log);
  }
  PartitionId MakeTopic(std::string_view name, const TopicConfig& config = {}) {
    return {log_->CreateTopic(name, config).value().id, 0};
  }
  Appended Append(PartitionId partition, std::string_view text, int count = 1) {
    return log_->AppendAndWait({{partition, MakeBatch(text, count)}}).value();
  }

  FaultyFiles files_;
  ManualClock clock_{Micros{1'000'000}};
  LogOptions options_ = SmallOptions(files_, clock_);
  std::unique_ptr<Log> log_;
};

TEST_F(LogTest, GivesBackTheSameBytesWithTheOffsetFilledIn) {
  const PartitionId p = MakeTopic("t");
  Append(p, "a", 3);
  const std::string sent = MakeBatch("b", 2);
  const Appended appended = log_->AppendAndWait({{p, sent}}).value();
  EXPECT_THAT(appended.base_offsets, ElementsAre(Offset{3}));
  const ReadResult read = log_->Read(p, {.from = {3}}).value();
  ASSERT_EQ(read.batches.size(), 1u);
  EXPECT_EQ(read.batches[0].bytes.substr(16), std::string_view(sent).substr(16));
  EXPECT_EQ(read.batches[0].base_offset, Offset{3});
  EXPECT_EQ(read.batches[0].last_offset, Offset{4});
  EXPECT_EQ(read.batches[0].frame, appended.frame);
  EXPECT_EQ(read.batches[0].clock, Micros{1'000'000});
  EXPECT_EQ(read.next, Offset{5});
}

TEST_F(LogTest, ReadsTheSameFromMemoryAndFromSegmentsAndAfterReopening) {
  const PartitionId p = MakeTopic("t");
  std::vector<std::string> expected;
  for (int i = 0; i < 200; ++i) {
    Append(p, "value " + std::to_string(i));
    expected.push_back("value " + std::to_string(i) + "/0");
    clock_.Advance(std::chrono::microseconds(10));
    if (i % 50 == 20) log_->RunOnce(/*background=*/true);
  }
  EXPECT_EQ(ReadAllValues(*log_, p).value(), expected);
  ASSERT_TRUE(log_->Close().ok());
  Reopen();
  EXPECT_EQ(log_->Stats().recovered_frames, 0u);
  EXPECT_EQ(ReadAllValues(*log_, p).value(), expected);
  EXPECT_EQ(ReadAllValues(*log_, p, {150}).value(),
            std::vector<std::string>(expected.begin() + 150, expected.end()));
}

TEST_F(LogTest, FillsSegmentsPastThePageCacheWithWhatTheyWouldHoldOtherwise) {
  options_.segment_bytes = 64 << 10;
  std::vector<std::string> contents;
  std::vector<uint64_t> direct_writes;
  for (const uint64_t direct_fill_bytes_min : {uint64_t{1}, UINT64_MAX}) {
    options_.direct_fill_bytes_min = direct_fill_bytes_min;
    Reopen();
    const PartitionId p = MakeTopic("t" + std::to_string(contents.size()));
    const uint64_t before = files_.direct_writes();
    const uint64_t frames = log_->Stats().frames;
    for (int i = 0; i < 60; ++i) {
      Append(p, std::to_string(i) + std::string(static_cast<size_t>(i * 37), '.'));
      if (i % 7 == 0 || i == 30) log_->RunOnce(true);
    }
    log_->RunOnce(true);
    direct_writes.push_back(files_.direct_writes() - before - (log_->Stats().frames - frames));
    contents.push_back("");
    for (const std::string& path : files_.Paths()) {
      if (path.starts_with("data/log/" + log_->Topics().back().name) && path.ends_with(".log")) {
        contents.back() += files_.ReadAll(path).value();
      }
    }
  }
  EXPECT_GT(contents[0].size(), 60'000u);
  EXPECT_EQ(contents[0], contents[1]);
  EXPECT_GE(direct_writes[0], direct_writes[1] + 4);
}

TEST_F(LogTest, ReturnsTheWholeBatchForAnOffsetInItsMiddle) {
  const PartitionId p = MakeTopic("t");
  Append(p, "a", 4);
  Append(p, "b", 4);
  for (const bool filled : {false, true}) {
    if (filled) log_->RunOnce(true);
    const ReadResult read = log_->Read(p, {.from = {6}}).value();
    ASSERT_EQ(read.batches.size(), 1u);
    EXPECT_EQ(read.batches[0].base_offset, Offset{4});
  }
}

TEST_F(LogTest, ReturnsOneBatchHoweverSmallTheLimit) {
  const PartitionId p = MakeTopic("t");
  Append(p, "a");
  Append(p, "b");
  EXPECT_THAT(Values(log_->Read(p, {.from = {0}, .bytes_max = 1}).value()), ElementsAre("a/0"));
  EXPECT_THAT(Values(log_->Read(p, {.from = {0}, .until = {1}}).value()), ElementsAre("a/0"));
  EXPECT_THAT(Values(log_->Read(p, {.from = {0}}).value()), ElementsAre("a/0", "b/0"));
}

TEST_F(LogTest, NamesTheFirstAvailableOffsetWhenAReadIsOutOfRange) {
  const PartitionId p = MakeTopic("orders");
  Append(p, "a");
  const auto read = log_->Read(p, {.from = {2}});
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().message(), HasSubstr("the first available offset is 0, the end is 1"));
  EXPECT_THAT(read.error().message(), HasSubstr("\"orders\" partition 0"));
  EXPECT_TRUE(log_->Read(p, {.from = {1}}).value().batches.empty());
}

TEST_F(LogTest, MovesAllEndsOfARequestTogether) {
  const TopicInfo topic = log_->CreateTopic("t", {.partitions = 3}).value();
  const PartitionId a{topic.id, 0}, c{topic.id, 2};
  const auto before = log_->DurableCut();
  const Appended appended =
      log_->AppendAndWait({{a, MakeBatch("a", 2)}, {c, MakeBatch("c", 5) + MakeBatch("d")}})
          .value();
  const auto after = log_->DurableCut();
  EXPECT_EQ(before->Find(a)->end, Offset{0});
  EXPECT_EQ(after->Find(a)->end, Offset{2});
  EXPECT_EQ(after->Find({topic.id, 1})->end, Offset{0});
  EXPECT_EQ(after->Find(c)->end, Offset{6});
  EXPECT_EQ(after->Find({topic.id, 3}), nullptr);
  EXPECT_EQ(after->frame, appended.frame);
  EXPECT_EQ(log_->DurableFrame(), appended.frame);
  EXPECT_EQ(log_->DurableCut(), after);
  const ReadResult read = log_->Read(c, {.from = {0}}).value();
  ASSERT_EQ(read.batches.size(), 2u);
  EXPECT_EQ(read.batches[0].index_in_frame, 1u);
  EXPECT_EQ(read.batches[1].index_in_frame, 2u);
}

TEST_F(LogTest, GathersWhatIsQueuedIntoOneFrame) {
  const PartitionId p = MakeTopic("t");
  const FrameSequence before = log_->DurableFrame();
  std::vector<Offset> bases;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(log_->Append({{p, MakeBatch("x", 2)}},
                             [&](Result<Appended> appended) {
                               bases.push_back(appended.value().base_offsets[0]);
                             })
                    .ok());
  }
  EXPECT_TRUE(bases.empty());
  EXPECT_TRUE(log_->RunOnce(false));
  EXPECT_THAT(bases, ElementsAre(Offset{0}, Offset{2}, Offset{4}, Offset{6}, Offset{8}));
  EXPECT_EQ(log_->DurableFrame().value, before.value + 1);
  EXPECT_EQ(log_->Stats().queue_requests, 0u);
}

TEST_F(LogTest, RefusesWhatIsMalformedTooLargeOrWithoutPlace) {
  const PartitionId p = MakeTopic("t");
  const auto append = [&](PartitionId to, std::string bytes) {
    return log_->Append({{to, std::move(bytes)}}, [](Result<Appended>) { FAIL(); });
  };
  std::string bad = MakeBatch("a");
  bad.back() = static_cast<char>(bad.back() ^ 1);
  EXPECT_EQ(append(p, bad).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(append(p, MakeBatch("a") + "x").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(append(p, "").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(append(p, MakeBatch(std::string(9000, 'x'))).error().code(), Code::kTooLarge);
  EXPECT_EQ(append({p.topic, 1}, MakeBatch("a")).error().code(), Code::kNotFound);
  EXPECT_EQ(append({{12345}, 0}, MakeBatch("a")).error().code(), Code::kNotFound);
  EXPECT_EQ(log_->Append({}, nullptr).error().code(), Code::kInvalidArgument);
}

TEST_F(LogTest, RefusesWhenTheQueueIsFullAndGoesOnWhenItIsNot) {
  options_.queue_bytes_max = 2000;
  Reopen();
  const PartitionId p = MakeTopic("t");
  int acknowledged = 0, queued = 0;
  Status status;
  while ((status = log_->Append({{p, MakeBatch("x")}}, [&](Result<Appended> r) {
           acknowledged += r.ok();
         })).ok()) {
    ++queued;
  }
  EXPECT_EQ(status.error().code(), Code::kOverloaded);
  EXPECT_GT(queued, 1);
  EXPECT_EQ(log_->Stats().appends_refused, 1u);
  log_->RunOnce(false);
  EXPECT_EQ(acknowledged, queued);
  Append(p, "again");
}

TEST_F(LogTest, MakesATopicThatIsMadeAgainAnotherOne) {
  const PartitionId old = MakeTopic("t");
  Append(old, "old", 3);
  log_->RunOnce(true);
  ASSERT_TRUE(log_->DeleteTopic(old.topic).ok());
  EXPECT_EQ(log_->Read(old, {}).error().code(), Code::kNotFound);
  const PartitionId fresh = MakeTopic("t");
  EXPECT_NE(fresh.topic, old.topic);
  Append(fresh, "new");
  for (const bool reopened : {false, true}) {
    if (reopened) Reopen();
    EXPECT_THAT(ReadAllValues(*log_, fresh).value(), ElementsAre("new/0"));
    EXPECT_EQ(log_->Topics().size(), 1u);
    EXPECT_EQ(log_->DeleteTopic(old.topic).error().code(), Code::kNotFound);
  }
}

TEST_F(LogTest, RefusesNamesThatAreTakenOrBad) {
  MakeTopic("Orders");
  EXPECT_EQ(log_->CreateTopic("orders", {}).error().code(), Code::kAlreadyExists);
  EXPECT_EQ(log_->CreateTopic("", {}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(log_->CreateTopic("..", {}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(log_->CreateTopic("a/b", {}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(log_->CreateTopic(std::string(250, 'a'), {}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(log_->CreateTopic("x", {.partitions = 0}).error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(log_->CreateTopic("__steps", {}).ok());
  EXPECT_FALSE(log_->FindTopic("orders").has_value());
  EXPECT_TRUE(log_->FindTopic("Orders").has_value());
}

TEST_F(LogTest, AddsPartitionsAndKeepsThemWhenReopened) {
  const PartitionId p = MakeTopic("t");
  Append(p, "a");
  TopicConfig config;
  config.partitions = 3;
  config.retention_bytes = 4096;
  ASSERT_TRUE(log_->AlterTopic(p.topic, config).ok());
  Append({p.topic, 2}, "c");
  Reopen();
  EXPECT_EQ(log_->FindTopic("t")->config, config);
  EXPECT_THAT(ReadAllValues(*log_, p).value(), ElementsAre("a/0"));
  EXPECT_THAT(ReadAllValues(*log_, {p.topic, 2}).value(), ElementsAre("c/0"));
  config.partitions = 2;
  EXPECT_EQ(log_->AlterTopic(p.topic, config).error().code(), Code::kInvalidArgument);
}

TEST_F(LogTest, FreesOldSegmentsByTimeOfAppendButNeverAboveTheFloor) {
  TopicConfig config;
  config.retention_time = std::chrono::seconds(10);
  const PartitionId p = MakeTopic("t", config);
  for (int i = 0; i < 100; ++i) Append(p, "value " + std::to_string(i));
  log_->RunOnce(true);
  clock_.Advance(std::chrono::seconds(60));
  Append(p, "last");
  const auto settle = [&] {
    for (int i = 0; i < 3; ++i) log_->RunOnce(true);
  };
  settle();
  EXPECT_EQ(log_->DurableCut()->Find(p)->start, Offset{0}) << "no floor was set";
  ASSERT_TRUE(log_->SetFreeFloor(p, {50}).ok());
  settle();
  const Offset start = log_->DurableCut()->Find(p)->start;
  EXPECT_GT(start, Offset{0});
  EXPECT_LE(start, Offset{50});
  EXPECT_EQ(log_->Read(p, {.from = {0}}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(ReadAllValues(*log_, p, start).value().size(), static_cast<size_t>(101 - start.value));
  ASSERT_TRUE(log_->SetFreeFloor(p, kOffsetMax).ok());
  settle();
  EXPECT_GT(log_->DurableCut()->Find(p)->start, Offset{90});
  EXPECT_GT(log_->Stats().segments_deleted, 0u);
  const Offset later = log_->DurableCut()->Find(p)->start;
  Reopen();
  EXPECT_EQ(log_->DurableCut()->Find(p)->start, later);
  EXPECT_EQ(log_->DurableCut()->Find(p)->end, Offset{101});
}

TEST_F(LogTest, FreesOldSegmentsBySize) {
  TopicConfig config;
  config.retention_bytes = 6 << 10;
  const PartitionId p = MakeTopic("t", config);
  ASSERT_TRUE(log_->SetFreeFloor(p, kOffsetMax).ok());
  for (int i = 0; i < 300; ++i) {
    Append(p, "value " + std::to_string(i));
    if (i % 10 == 0) log_->RunOnce(true);
  }
  log_->RunOnce(true);
  uint64_t bytes = 0;
  for (const std::string& path : files_.Paths()) {
    if (path.ends_with(".log")) bytes += files_.ReadAll(path).value().size();
  }
  EXPECT_LT(bytes, 10u << 10);
  EXPECT_GE(bytes, 6u << 10);
}

TEST_F(LogTest, FindsOffsetsByTimeOfAppendAndByTimestamp) {
  const PartitionId p = MakeTopic("t");
  for (int i = 0; i < 100; ++i) {
    clock_.Set(Micros{1'000'000 + i * 1000});
    ASSERT_TRUE(log_->AppendAndWait({{p, MakeBatch("x", 1, {5000 - i})}}).ok());
    if (i == 70) log_->RunOnce(true);
  }
  EXPECT_EQ(log_->OffsetForAppendTime(p, {0}).value(), Offset{0});
  EXPECT_EQ(log_->OffsetForAppendTime(p, {1'030'000}).value(), Offset{30});
  EXPECT_EQ(log_->OffsetForAppendTime(p, {1'030'001}).value(), Offset{31});
  EXPECT_EQ(log_->OffsetForAppendTime(p, {1'090'000}).value(), Offset{90});
  EXPECT_EQ(log_->OffsetForAppendTime(p, {9'000'000}).value(), Offset{100});
  EXPECT_EQ(log_->OffsetForTimestamp(p, {4990}).value(), Offset{0});
  EXPECT_EQ(log_->OffsetForTimestamp(p, {5001}).value(), Offset{100});
}

TEST_F(LogTest, LetsTheWriteAheadFileGrowAheadOfTheFramesUpToItsLimit) {
  EXPECT_EQ(log_->Stats().write_ahead_file_bytes, 0u);
  const PartitionId p = MakeTopic("t");
  EXPECT_EQ(log_->Stats().write_ahead_file_bytes, options_.write_ahead_bytes_max / 4);
  for (int i = 0; i < 50; ++i) {
    Append(p, "x");
    log_->RunOnce(/*background=*/i % 3 == 2);
    const uint64_t on_disk = files_.ReadAll("data/wal/frames").value().size();
    EXPECT_EQ(on_disk, log_->Stats().write_ahead_file_bytes) << "a frame let the file grow";
  }
  EXPECT_EQ(log_->Stats().write_ahead_file_bytes, options_.write_ahead_bytes_max);
}

TEST_F(LogTest, GoesRoundASmallWriteAheadFileWhereTheDiskIsTooFullForALargerOne) {
  const PartitionId p = MakeTopic("t");
  log_.reset();
  uint64_t used = 0;
  for (const std::string& path : files_.Paths()) used += files_.ReadAll(path).value().size();
  options_.disk_reserve_bytes = 40 << 10;
  files_.SetTotalBytes(used + (40 << 10) + 1000);
  Reopen();
  int refused = 0;
  for (int i = 0; i < 30; ++i) {
    refused += !log_->AppendAndWait({{p, MakeBatch("x")}}).ok();
    if (i % 3 == 2) log_->RunOnce(true);
  }
  EXPECT_GT(refused, 0) << "the disk passes its high mark";
  EXPECT_LT(refused, 30);
  EXPECT_EQ(log_->Stats().write_ahead_file_bytes, options_.write_ahead_bytes_max / 4);
}

TEST_F(LogTest, AGibibyteStaysFreeUnlessASettingSaysOtherwise) {
  const PartitionId p = MakeTopic("t");
  log_.reset();
  options_.disk_reserve_bytes.reset();
  files_.SetTotalBytes(1000ull << 20);
  Reopen();
  const auto refused = log_->AppendAndWait({{p, MakeBatch("x")}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kOverloaded);
  EXPECT_THAT(refused.error().message(), HasSubstr("less than 1024 MiB"));
  log_.reset();
  options_.disk_reserve_bytes = 900ull << 20;
  Reopen();
  Append(p, "x");
}

TEST_F(LogTest, RefusesAppendsOnAFullDiskServesReadersAndHeals) {
  const PartitionId p = MakeTopic("t");
  Append(p, "before");
  log_.reset();
  options_.disk_reserve_bytes = 1 << 20;
  files_.SetTotalBytes(512 << 10);
  Reopen();
  const Status refused = log_->Append({{p, MakeBatch("x")}}, [](Result<Appended>) { FAIL(); });
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kOverloaded);
  EXPECT_TRUE(log_->Stats().disk_above_high_mark);
  EXPECT_THAT(ReadAllValues(*log_, p).value(), ElementsAre("before/0"));
  files_.SetTotalBytes(64 << 20);
  log_->RunOnce(true);
  Append(p, "after");
  EXPECT_FALSE(log_->Stats().disk_above_high_mark);
}

TEST_F(LogTest, FreesWhatRetentionAllowsWhenTheDiskIsFullToTheLastByte) {
  TopicConfig config;
  config.retention_time = std::chrono::seconds(10);
  const PartitionId p = MakeTopic("t", config);
  ASSERT_TRUE(log_->SetFreeFloor(p, kOffsetMax).ok());
  for (int i = 0; i < 100; ++i) Append(p, "value " + std::to_string(i));
  log_->RunOnce(true);
  clock_.Advance(std::chrono::seconds(60));
  uint64_t used = 0;
  for (const std::string& path : files_.Paths()) used += files_.ReadAll(path).value().size();
  files_.SetTotalBytes(used);
  // These frames find no room in segments until the old ones are gone.
  bool refused = false;
  for (int i = 0; i < 40; ++i) {
    refused |= !log_->AppendAndWait({{p, MakeBatch("full " + std::to_string(i))}}).ok();
    log_->RunOnce(true);
  }
  EXPECT_TRUE(refused);
  EXPECT_GT(log_->DurableCut()->Find(p)->start, Offset{90});
  EXPECT_FALSE(log_->Stats().disk_above_high_mark);
  Append(p, "after");
  Reopen();
  EXPECT_EQ(ReadAllValues(*log_, p, log_->DurableCut()->Find(p)->start).value().back(), "after/0");
}

TEST_F(LogTest, LosesNothingWhenTheDiskIsFullToTheLastByte) {
  const PartitionId p = MakeTopic("t");
  for (int i = 0; i < 100; ++i) Append(p, "value " + std::to_string(i));
  std::vector<std::string> expected = ReadAllValues(*log_, p).value();
  uint64_t used = 0;
  for (const std::string& path : files_.Paths()) used += files_.ReadAll(path).value().size();
  files_.SetTotalBytes(used);
  int acknowledged = 0;
  for (int i = 0; i < 200; ++i) {
    const auto appended = log_->AppendAndWait({{p, MakeBatch("full " + std::to_string(i))}});
    if (appended.ok()) {
      expected.push_back("full " + std::to_string(i) + "/0");
      ++acknowledged;
    } else {
      ASSERT_EQ(appended.error().code(), Code::kOverloaded) << appended.error().ToString();
    }
    log_->RunOnce(true);
  }
  EXPECT_LT(acknowledged, 200);
  EXPECT_EQ(ReadAllValues(*log_, p).value(), expected);
  files_.SetTotalBytes(64 << 20);
  log_->RunOnce(true);
  Append(p, "after");
  expected.push_back("after/0");
  Reopen();
  EXPECT_EQ(ReadAllValues(*log_, p).value(), expected);
}

TEST_F(LogTest, SaysWhyItCannotOpenAReadOnlyFolder) {
  log_.reset();
  files_.SetReadOnly(true);
  const auto log = Log::Open(options_);
  ASSERT_FALSE(log.ok());
  EXPECT_EQ(log.error().code(), Code::kIo);
  EXPECT_THAT(log.error().message(), HasSubstr("Read-only file system"));
  EXPECT_THAT(log.error().message(), HasSubstr("open log data"));
}

TEST_F(LogTest, RefusesToOpenTopicsWithoutTheirCheckpoint) {
  MakeTopic("t");
  ASSERT_TRUE(log_->Close().ok());
  ASSERT_TRUE(files_.Remove("data/wal/checkpoint").ok());
  EXPECT_EQ(Log::Open(options_).error().code(), Code::kCorruption);
}

TEST_F(LogTest, TakesNoAppendsAfterClose) {
  const PartitionId p = MakeTopic("t");
  Append(p, "a");
  ASSERT_TRUE(log_->Close().ok());
  ASSERT_TRUE(log_->Close().ok());
  EXPECT_EQ(log_->AppendAndWait({{p, MakeBatch("b")}}).error().code(), Code::kUnavailable);
  EXPECT_EQ(log_->CreateTopic("u", {}).error().code(), Code::kUnavailable);
}

TEST_F(LogTest, RaisesTheLeaderEpochAtUncleanStartsOnly) {
  const PartitionId p = MakeTopic("t");
  Append(p, "a");
  Reopen();
  Append(p, "b");
  auto crashed = files_.AfterCrash();
  ManualClock clock{Micros{2'000'000}};
  auto log = Log::Open(SmallOptions(*crashed, clock)).value();
  ASSERT_TRUE(log->AppendAndWait({{p, MakeBatch("c")}}).ok());
  std::vector<int32_t> epochs;
  for (int64_t at = 0; at < 3; ++at) {
    epochs.push_back(
        log->Read(p, {.from = {at}, .bytes_max = 1}).value().batches[0].view().leader_epoch());
  }
  EXPECT_THAT(epochs, ElementsAre(0, 0, 1));
}

TEST_F(LogTest, ClockOfFramesNeverGoesBack) {
  const PartitionId p = MakeTopic("t");
  const Micros first = Append(p, "a").clock;
  clock_.Set(Micros{5});
  EXPECT_EQ(Append(p, "b").clock, first);
  Reopen();
  EXPECT_EQ(Append(p, "c").clock, first);
}

}  // namespace
}  // namespace millrace::log::log_test
