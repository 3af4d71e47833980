// Transactions over two partitions, with the disk failing at its first, second, third, … call: what
// was committed is there, once, in both partitions or in none; what was aborted is nowhere to be
// read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/testing.h"

namespace millrace::log::log_transactions_loss_test {
namespace {

constexpr int64_t kProducer = 7;

// One transaction, as its client saw it.
struct Transaction {
  enum class End { kOpen, kCommitted, kCommitUnknown, kAborted };
  std::vector<std::string> acknowledged;
  End end = End::kOpen;
};

struct History {
  std::vector<Transaction> transactions;
  std::vector<std::string> sent_again;  // that were answered with another offset
};

LogOptions Options(FaultyFiles& files, ManualClock& clock) {
  LogOptions options = SmallOptions(files, clock);
  options.segment_bytes = 700;
  return options;
}

// Transactions of up to three batches to both partitions; every third is aborted. A session begins
// by fencing the one before, which aborts what that left open. Goes on after errors.
History RunWorkload(FaultyFiles& files, ManualClock& clock) {
  History history;
  int number = 0;
  for (int16_t session = 0; session < 2; ++session) {
    auto opened = Log::Open(Options(files, clock));
    if (!opened.ok()) continue;
    Log& log = **opened;
    if (!log.FindTopic("t") && !log.CreateTopic("t", {.partitions = 2}).ok()) continue;
    const TopicId topic = log.FindTopic("t")->id;
    const std::vector<PartitionId> both{{topic, 0}, {topic, 1}};
    const Producer producer{kProducer, session};
    if (!log.AppendMarkersAndWait({producer, TransactionOutcome::kAbort, 0, both}).ok()) continue;
    for (Transaction& transaction : history.transactions) {
      if (transaction.end == Transaction::End::kOpen) transaction.end = Transaction::End::kAborted;
    }
    int32_t sequence = 0;
    Transaction current;
    for (int i = 0; i < 14; ++i) {
      clock.Advance(std::chrono::microseconds(10));
      const std::string value = "value " + std::to_string(number++);
      const std::string batch = MakeProducerBatch(producer, sequence, value, 1, true);
      const AppendRequest request{{both[0], batch}, {both[1], batch}};
      const auto appended = log.AppendAndWait(request);
      if (appended.ok()) {
        current.acknowledged.push_back(value + "/0");
        ++sequence;
        const auto again = log.AppendAndWait(request);
        if (again.ok() && again->base_offsets != appended->base_offsets) {
          history.sent_again.push_back(value);
        }
      }
      if (i % 5 == 4) log.RunOnce(/*background=*/true);
      if (i % 4 != 3) continue;
      const bool commit = i % 3 != 0;
      const auto ended = log.AppendMarkersAndWait(
          {producer, commit ? TransactionOutcome::kCommit : TransactionOutcome::kAbort, 0, both});
      if (ended.ok()) {
        current.end = commit ? Transaction::End::kCommitted : Transaction::End::kAborted;
      } else if (ended.error().code() == Code::kIo) {
        // An abort whose outcome is unknown aborts at the latest when the next session fences.
        current.end = commit ? Transaction::End::kCommitUnknown : Transaction::End::kAborted;
      } else {
        continue;  // it stays open
      }
      history.transactions.push_back(std::exchange(current, {}));
    }
    history.transactions.push_back(current);
  }
  return history;
}

void Check(FaultyFiles& files, const History& history) {
  ManualClock clock{Micros{1'000'000}};
  const auto opened = Log::Open(Options(files, clock));
  ASSERT_TRUE(opened.ok()) << opened.error().ToString();
  Log& log = **opened;
  EXPECT_TRUE(log.damage().empty()) << log.damage()[0].range.reason;
  EXPECT_TRUE(history.sent_again.empty()) << history.sent_again[0] << " was stored twice";
  const auto topic = log.FindTopic("t");
  if (!topic) {
    for (const Transaction& transaction : history.transactions) {
      EXPECT_TRUE(transaction.acknowledged.empty());
    }
    return;
  }
  for (const bool fenced : {false, true}) {
    const auto first = ReadCommittedValues(log, {topic->id, 0}, {0}, 1);
    const auto second = ReadCommittedValues(log, {topic->id, 1}, {0}, 1);
    ASSERT_TRUE(first.ok() && second.ok());
    ASSERT_EQ(*first, *second) << "a transaction is to be seen in part";
    size_t at = 0;
    for (const Transaction& transaction : history.transactions) {
      const bool there = transaction.end == Transaction::End::kCommitted ||
                         (transaction.end == Transaction::End::kCommitUnknown &&
                          !transaction.acknowledged.empty() && at < first->size() &&
                          (*first)[at] == transaction.acknowledged[0]);
      if (!there) continue;
      for (const std::string& value : transaction.acknowledged) {
        ASSERT_LT(at, first->size()) << value;
        ASSERT_EQ((*first)[at++], value);
      }
    }
    ASSERT_EQ(at, first->size()) << "read without a commit: " << (*first)[at];
    if (fenced) break;
    const auto fence = log.AppendMarkersAndWait(
        {{kProducer, 100}, TransactionOutcome::kAbort, 0, {{topic->id, 0}, {topic->id, 1}}});
    ASSERT_TRUE(fence.ok()) << fence.error().ToString();
    EXPECT_TRUE(log.OpenTransactions().empty());
    const Cut::End ends = *log.DurableCut()->Find({topic->id, 0});
    EXPECT_EQ(ends.stable, ends.end);
  }
}

TEST(LogTransactionsLoss, ShowsWholeCommittedTransactionsAtEveryPoint) {
  int points = 0;
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    FaultyFiles files;
    ManualClock clock{Micros{1000}};
    files.LosePowerAt(nth);
    const History history = RunWorkload(files, clock);
    Check(*files.AfterPowerLoss({}), history);
    Check(*files.AfterPowerLoss({.keep_some = true, .seed = nth}), history);
    Check(*files.AfterCrash(), history);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
    if (!files.Fired()) break;
    ++points;
  }
  EXPECT_GT(points, 200);
}

void FailEveryCall(Code code, const std::string& message) {
  int points = 0;
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    FaultyFiles files;
    ManualClock clock{Micros{1000}};
    files.FailCallAt(nth, Error(code, "{}", message));
    const History history = RunWorkload(files, clock);
    Check(*files.AfterPowerLoss({.keep_some = true, .seed = nth}), history);
    Check(*files.AfterCrash(), history);
    if (::testing::Test::HasFatalFailure() || ::testing::Test::HasNonfatalFailure()) return;
    if (!files.Fired()) break;
    ++points;
  }
  EXPECT_GT(points, 200);
}

TEST(LogTransactionsLoss, HoldsWhenAnyCallFailsWithAnIoError) {
  FailEveryCall(Code::kIo, "Input/output error");
}

TEST(LogTransactionsLoss, HoldsWhenAnyCallFindsTheDiskFull) {
  FailEveryCall(Code::kOverloaded, "No space left on device");
}

}  // namespace
}  // namespace millrace::log::log_transactions_loss_test
