// Transactions: nothing of one is seen by readers of committed records before it has ended, nothing
// ever when it was aborted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/testing.h"

namespace millrace::log::log_transactions_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Producer kA{7, 0}, kB{8, 0};
constexpr auto kCommit = TransactionOutcome::kCommit;
constexpr auto kAbort = TransactionOutcome::kAbort;

class LogTransactionsTest : public ::testing::Test {
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
  Result<Appended> Send(Producer producer, std::string_view text, bool transactional = true) {
    return SendTo(p_, producer, text, transactional);
  }
  Result<Appended> SendTo(PartitionId p, Producer producer, std::string_view text,
                          bool transactional = true) {
    int32_t& sequence = sequences_[{p, producer}];
    auto appended =
        log_->AppendAndWait({{p, MakeProducerBatch(producer, sequence, text, 1, transactional)}});
    if (appended.ok()) ++sequence;
    return appended;
  }
  void Plain(std::string_view text) {
    ASSERT_TRUE(log_->AppendAndWait({{p_, MakeBatch(text)}}).ok());
  }
  Result<Appended> End(Producer producer, TransactionOutcome outcome) {
    return log_->AppendMarkersAndWait({producer, outcome, 0, {p_}});
  }
  Cut::End Ends(PartitionId p) { return *log_->DurableCut()->Find(p); }
  int64_t Stable() { return Ends(p_).stable.value; }
  // Without the "/0" of MakeBatch. Small reads, so that every one begins somewhere else.
  std::vector<std::string> Committed(size_t bytes_max = 1) {
    std::vector<std::string> values;
    Offset from = Ends(p_).start;
    for (;;) {
      const auto read =
          log_->Read(p_, {.from = from, .bytes_max = bytes_max, .committed_only = true});
      EXPECT_TRUE(read.ok()) << read.error().ToString();
      if (!read.ok() || read->next == from) return values;
      for (std::string& value : Values(*read)) values.push_back(value.substr(0, value.size() - 2));
      from = read->next;
    }
  }
  std::vector<std::tuple<int64_t, int64_t, int64_t>> Aborted(int64_t from, int64_t to) {
    std::vector<std::tuple<int64_t, int64_t, int64_t>> found;
    const auto aborted = log_->AbortedTransactions(p_, {from}, {to});
    EXPECT_TRUE(aborted.ok()) << aborted.error().ToString();
    for (const AbortedTransaction& t : *aborted) {
      found.emplace_back(t.producer_id, t.first.value, t.last.value);
    }
    return found;
  }

  std::unique_ptr<FaultyFiles> files_ = std::make_unique<FaultyFiles>();
  ManualClock clock_{Micros{1'000'000}};
  LogOptions options_ = SmallOptions(*files_, clock_);
  std::unique_ptr<Log> log_;
  PartitionId p_, other_;
  std::map<std::pair<PartitionId, Producer>, int32_t> sequences_;
};

TEST_F(LogTransactionsTest, HoldsReadersOfCommittedRecordsBackWhileATransactionIsOpen) {
  Plain("a");
  EXPECT_EQ(Stable(), 1);
  ASSERT_TRUE(Send(kA, "b").ok());
  Plain("c");
  ASSERT_TRUE(Send(kA, "d").ok());
  EXPECT_EQ(Stable(), 1);
  EXPECT_EQ(Ends(p_).end, Offset{4});
  EXPECT_THAT(Committed(), ElementsAre("a"));
  const ReadResult read = log_->Read(p_, {.from = {0}, .committed_only = true}).value();
  EXPECT_EQ(read.next, Offset{1});
  EXPECT_EQ(read.stable, Offset{1});
  EXPECT_EQ(read.end, Offset{4});
  // Others read on.
  EXPECT_THAT(Values(log_->Read(p_, {}).value()), ElementsAre("a/0", "b/0", "c/0", "d/0"));
  const Appended marker = End(kA, kCommit).value();
  EXPECT_THAT(marker.base_offsets, ElementsAre(Offset{4}));
  EXPECT_EQ(Stable(), 5);
  EXPECT_THAT(Committed(), ElementsAre("a", "b", "c", "d"));
}

TEST_F(LogTransactionsTest, LeavesOutWhatWasAborted) {
  ASSERT_TRUE(Send(kA, "a1").ok());
  ASSERT_TRUE(Send(kB, "b1").ok());
  Plain("x");
  ASSERT_TRUE(End(kA, kAbort).ok());
  ASSERT_TRUE(Send(kA, "a2").ok());
  EXPECT_EQ(Stable(), 1);
  ASSERT_TRUE(End(kB, kCommit).ok());
  EXPECT_EQ(Stable(), 4);
  ASSERT_TRUE(End(kA, kCommit).ok());
  EXPECT_EQ(Stable(), 7);
  for (const size_t bytes_max : {1, 150, 100'000}) {
    EXPECT_THAT(Committed(bytes_max), ElementsAre("b1", "x", "a2")) << bytes_max;
  }
  EXPECT_THAT(Aborted(0, 7), ElementsAre(std::tuple(7, 0, 3)));
}

TEST_F(LogTransactionsTest, FindsTheAbortedTransactionsThatOverlapARange) {
  ASSERT_TRUE(Send(kA, "long").ok());  // 0 … 7
  ASSERT_TRUE(Send(kB, "b").ok());     // 1 … 2
  ASSERT_TRUE(End(kB, kAbort).ok());
  ASSERT_TRUE(Send(kB, "b").ok());  // 3 … 5
  ASSERT_TRUE(Send(kB, "b").ok());
  ASSERT_TRUE(End(kB, kAbort).ok());
  Plain("x");
  ASSERT_TRUE(End(kA, kAbort).ok());
  Plain("y");
  ASSERT_TRUE(Send(kB, "b").ok());  // 9 … 10
  ASSERT_TRUE(End(kB, kAbort).ok());
  using T = std::tuple<int64_t, int64_t, int64_t>;
  const T first{8, 1, 2}, second{8, 3, 5}, all{7, 0, 7}, last{8, 9, 10};
  EXPECT_THAT(Aborted(0, 11), ElementsAre(first, second, all, last));
  EXPECT_THAT(Aborted(0, 1), ElementsAre(all));
  EXPECT_THAT(Aborted(2, 3), ElementsAre(first, all));
  EXPECT_THAT(Aborted(3, 4), ElementsAre(second, all));
  EXPECT_THAT(Aborted(6, 9), ElementsAre(all));
  EXPECT_THAT(Aborted(8, 9), IsEmpty());
  EXPECT_THAT(Aborted(8, 10), ElementsAre(last));
  EXPECT_THAT(Aborted(11, 100), IsEmpty());
}

TEST_F(LogTransactionsTest, EndsInManyPartitionsInOneStep) {
  ASSERT_TRUE(Send(kA, "a").ok());
  ASSERT_TRUE(SendTo(other_, kA, "a").ok());
  std::vector<std::pair<int64_t, int64_t>> seen;
  log_->SetDurableListener(
      [&](FrameSequence) { seen.emplace_back(Ends(p_).stable.value, Ends(other_).stable.value); });
  ASSERT_TRUE(log_->AppendMarkersAndWait({kA, kCommit, 3, {p_, other_}}).ok());
  log_->SetDurableListener(nullptr);
  EXPECT_THAT(seen, ElementsAre(std::pair<int64_t, int64_t>(2, 2)));
}

TEST_F(LogTransactionsTest, KnowsItsTransactionsAfterClosingAndAfterAPowerLoss) {
  ASSERT_TRUE(Send(kA, "a1").ok());
  ASSERT_TRUE(End(kA, kAbort).ok());
  ASSERT_TRUE(Send(kA, "a2").ok());
  CloseAndOpen();
  EXPECT_EQ(log_->Stats().recovered_frames, 0u);
  EXPECT_EQ(Stable(), 2);
  ASSERT_TRUE(End(kA, kAbort).ok());
  ASSERT_TRUE(Send(kA, "a3").ok());
  ASSERT_TRUE(Send(kB, "b1").ok());
  ASSERT_TRUE(End(kA, kCommit).ok());
  for (int i = 0; i < 3; ++i) {
    LosePower();
    EXPECT_EQ(Stable(), 5);
    EXPECT_THAT(Committed(), ElementsAre("a3"));
    EXPECT_THAT(Aborted(0, 7), ElementsAre(std::tuple(7, 0, 1), std::tuple(7, 2, 3)));
  }
  ASSERT_TRUE(End(kB, kCommit).ok());
  EXPECT_THAT(Committed(), ElementsAre("a3", "b1"));
}

TEST_F(LogTransactionsTest, LeavesOutWhatWasAbortedInOtherSegmentsThanItsMarker) {
  std::vector<std::string> expected;
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(Send(i % 2 == 0 ? kA : kB, "aborted").ok());
    const std::string text = "plain " + std::to_string(i);
    Plain(text);
    expected.push_back(text);
    if (i % 10 == 9) {
      ASSERT_TRUE(End(kA, kAbort).ok());
    }
    if (i % 14 == 13) {
      ASSERT_TRUE(End(kB, kAbort).ok());
    }
    if (i % 7 == 0) log_->RunOnce(/*background=*/true);
  }
  ASSERT_TRUE(End(kA, kAbort).ok());
  ASSERT_TRUE(End(kB, kAbort).ok());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Committed(1), expected);
    EXPECT_EQ(Committed(700), expected);
    EXPECT_TRUE(log_->damage().empty());
    i == 0 ? LosePower() : CloseAndOpen();
  }
}

TEST_F(LogTransactionsTest, FencesAProducerByAMarkerOfAHigherEpoch) {
  ASSERT_TRUE(Send(kA, "a").ok());
  ASSERT_TRUE(End({7, 1}, kAbort).ok());
  EXPECT_EQ(Stable(), 2);
  EXPECT_EQ(AppendProblemOf(Send(kA, "late").error()), AppendProblem::kInvalidProducerEpoch);
  EXPECT_EQ(AppendProblemOf(End(kA, kCommit).error()), AppendProblem::kInvalidProducerEpoch);
  CloseAndOpen();
  EXPECT_EQ(AppendProblemOf(Send(kA, "late").error()), AppendProblem::kInvalidProducerEpoch);
  const auto too_early =
      log_->AppendAndWait({{p_, MakeProducerBatch({7, 1}, 1, "x", 1, /*transactional=*/true)}});
  EXPECT_EQ(AppendProblemOf(too_early.error()), AppendProblem::kOutOfOrderSequence);
  EXPECT_TRUE(Send({7, 1}, "next").ok());
}

TEST_F(LogTransactionsTest, CountsOnBehindAMarkerOfTheSameEpoch) {
  ASSERT_TRUE(Send(kA, "a").ok());
  ASSERT_TRUE(End(kA, kCommit).ok());
  ASSERT_TRUE(Send(kA, "b").ok());
  const auto again =
      log_->AppendAndWait({{p_, MakeProducerBatch(kA, 0, "a", 1, /*transactional=*/true)}});
  EXPECT_EQ(again.value().base_offsets[0], Offset{0});
  EXPECT_EQ(Stable(), 2);
}

TEST_F(LogTransactionsTest, RefusesABatchOutsideItsProducersOpenTransaction) {
  ASSERT_TRUE(Send(kA, "a").ok());
  EXPECT_EQ(AppendProblemOf(Send(kA, "b", /*transactional=*/false).error()),
            AppendProblem::kInvalidTransactionState);
  ASSERT_TRUE(End(kA, kCommit).ok());
  EXPECT_TRUE(Send(kA, "b", /*transactional=*/false).ok());
}

TEST_F(LogTransactionsTest, TakesAMarkerWhereNothingIsOpen) {
  ASSERT_TRUE(End(kA, kAbort).ok());
  ASSERT_TRUE(Send(kA, "a").ok());
  ASSERT_TRUE(End(kA, kCommit).ok());
  ASSERT_TRUE(End(kA, kAbort).ok());  // sent again after a restart of its coordinator
  EXPECT_EQ(Stable(), 4);
  EXPECT_THAT(Committed(), ElementsAre("a"));
  EXPECT_THAT(Aborted(0, 4), IsEmpty());
}

TEST_F(LogTransactionsTest, RefusesMarkersThatEndNothing) {
  const auto code = [&](TransactionEnd end) {
    const auto appended = log_->AppendMarkersAndWait(std::move(end));
    return appended.ok() ? Code::kInternal : appended.error().code();
  };
  EXPECT_EQ(code({kA, kCommit, 0, {}}), Code::kInvalidArgument);
  EXPECT_EQ(code({{-1, 0}, kCommit, 0, {p_}}), Code::kInvalidArgument);
  EXPECT_EQ(code({{7, -1}, kCommit, 0, {p_}}), Code::kInvalidArgument);
  EXPECT_EQ(code({kA, kCommit, 0, {p_, {p_.topic, 2}}}), Code::kNotFound);
}

TEST_F(LogTransactionsTest, ListsOpenTransactionsWithTheirAge) {
  clock_.Advance(std::chrono::microseconds(500));
  ASSERT_TRUE(SendTo(other_, kA, "a").ok());
  clock_.Advance(std::chrono::microseconds(500));
  ASSERT_TRUE(SendTo(other_, kA, "a").ok());
  CloseAndOpen();
  const std::vector<OpenTransaction> open = log_->OpenTransactions();
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].partition, other_);
  EXPECT_EQ(open[0].producer, kA);
  EXPECT_EQ(open[0].first, Offset{0});
  EXPECT_EQ(open[0].since, Micros{1'000'500});
  ASSERT_TRUE(log_->AppendMarkersAndWait({kA, kAbort, 0, {other_}}).ok());
  EXPECT_TRUE(log_->OpenTransactions().empty());
}

TEST_F(LogTransactionsTest, DoesNotForgetAProducerWhileItsTransactionIsOpen) {
  ASSERT_TRUE(Send(kA, "a").ok());
  clock_.Advance(std::chrono::hours(48));
  log_->RunOnce(/*background=*/true);
  EXPECT_EQ(log_->OpenTransactions().size(), 1u);
  ASSERT_TRUE(End(kA, kAbort).ok());
  EXPECT_THAT(Aborted(0, 2), ElementsAre(std::tuple(7, 0, 1)));
}

// Both copies of the list are gone: what may have been aborted is reported as lost, never shown.
TEST_F(LogTransactionsTest, ShowsNoTransactionWhoseEndIsLostToDamage) {
  Plain("a");
  ASSERT_TRUE(Send(kA, "aborted").ok());
  ASSERT_TRUE(End(kA, kAbort).ok());
  ASSERT_TRUE(log_->Close().ok());
  log_.reset();
  const std::string path = "data/log/t/0/00000000000000000000.aborted";
  ASSERT_TRUE(files_->FlipByte(path, 25));
  Open();
  EXPECT_THAT(Committed(), ElementsAre("a"));
  EXPECT_TRUE(log_->damage().empty()) << "the second copy is whole";
  log_.reset();
  const uint64_t copy_bytes = (files_->ReadAll(path).value().size() - 16) / 2;
  ASSERT_TRUE(files_->FlipByte(path, 25 + copy_bytes));
  for (int i = 0; i < 2; ++i) {
    Open();
    EXPECT_THAT(Committed(), ElementsAre("a"));
    EXPECT_EQ(log_->damage().size(), 2u) << "the list, and the batch that was read";
    EXPECT_EQ(log_->AbortedTransactions(p_, {0}, {3}).error().code(), Code::kCorruption);
    // It stays so when the list is written again.
    ASSERT_TRUE(Send(kB, "aborted").ok());
    ASSERT_TRUE(End(kB, kAbort).ok());
    ASSERT_TRUE(log_->Close().ok());
    log_.reset();
  }
}

TEST_F(LogTransactionsTest, ForgetsAbortedTransactionsWithTheirSegments) {
  TopicConfig config;
  config.partitions = 2;
  config.retention_bytes = 1;
  ASSERT_TRUE(log_->AlterTopic(p_.topic, config).ok());
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(Send(kA, "aborted").ok());
    ASSERT_TRUE(End(kA, kAbort).ok());
  }
  log_->RunOnce(/*background=*/true);
  ASSERT_TRUE(log_->SetFreeFloor(p_, kOffsetMax).ok());
  log_->RunOnce(/*background=*/true);
  log_->RunOnce(/*background=*/true);
  const Offset start = Ends(p_).start;
  ASSERT_GT(start, Offset{0});
  for (const auto& [producer, first, last] : Aborted(0, 80)) EXPECT_GE(last, start.value);
  EXPECT_EQ(Committed(), std::vector<std::string>());
  size_t files = 0;
  for (const std::string& path : files_->Paths()) files += path.ends_with(".aborted");
  EXPECT_EQ(files, 1u);
  CloseAndOpen();
  EXPECT_EQ(Aborted(0, 80).size(), static_cast<size_t>((81 - start.value) / 2));
}

}  // namespace
}  // namespace millrace::log::log_transactions_test
