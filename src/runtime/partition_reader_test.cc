#include "runtime/partition_reader.h"

#include <gtest/gtest.h>

#include "log/testing.h"

namespace millrace::runtime::partition_reader_test {
namespace {

// Batches of 100 records of which a read takes one at a time.
class PartitionReaderTest : public testing::Test {
 protected:
  PartitionReaderTest() {
    log_ = log::Log::Open(log::SmallOptions(files_, clock_)).value();
    partition_ = {log_->CreateTopic("t", {}).value().id, 0};
    reader_.emplace(*log_, partition_, partition_, log::Offset{0});
  }

  log::FrameSequence Append(int64_t producer = -1) {
    std::string batch = log::MakeBatch("value", 100);
    if (producer >= 0) {
      batch = log::MakeProducerBatch({producer, 0}, sequences_[producer], "value", 100,
                                     /*transactional=*/true);
      sequences_[producer] += 100;
    }
    return log_->AppendAndWait({{partition_, std::move(batch)}}).value().frame;
  }
  log::FrameSequence End(int64_t producer, log::TransactionOutcome outcome) {
    return log_->AppendMarkersAndWait({{producer, 0}, outcome, 0, {partition_}}).value().frame;
  }
  log::Offset stable() const { return log_->DurableCut()->Find(partition_)->stable; }
  // Reads on until so many records are buffered.
  void Fill(int64_t records) { ASSERT_TRUE(reader_->Fill(stable(), SIZE_MAX, records).ok()); }
  void FillBytes(size_t bytes) { ASSERT_TRUE(reader_->Fill(stable(), bytes, INT64_MAX).ok()); }

  FaultyFiles files_;
  ManualClock clock_{Micros{1'000'000}};
  std::unique_ptr<log::Log> log_;
  log::PartitionId partition_;
  std::optional<PartitionReader> reader_;
  std::map<int64_t, int32_t> sequences_;
};

constexpr log::FrameSequence kAll{UINT64_MAX - 1};

TEST_F(PartitionReaderTest, TakesATransactionWithTheFrameOfItsMarker) {
  const log::FrameSequence before = Append();
  Append(1);
  const log::FrameSequence between = Append();
  Append(1);
  const log::FrameSequence marker = End(1, log::TransactionOutcome::kCommit);
  const log::FrameSequence after = Append();
  Fill(1000);
  EXPECT_EQ(reader_->Take(before, std::nullopt).records, 100);
  EXPECT_EQ(reader_->first_visible(), marker);
  // What stands behind its first batch waits with it.
  EXPECT_EQ(reader_->Take(between, std::nullopt).records, 0);
  EXPECT_EQ(reader_->Take(marker, std::nullopt).records, 300);
  EXPECT_EQ(reader_->Take(after, std::nullopt).records, 100);
  EXPECT_TRUE(reader_->empty());
}

TEST_F(PartitionReaderTest, ATransactionWhoseMarkerIsNotReadIsOpen) {
  Append(1);
  Append(1);
  const log::FrameSequence marker = End(1, log::TransactionOutcome::kCommit);
  Append();
  FillBytes(1);
  EXPECT_FALSE(reader_->Reached(stable()));
  EXPECT_EQ(reader_->first_visible(), PartitionReader::kOpen);
  EXPECT_EQ(reader_->Take(kAll, std::nullopt).records, 0);
  FillBytes(SIZE_MAX);
  EXPECT_TRUE(reader_->Reached(stable()));
  EXPECT_EQ(reader_->first_visible(), marker);
  EXPECT_EQ(reader_->Take(marker, std::nullopt).records, 200);
}

TEST_F(PartitionReaderTest, TransactionsOfOneProducerAreTold) {
  Append(1);
  const log::FrameSequence first = End(1, log::TransactionOutcome::kCommit);
  Append(1);
  const log::FrameSequence second = End(1, log::TransactionOutcome::kCommit);
  FillBytes(1);  // of the first without its marker
  FillBytes(SIZE_MAX);
  EXPECT_EQ(reader_->Take(first, std::nullopt).records, 100);
  EXPECT_EQ(reader_->first_visible(), second);
}

TEST_F(PartitionReaderTest, AnAbortedTransactionHoldsNothingBack) {
  Append(1);
  const log::FrameSequence other = Append();
  End(1, log::TransactionOutcome::kAbort);
  Fill(1000);
  const PartitionSlice slice = reader_->Take(other, std::nullopt);
  EXPECT_EQ(slice.records, 100);
  EXPECT_EQ(slice.aborted, 100);
}

TEST_F(PartitionReaderTest, TakesWhatHasEndedThoughItsMarkerStandsBehindAnOpenTransaction) {
  Append(1);
  Append(2);
  End(1, log::TransactionOutcome::kCommit);  // not below the last stable offset
  Fill(1000);
  EXPECT_TRUE(reader_->Reached(stable()));
  EXPECT_EQ(reader_->first_visible(), PartitionReader::kOpen);
  EXPECT_EQ(reader_->Take(PartitionReader::kOpen, stable()).records, 100);
  const log::FrameSequence marker = End(2, log::TransactionOutcome::kCommit);
  Fill(1000);
  EXPECT_EQ(reader_->first_visible(), marker);
  EXPECT_EQ(reader_->Take(marker, stable()).records, 100);
}

TEST_F(PartitionReaderTest, ATransactionThatIsTooLargeIsTakenByFrames) {
  const log::FrameSequence first = Append(1);
  const log::FrameSequence second = Append(1);
  End(1, log::TransactionOutcome::kCommit);
  FillBytes(1);
  reader_->SplitTransactions();
  EXPECT_EQ(reader_->first_visible(), first);
  EXPECT_EQ(reader_->Take(first, std::nullopt).records, 100);
  FillBytes(1);
  reader_->SplitTransactions();
  EXPECT_EQ(reader_->Take(second, std::nullopt).records, 100);
  FillBytes(SIZE_MAX);
  EXPECT_TRUE(reader_->empty());
  EXPECT_TRUE(reader_->Reached(stable()));
}

}  // namespace
}  // namespace millrace::runtime::partition_reader_test
