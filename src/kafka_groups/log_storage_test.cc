#include "kafka_groups/log_storage.h"

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/faulty_files.h"
#include "kafka_groups/producer_ids.h"
#include "kafka_groups/skip_producer_ids.h"
#include "kafka_groups/transaction.h"
#include "kafka_groups/transaction_coordinator.h"

namespace millrace::kafka_groups::log_storage_test {
namespace {

class LogStorageTest : public ::testing::Test {
 protected:
  void Open() {
    log_.reset();
    log::LogOptions options;
    options.files = &files_;
    options.clock = &clock_;
    options.directory = "data";
    options.write_ahead_bytes_max = 64 << 10;
    options.segment_bytes = 2 << 10;
    options.request_bytes_max = 8 << 10;
    options.frame_bytes_target = 8 << 10;
    options.tail_bytes_max = 32 << 10;
    options.direct_fill_bytes_min = 1;
    options.disk_reserve_bytes = 0;
    options.manual = true;
    auto log = log::Log::Open(options);
    ASSERT_TRUE(log.ok()) << log.error().ToString();
    log_ = *std::move(log);
    auto storage = LogStorage::Open(*log_, "__test");
    ASSERT_TRUE(storage.ok()) << storage.error().ToString();
    storage_ = *std::move(storage);
  }
  StoragePosition AppendDurably(std::string record) {
    std::optional<StoragePosition> position;
    EXPECT_TRUE(storage_
                    ->Append(std::move(record),
                             [&](Result<StoragePosition> done) {
                               ASSERT_TRUE(done.ok()) << done.error().ToString();
                               position = *done;
                             })
                    .ok());
    EXPECT_FALSE(position) << "done ran inside Append";
    log_->RunOnce(false);
    EXPECT_TRUE(position);
    return position.value_or(StoragePosition{-1});
  }
  std::vector<std::string> ReadAll() {
    std::vector<std::string> out;
    StoragePosition last{-1};
    const Status read = storage_->ReadAll([&](StoragePosition position, std::string_view record) {
      EXPECT_GT(position, last);
      last = position;
      out.emplace_back(record);
      return Ok();
    });
    EXPECT_TRUE(read.ok()) << read.error().ToString();
    return out;
  }

  FaultyFiles files_;
  ManualClock clock_{Micros{1'000'000}};
  std::unique_ptr<LogStorage> storage_;
  std::unique_ptr<log::Log> log_;  // goes first
};

TEST_F(LogStorageTest, ReadsBackWhatWasAppendedInOrderAfterARestart) {
  Open();
  const StoragePosition a = AppendDurably("a");
  const StoragePosition b = AppendDurably("");
  EXPECT_LT(a, b);
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{"a", ""}));
  Open();
  AppendDurably("c");
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{"a", "", "c"}));
}

TEST_F(LogStorageTest, LetsTrimmedRecordsGoAndKeepsTheOthers) {
  Open();
  StoragePosition keep_from;
  for (int i = 0; i < 100; ++i) {
    const StoragePosition position = AppendDurably(std::string(100, 'x') + std::to_string(i));
    log_->RunOnce(true);
    if (i == 80) keep_from = position;
  }
  ASSERT_EQ(ReadAll().size(), 100u);
  ASSERT_TRUE(storage_->Trim(keep_from).ok());
  for (int i = 0; i < 5; ++i) log_->RunOnce(true);
  const auto left = ReadAll();
  EXPECT_LT(left.size(), 50u);
  ASSERT_GE(left.size(), 20u);
  EXPECT_EQ(left.back(), std::string(100, 'x') + "99");
}

TEST_F(LogStorageTest, LeavesOutWhatIsDamagedAndSaysSo) {
  Open();
  for (int i = 0; i < 100; ++i) AppendDurably(std::string(100, 'x') + std::to_string(i));
  log_->RunOnce(true);
  ASSERT_TRUE(log_->Close().ok());
  EXPECT_FALSE(storage_->lost_records());
  ASSERT_TRUE(files_.FlipByte("data/log/__test/0/00000000000000000000.log", 150));
  Open();
  const auto left = ReadAll();
  EXPECT_EQ(left.size(), 99u);
  EXPECT_EQ(left.back(), std::string(100, 'x') + "99");
  EXPECT_TRUE(storage_->lost_records());
  ASSERT_EQ(log_->damage().size(), 1u);
  EXPECT_EQ(log_->damage()[0].topic, "__test");
}

TEST_F(LogStorageTest, ProducerIdsAreNotGivenOutAgainWhereRecordsWereLost) {
  const auto first_id = [&] {
    Turns turns;
    DurableTable table(turns, *storage_, {});
    EXPECT_TRUE(table.Load().ok());
    ProducerIds ids(table);
    int64_t id = -1;
    {
      const Turns::Turn turn(turns);
      EXPECT_TRUE(ids.Load().ok());
      ids.Next([&](Result<int64_t> next) { id = *next; });
    }
    while (log_->RunOnce(false)) {
    }
    return id;
  };
  Open();
  EXPECT_EQ(first_id(), 0);
  EXPECT_EQ(first_id(), kProducerIdBlock);
  log_->RunOnce(true);
  ASSERT_TRUE(log_->Close().ok());
  ASSERT_TRUE(files_.FlipByte("data/log/__test/0/00000000000000000000.log", 80));
  Open();
  EXPECT_GE(first_id(), kProducerIdsSkipped);
}

TEST_F(LogStorageTest, ACopyOfALogGivesOutOtherProducerIds) {
  Open();
  ASSERT_TRUE(SkipProducerIds(*log_).ok());
  auto storage = LogStorage::Open(*log_, kTransactionStateTopic);
  ASSERT_TRUE(storage.ok());
  Turns turns;
  DurableTable table(turns, **storage, {});
  ASSERT_TRUE(table.Load().ok());
  ASSERT_NE(table.Find(kProducerIdsKey), nullptr);
  EXPECT_EQ(GetFixed<int64_t>(table.Find(kProducerIdsKey)->data()), kProducerIdsSkipped);
}

TEST_F(LogStorageTest, RefusesARecordLargerThanARequest) {
  Open();
  const Status refused =
      storage_->Append(std::string(64 << 10, 'x'), [](Result<StoragePosition>) { FAIL(); });
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kTooLarge);
}

TEST_F(LogStorageTest, TakesRecordsWhileTheDiskIsAboveItsHighMark) {
  Open();
  AppendDurably("a");
  log_.reset();
  // Opened again with a mark that any disk is above.
  log::LogOptions options;
  options.files = &files_;
  options.clock = &clock_;
  options.directory = "data";
  options.write_ahead_bytes_max = 64 << 10;
  options.segment_bytes = 2 << 10;
  options.request_bytes_max = 8 << 10;
  options.frame_bytes_target = 8 << 10;
  options.tail_bytes_max = 32 << 10;
  options.disk_reserve_bytes = uint64_t{1} << 60;
  options.manual = true;
  auto log = log::Log::Open(options);
  ASSERT_TRUE(log.ok()) << log.error().ToString();
  log_ = *std::move(log);
  log_->RunOnce(true);
  auto storage = LogStorage::Open(*log_, "__test");
  ASSERT_TRUE(storage.ok());
  storage_ = *std::move(storage);
  AppendDurably("b");
  EXPECT_EQ(ReadAll(), (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace millrace::kafka_groups::log_storage_test
