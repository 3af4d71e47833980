// Idempotent producers: what is sent again is stored once, and nothing is stored out of order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/coding.h"
#include "log/testing.h"

namespace millrace::log::log_producers_test {
namespace {

using ::testing::ElementsAre;

constexpr int32_t kSequenceMax = INT32_MAX;

class LogProducersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Open();
    TopicConfig config;
    config.partitions = 2;
    p_ = {log_->CreateTopic("t", config).value().id, 0};
    other_ = {p_.topic, 1};
  }
  void Open() {
    auto log = Log::Open(options_);
    ASSERT_TRUE(log.ok()) << log.error().ToString();
    log_ = *std::move(log);
  }
  void CloseAndOpen() {
    ASSERT_TRUE(log_->Close().ok());
    log_.reset();
    Open();
  }
  void LosePower() {
    auto after = files_->AfterPowerLoss({});
    files_->LosePowerAt(1);
    log_.reset();
    files_ = std::move(after);
    options_.files = files_.get();
    Open();
  }
  Result<Appended> Send(Producer producer, int32_t sequence, int count = 1) {
    return log_->AppendAndWait({{p_, Batch(producer, sequence, count)}});
  }
  static std::string Batch(Producer producer, int32_t sequence, int count = 1) {
    return MakeProducerBatch(producer, sequence,
                             fmt::format("{}.{}.{}", producer.id, producer.epoch, sequence), count);
  }
  int64_t OffsetOf(const Result<Appended>& appended) {
    return appended.ok() ? appended->base_offsets.at(0).value : -1;
  }
  static std::optional<AppendProblem> ProblemOf(const Result<Appended>& appended) {
    return appended.ok() ? std::nullopt : AppendProblemOf(appended.error());
  }
  int64_t End() { return log_->DurableCut()->Find(p_)->end.value; }

  std::unique_ptr<FaultyFiles> files_ = std::make_unique<FaultyFiles>();
  ManualClock clock_{Micros{1'000'000}};
  LogOptions options_ = SmallOptions(*files_, clock_);
  std::unique_ptr<Log> log_;
  PartitionId p_, other_;
};

TEST_F(LogProducersTest, AnswersABatchThatIsSentAgainWithItsOffset) {
  EXPECT_EQ(OffsetOf(Send({7, 0}, 0, 3)), 0);
  EXPECT_EQ(OffsetOf(Send({7, 0}, 3, 2)), 3);
  EXPECT_EQ(OffsetOf(Send({7, 0}, 0, 3)), 0);
  EXPECT_EQ(OffsetOf(Send({7, 0}, 3, 2)), 3);
  EXPECT_EQ(End(), 5);
  EXPECT_EQ(log_->Stats().duplicate_batches, 2u);
  EXPECT_EQ(log_->Stats().batches, 2u);
  EXPECT_EQ(log_->Stats().records, 5u);
}

TEST_F(LogProducersTest, RemembersTheLastFiveBatchesOnly) {
  for (int i = 0; i < 6; ++i) ASSERT_EQ(OffsetOf(Send({7, 0}, i)), i);
  for (int i = 1; i < 6; ++i) EXPECT_EQ(OffsetOf(Send({7, 0}, i)), i);
  EXPECT_EQ(ProblemOf(Send({7, 0}, 0)), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ(End(), 6);
}

TEST_F(LogProducersTest, RefusesAGapAndAnotherCutOfTheSameSequences) {
  ASSERT_TRUE(Send({7, 0}, 0, 3).ok());
  EXPECT_EQ(ProblemOf(Send({7, 0}, 4)), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ(ProblemOf(Send({7, 0}, 0, 2)), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ(ProblemOf(Send({7, 0}, 1, 2)), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ(Send({7, 0}, 4).error().code(), Code::kConflict);
  EXPECT_EQ(OffsetOf(Send({7, 0}, 3)), 3);
}

TEST_F(LogProducersTest, RefusesAProducerThatWasFenced) {
  ASSERT_TRUE(Send({7, 1}, 0).ok());
  EXPECT_EQ(ProblemOf(Send({7, 0}, 1)), AppendProblem::kInvalidProducerEpoch);
  EXPECT_EQ(ProblemOf(Send({7, 0}, 0)), AppendProblem::kInvalidProducerEpoch);
}

TEST_F(LogProducersTest, BeginsAtZeroInANewEpoch) {
  ASSERT_TRUE(Send({7, 0}, 0).ok());
  EXPECT_EQ(ProblemOf(Send({7, 1}, 1)), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ(OffsetOf(Send({7, 1}, 0)), 1);
  EXPECT_EQ(OffsetOf(Send({7, 1}, 1)), 2);
  EXPECT_EQ(OffsetOf(Send({7, 1}, 0)), 1);
  EXPECT_EQ(End(), 3);
}

TEST_F(LogProducersTest, CountsOnFromZeroBehindTheGreatestSequence) {
  ASSERT_TRUE(log_->AppendAndWait({{p_, MakeBatch("first")}}).ok());
  EXPECT_EQ(OffsetOf(Send({7, 0}, kSequenceMax - 1, 3)), 1);
  EXPECT_EQ(ProblemOf(Send({7, 0}, 0)), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ(OffsetOf(Send({7, 0}, 1)), 4);
  ASSERT_TRUE(Send({8, 0}, kSequenceMax).ok());
  EXPECT_EQ(OffsetOf(Send({8, 0}, 0)), 6);
}

TEST_F(LogProducersTest, WantsZeroFirstWhereNothingWasEverStored) {
  EXPECT_EQ(ProblemOf(Send({7, 0}, 5)), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ(OffsetOf(Send({7, 0}, 0)), 0);
  // Known to have held a record: a producer may have been forgotten.
  EXPECT_EQ(OffsetOf(Send({8, 0}, 5)), 1);
  EXPECT_EQ(ProblemOf(Send({8, 0}, 7)), AppendProblem::kOutOfOrderSequence);
}

TEST_F(LogProducersTest, DecidesInTheOrderOfQueuingWithinOneFrame) {
  std::vector<Result<Appended>> answers(5, Result<Appended>(Appended{}));
  const auto queue = [&](size_t i, std::string batches) {
    ASSERT_TRUE(
        log_->Append({{p_, std::move(batches)}},
                     [&answers, i](Result<Appended> result) { answers[i] = std::move(result); })
            .ok());
  };
  queue(0, Batch({7, 0}, 0));
  queue(1, Batch({7, 0}, 0));  // sent again while the first one waits
  queue(2, Batch({7, 0}, 2));  // too early
  queue(3, Batch({7, 0}, 1) + Batch({7, 0}, 2));
  queue(4, Batch({7, 0}, 2));
  ASSERT_TRUE(log_->RunOnce(false));
  EXPECT_EQ(log_->Stats().frames, 2u);  // with the topic's
  EXPECT_EQ(OffsetOf(answers[0]), 0);
  EXPECT_EQ(OffsetOf(answers[1]), 0);
  EXPECT_EQ(ProblemOf(answers[2]), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ(OffsetOf(answers[3]), 1);
  EXPECT_EQ(OffsetOf(answers[4]), 2);
  EXPECT_EQ(End(), 3);
}

TEST_F(LogProducersTest, DoesNotAnswerABatchSentAgainBeforeTheFirstIsDurable) {
  ASSERT_TRUE(Send({7, 0}, 0).ok());
  std::vector<Code> codes;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(log_->Append({{p_, Batch({7, 0}, 1)}},
                             [&](Result<Appended> result) {
                               ASSERT_FALSE(result.ok());
                               codes.push_back(result.error().code());
                             })
                    .ok());
  }
  files_->FailCallAt(2, Error(Code::kIo, "Input/output error"));  // the sync of the frame
  log_->RunOnce(false);
  EXPECT_THAT(codes, ElementsAre(Code::kIo, Code::kIo));
  // Nor one that is known, now that nothing can be made durable.
  EXPECT_EQ(Send({7, 0}, 0).error().code(), Code::kUnavailable);
}

TEST_F(LogProducersTest, TakesTheSameSequenceAgainAfterAFullDiskRefusedIt) {
  ASSERT_TRUE(Send({7, 0}, 0).ok());
  files_->FailCallAt(1, Error(Code::kOverloaded, "No space left on device"));
  EXPECT_EQ(Send({7, 0}, 1).error().code(), Code::kOverloaded);
  EXPECT_EQ(OffsetOf(Send({7, 0}, 1)), 1);
  EXPECT_EQ(End(), 2);
}

TEST_F(LogProducersTest, RefusesARequestAsAWholeWhenOneBatchIsOutOfOrder) {
  ASSERT_TRUE(Send({7, 0}, 0).ok());
  const auto refused = log_->AppendAndWait({{p_, Batch({7, 0}, 1)},
                                            {p_, Batch({8, 0}, 4) + Batch({8, 0}, 5)},
                                            {other_, Batch({7, 0}, 3)}});
  EXPECT_EQ(ProblemOf(refused), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ(End(), 1);
  // As if it had never been.
  EXPECT_EQ(OffsetOf(log_->AppendAndWait({{p_, MakeBatch("x")}})), 1);
  const auto taken = log_->AppendAndWait(
      {{p_, Batch({7, 0}, 0)}, {p_, Batch({7, 0}, 1)}, {other_, Batch({7, 0}, 0)}});
  ASSERT_TRUE(taken.ok()) << taken.error().ToString();
  EXPECT_THAT(taken->base_offsets, ElementsAre(Offset{0}, Offset{2}, Offset{0}));
}

TEST_F(LogProducersTest, KnowsItsProducersAfterClosingAndAfterAPowerLoss) {
  ASSERT_TRUE(Send({7, 2}, 0, 3).ok());
  ASSERT_TRUE(Send({9, 0}, 0).ok());
  CloseAndOpen();
  ASSERT_EQ(OffsetOf(Send({7, 2}, 0, 3)), 0);
  ASSERT_EQ(OffsetOf(Send({7, 2}, 3)), 4);  // behind the checkpoint
  LosePower();
  EXPECT_EQ(log_->Stats().recovered_frames, 1u);
  EXPECT_EQ(OffsetOf(Send({7, 2}, 0, 3)), 0);
  EXPECT_EQ(OffsetOf(Send({9, 0}, 0)), 3);
  EXPECT_EQ(OffsetOf(Send({7, 2}, 3)), 4);
  EXPECT_EQ(ProblemOf(Send({7, 2}, 5)), AppendProblem::kOutOfOrderSequence);
  EXPECT_EQ(ProblemOf(Send({7, 1}, 4)), AppendProblem::kInvalidProducerEpoch);
  EXPECT_EQ(OffsetOf(Send({7, 2}, 4)), 5);
}

TEST_F(LogProducersTest, ForgetsAProducerThatWasIdleForADay) {
  ASSERT_TRUE(Send({7, 0}, 0).ok());
  clock_.Advance(std::chrono::hours(12));
  ASSERT_TRUE(Send({8, 0}, 0).ok());
  clock_.Advance(std::chrono::hours(13));
  log_->RunOnce(/*background=*/true);
  EXPECT_EQ(OffsetOf(Send({7, 0}, 100)), 2);
  EXPECT_EQ(OffsetOf(Send({8, 0}, 0)), 1);
  CloseAndOpen();
  EXPECT_EQ(OffsetOf(Send({7, 0}, 100)), 2);
  EXPECT_EQ(ProblemOf(Send({7, 0}, 0)), AppendProblem::kOutOfOrderSequence);
}

TEST_F(LogProducersTest, RefusesWhatNoProducerMaySend) {
  const auto code = [&](std::string batch) {
    const auto appended = log_->AppendAndWait({{p_, std::move(batch)}});
    return appended.ok() ? Code::kInternal : appended.error().code();
  };
  EXPECT_EQ(code(Batch({7, -1}, 0)), Code::kInvalidArgument);
  EXPECT_EQ(code(Batch({7, 0}, -1)), Code::kInvalidArgument);
  EXPECT_EQ(code(MakeProducerBatch({}, -1, "x", 1, /*transactional=*/true)),
            Code::kInvalidArgument);
  EXPECT_EQ(code(MarkerBatch({7, 0}, TransactionOutcome::kCommit, 0, {1})), Code::kInvalidArgument);
  // Fewer records than offsets: what compaction leaves, and nobody sends.
  std::string sparse = MakeBatch("x");
  sparse[26] = 5;
  const uint32_t crc = ByteSwap(Crc32c(std::string_view(sparse).substr(21)));
  std::memcpy(sparse.data() + 17, &crc, 4);
  EXPECT_EQ(code(sparse), Code::kInvalidArgument);
  EXPECT_EQ(End(), 0);
}

}  // namespace
}  // namespace millrace::log::log_producers_test
