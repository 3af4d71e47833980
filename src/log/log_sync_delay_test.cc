// Topics whose producers are answered before the fdatasync: what they gain, what may be lost, and
// that readers never see it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "log/testing.h"

namespace millrace::log::log_sync_delay_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::chrono::milliseconds kDelay{50};

class LogSyncDelayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Open();
    early_ = {log_->CreateTopic("early", {.sync_delay_max = kDelay}).value().id, 0};
    strict_ = {log_->CreateTopic("strict", {}).value().id, 0};
  }
  void Open() {
    auto log = Log::Open(options_);
    ASSERT_TRUE(log.ok()) << log.error().ToString();
    log_ = *std::move(log);
  }
  void GoOnWith(std::unique_ptr<FaultyFiles> after) {
    files_->LosePowerAt(1);
    log_.reset();
    files_ = std::move(after);
    options_.files = files_.get();
    Open();
  }
  // nullopt: not answered yet.
  using Answer = std::shared_ptr<std::optional<Result<Appended>>>;
  Answer Queue(AppendRequest request) {
    auto answer = std::make_shared<std::optional<Result<Appended>>>();
    EXPECT_TRUE(
        log_->Append(std::move(request), [answer](Result<Appended> r) { *answer = std::move(r); })
            .ok());
    return answer;
  }
  Answer Write(AppendRequest request) {
    auto answer = Queue(std::move(request));
    log_->RunOnce(/*background=*/false);
    return answer;
  }
  int64_t End(PartitionId partition) { return log_->DurableCut()->Find(partition)->end.value; }
  uint64_t Syncs() { return log_->Stats().write_ahead_syncs; }
  std::vector<std::string> Read(PartitionId partition) {
    return ReadAllValues(*log_, partition).value();
  }

  std::unique_ptr<FaultyFiles> files_ = std::make_unique<FaultyFiles>();
  ManualClock clock_{Micros{1'000'000}};
  LogOptions options_ = SmallOptions(*files_, clock_);
  std::unique_ptr<Log> log_;
  PartitionId early_, strict_;
};

TEST_F(LogSyncDelayTest, AnswersWhenTheFrameIsWrittenAndShowsItWhenItIsDurable) {
  const uint64_t syncs = Syncs();
  const FrameSequence durable = log_->DurableFrame();
  std::vector<FrameSequence> told;
  log_->SetDurableListener([&](FrameSequence frame) { told.push_back(frame); });
  const auto a = Write({{early_, MakeBatch("a")}});
  const auto b = Write({{early_, MakeBatch("b")}});
  EXPECT_EQ((*a)->value().base_offsets, std::vector<Offset>{{0}});
  EXPECT_EQ((*b)->value().base_offsets, std::vector<Offset>{{1}});
  EXPECT_EQ(Syncs(), syncs);
  EXPECT_EQ(End(early_), 0);
  EXPECT_EQ(log_->DurableFrame(), durable);
  EXPECT_EQ(log_->WrittenFrame(), (*b)->value().frame);
  EXPECT_THAT(Read(early_), IsEmpty());
  EXPECT_THAT(told, IsEmpty());

  log_->RunOnce(/*background=*/true);
  EXPECT_EQ(Syncs(), syncs + 1);
  EXPECT_THAT(Read(early_), ElementsAre("a/0", "b/0"));
  EXPECT_EQ(log_->DurableFrame(), (*b)->value().frame);
  EXPECT_THAT(told, ElementsAre((*b)->value().frame));
}

TEST_F(LogSyncDelayTest, KeepsWhatWasWrittenWhenTheProcessDies) {
  Write({{early_, MakeBatch("a")}});
  Write({{early_, MakeBatch("b")}});
  GoOnWith(files_->AfterCrash());
  EXPECT_THAT(Read(early_), ElementsAre("a/0", "b/0"));
  EXPECT_TRUE(log_->damage().empty());
}

TEST_F(LogSyncDelayTest, GivesOffsetsAgainThatAPowerLossTookBackInALaterLeaderEpoch) {
  Write({{early_, MakeBatch("durable")}});
  log_->RunOnce(true);
  const int32_t epoch = log_->Read(early_, {}).value().batches[0].view().leader_epoch();
  const auto lost = Write({{early_, MakeBatch("lost")}});
  ASSERT_EQ((*lost)->value().base_offsets[0], Offset{1});
  GoOnWith(files_->AfterPowerLoss({}));
  EXPECT_THAT(Read(early_), ElementsAre("durable/0"));
  EXPECT_TRUE(log_->damage().empty()) << "nobody saw it";
  const auto next = log_->AppendAndWait({{early_, MakeBatch("next")}});
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->base_offsets[0], Offset{1});
  log_->RunOnce(true);
  EXPECT_THAT(Read(early_), ElementsAre("durable/0", "next/0"));
  EXPECT_GT(log_->Read(early_, {.from = {1}}).value().batches[0].view().leader_epoch(), epoch);
}

// Whatever of the frames that were never synced reaches the disk: a prefix of them is there.
TEST_F(LogSyncDelayTest, LosesFromTheEndOnly) {
  for (int i = 0; i < 6; ++i) Write({{early_, MakeBatch(std::to_string(i))}});
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto disk = files_->AfterPowerLoss({.keep_some = true, .seed = seed});
    LogOptions options = options_;
    options.files = disk.get();
    const auto log = Log::Open(options).value();
    const auto values = ReadAllValues(*log, early_).value();
    for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], std::to_string(i) + "/0");
    ASSERT_TRUE(log->damage().empty()) << "seed " << seed;
  }
}

TEST_F(LogSyncDelayTest, AStrictRequestMakesEverythingDurableAtOnce) {
  const auto early = Write({{early_, MakeBatch("a")}});
  const auto strict = Write({{strict_, MakeBatch("s")}});
  EXPECT_TRUE((*strict)->ok());
  EXPECT_THAT(Read(early_), ElementsAre("a/0"));
  EXPECT_THAT(Read(strict_), ElementsAre("s/0"));
}

TEST_F(LogSyncDelayTest, ARequestOfSeveralTopicsIsAsDurableAsTheStrictestOfThem) {
  const uint64_t syncs = Syncs();
  const auto both = Write({{early_, MakeBatch("a")}, {strict_, MakeBatch("s")}});
  EXPECT_TRUE((*both)->ok());
  EXPECT_EQ(Syncs(), syncs + 1);
  GoOnWith(files_->AfterPowerLoss({}));
  EXPECT_THAT(Read(early_), ElementsAre("a/0"));
  EXPECT_THAT(Read(strict_), ElementsAre("s/0"));
}

TEST_F(LogSyncDelayTest, ATransactionIsNeverAnsweredEarly) {
  Write({{early_, MakeProducerBatch({7, 0}, 0, "t", 1, /*transactional=*/true)}});
  EXPECT_EQ(End(early_), 1);
  Write({{early_, MakeBatch("early")}});
  EXPECT_EQ(End(early_), 1);
  ASSERT_TRUE(log_->AppendMarkersAndWait({{7, 0}, TransactionOutcome::kCommit, 0, {early_}}).ok());
  EXPECT_EQ(End(early_), 3);
  GoOnWith(files_->AfterPowerLoss({}));
  EXPECT_THAT(ReadCommittedValues(*log_, early_, {0}, 1 << 20).value(),
              ElementsAre("t/0", "early/0"));
}

TEST_F(LogSyncDelayTest, TellsWhatATransactionOfTheSameFrameHoldsBack) {
  Queue({{early_, MakeProducerBatch({7, 0}, 0, "t", 1, /*transactional=*/true)}});
  const auto behind = Queue({{early_, MakeBatch("early")}});
  log_->RunOnce(/*background=*/false);
  EXPECT_TRUE((*behind)->value().held_back);
}

TEST_F(LogSyncDelayTest, StoresOnceWhatIsSentAgainBeforeTheSync) {
  const auto send = [&](int32_t sequence) {
    return Write({{early_, MakeProducerBatch({7, 0}, sequence, std::to_string(sequence))}});
  };
  EXPECT_EQ((*send(0))->value().base_offsets[0], Offset{0});
  EXPECT_EQ((*send(1))->value().base_offsets[0], Offset{1});
  const auto again = send(0);
  EXPECT_EQ((*again)->value().base_offsets[0], Offset{0});
  EXPECT_EQ((*again)->value().repeated_records, 1);
  EXPECT_EQ(AppendProblemOf((*send(3))->error()), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ((*send(2))->value().base_offsets[0], Offset{2});
  log_->RunOnce(true);
  EXPECT_EQ((*send(2))->value().base_offsets[0], Offset{2});
  EXPECT_EQ((*send(3))->value().base_offsets[0], Offset{3});
  log_->RunOnce(true);
  EXPECT_THAT(Read(early_), ElementsAre("0/0", "1/0", "2/0", "3/0"));
}

// What the producer was told is gone; what it sends next tells that something is missing.
TEST_F(LogSyncDelayTest, AnIdempotentProducerNoticesWhatAPowerLossTookBack) {
  Write({{early_, MakeProducerBatch({7, 0}, 0, "durable")}});
  log_->RunOnce(true);
  Write({{early_, MakeProducerBatch({7, 0}, 1, "lost")}});
  GoOnWith(files_->AfterPowerLoss({}));
  const auto next = Write({{early_, MakeProducerBatch({7, 0}, 2, "next")}});
  EXPECT_EQ(AppendProblemOf((*next)->error()), AppendProblem::kOutOfOrderSequence);
}

TEST_F(LogSyncDelayTest, AFailedSyncShowsNothingAndEndsAppending) {
  const auto early = Write({{early_, MakeBatch("a")}});
  EXPECT_TRUE((*early)->ok());
  const auto strict = Queue({{strict_, MakeBatch("s")}});
  files_->FailCallAt(2, Error(Code::kIo, "the disk is ill"));  // the write goes well
  log_->RunOnce(false);
  EXPECT_EQ((*strict)->error().code(), Code::kIo);
  EXPECT_EQ(End(early_), 0);
  EXPECT_EQ(log_->Append({{early_, MakeBatch("b")}}, [](Result<Appended>) {}).error().code(),
            Code::kUnavailable);
  log_->RunOnce(true);
  EXPECT_EQ(End(early_), 0);
  EXPECT_FALSE(log_->Close().ok());
  GoOnWith(files_->AfterCrash());
  EXPECT_THAT(Read(early_), ElementsAre("a/0")) << "the machine went on: what was written is there";
}

TEST_F(LogSyncDelayTest, NeverLeavesMoreUnsyncedThanTheBound) {
  ASSERT_TRUE(log_->Close().ok());
  options_.unsynced_bytes_max = 16 << 10;  // a frame takes a little more than 4 KiB
  GoOnWith(files_->AfterCrash());
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(log_->AppendAndWait({{early_, MakeBatch("a")}}).ok());
    ASSERT_EQ(End(early_), (i + 1) / 4 * 4);
    ASSERT_LT(log_->Stats().unsynced_bytes, options_.unsynced_bytes_max);
  }
}

TEST_F(LogSyncDelayTest, GoesRoundTheWriteAheadFile) {
  for (int i = 0; i < 100; ++i) {
    const auto appended = log_->AppendAndWait({{early_, MakeBatch(std::string(3000, 'x'))}});
    ASSERT_TRUE(appended.ok()) << appended.error().ToString();
  }
  EXPECT_GT(End(early_), 50) << "what is not synced frees no room";
}

TEST_F(LogSyncDelayTest, CloseMakesEverythingDurable) {
  Write({{early_, MakeBatch("a")}});
  ASSERT_TRUE(log_->Close().ok());
  GoOnWith(files_->AfterPowerLoss({}));
  EXPECT_THAT(Read(early_), ElementsAre("a/0"));
  EXPECT_EQ(log_->Stats().recovered_frames, 0u);
}

TEST_F(LogSyncDelayTest, IsAltered) {
  TopicConfig config;
  ASSERT_TRUE(log_->AlterTopic(early_.topic, config).ok());
  Write({{early_, MakeBatch("a")}});
  EXPECT_EQ(End(early_), 1);
  config.sync_delay_max = kSyncDelayMax;
  ASSERT_TRUE(log_->AlterTopic(early_.topic, config).ok());
  GoOnWith(files_->AfterPowerLoss({}));
  EXPECT_EQ(log_->FindTopic("early")->config.sync_delay_max, kSyncDelayMax);
  Write({{early_, MakeBatch("b")}});
  EXPECT_EQ(End(early_), 1);
}

TEST_F(LogSyncDelayTest, HasBounds) {
  EXPECT_EQ(log_->CreateTopic("t", {.sync_delay_max = kSyncDelayMax + kDelay}).error().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(log_->CreateTopic("t", {.sync_delay_max = -kDelay}).error().code(),
            Code::kInvalidArgument);
}

class LogSyncDelayThreads : public ::testing::Test {
 protected:
  void Open(std::chrono::milliseconds delay) {
    options_.manual = false;
    log_ = Log::Open(options_).value();
    early_ = {log_->CreateTopic("early", {.sync_delay_max = delay}).value().id, 0};
  }
  FaultyFiles files_;
  LogOptions options_ = SmallOptions(files_, Clock::System());
  std::unique_ptr<Log> log_;
  PartitionId early_;
};

TEST_F(LogSyncDelayThreads, SyncsWhenTheDelayIsOver) {
  Open(std::chrono::milliseconds(20));
  for (int i = 0; i < 5; ++i) {
    const auto appended = log_->AppendAndWait({{early_, MakeBatch("a")}});
    ASSERT_TRUE(appended.ok());
    // Nothing else is appended: the flusher wakes by itself.
    FrameSequence durable = log_->DurableFrame();
    while (durable < appended->frame) {
      durable = log_->WaitForDurable(durable, std::chrono::seconds(10));
    }
    EXPECT_EQ(log_->DurableCut()->Find(early_)->end, Offset{i + 1});
  }
}

TEST_F(LogSyncDelayThreads, SyncsAtOnceForWhoeverWaits) {
  Open(kSyncDelayMax);
  const auto start = Tick();
  const auto appended = log_->AppendAndWait({{early_, MakeBatch("a")}});
  ASSERT_TRUE(appended.ok());
  const FrameSequence before{appended->frame.value - 1};
  log_->SyncSoon(appended->frame);
  EXPECT_EQ(log_->WaitForDurable(before, kSyncDelayMax), appended->frame);
  EXPECT_LT(Tick() - start, kSyncDelayMax / 2);
  log_->SyncSoon(appended->frame);  // it is durable: nothing happens
}

TEST_F(LogSyncDelayThreads, CloseWaitsForNoDelay) {
  Open(kSyncDelayMax);
  const auto start = Tick();
  ASSERT_TRUE(log_->AppendAndWait({{early_, MakeBatch("a")}}).ok());
  ASSERT_TRUE(log_->Close().ok());
  EXPECT_LT(Tick() - start, kSyncDelayMax / 2);
  const auto disk = files_.AfterPowerLoss({});
  options_.files = disk.get();
  const auto log = Log::Open(options_).value();
  EXPECT_THAT(ReadAllValues(*log, early_).value(), ElementsAre("a/0"));
}

}  // namespace
}  // namespace millrace::log::log_sync_delay_test
