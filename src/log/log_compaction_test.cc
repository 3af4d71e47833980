// Compaction: of every key the newest record stays, at its offset; nobody loses
// anything else than what a newer record had made useless.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <snappy.h>

#include <map>

#include "base/coding.h"
#include "base/random.h"
#include "log/testing.h"

namespace millrace::log::log_compaction_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

using Pairs = std::vector<std::pair<std::string, std::string>>;

TopicConfig Compacted() {
  TopicConfig config;
  config.compact = true;
  config.delete_retention = std::chrono::hours(1);
  return config;
}

// "key=value", or "key!" for a record that deletes its key; with the offset in
// front.
std::vector<std::string> ReadRecords(const Log& log, PartitionId partition,
                                     bool committed_only = false) {
  std::vector<std::string> records;
  Offset from = log.DurableCut()->Find(partition)->start;
  for (;;) {
    const auto read =
        log.Read(partition, {.from = from, .bytes_max = 300, .committed_only = committed_only});
    EXPECT_TRUE(read.ok()) << read.error().ToString();
    if (!read.ok() || read->next == from) return records;
    EXPECT_THAT(read->damaged, IsEmpty());
    for (const ReadBatch& batch : read->batches) {
      const RecordBatchView view = batch.view();
      EXPECT_EQ(view.last_offset(), batch.last_offset);
      EXPECT_TRUE(view.CheckRecords().ok());
      if (view.is_control() || view.codec() != Codec::kNone) continue;
      RecordCursor cursor = view.records();
      while (cursor.Next()) {
        const RecordView& record = cursor.record();
        const std::string key(record.key.value_or("-"));
        records.push_back(
            fmt::format("{}:{}", record.offset.value,
                        record.value ? key + "=" + std::string(*record.value) : key + "!"));
      }
    }
    from = read->next;
  }
}

class LogCompactionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.segment_bytes = 256;
    options_.tail_bytes_max = 8 << 10;  // what is filled leaves memory, and is read from segments
    Open();
    p_ = {log_->CreateTopic("t", Compacted()).value().id, 0};
    ASSERT_TRUE(log_->SetFreeFloor(p_, kOffsetMax).ok());
  }
  void Open() {
    log_.reset();
    auto log = Log::Open(options_);
    ASSERT_TRUE(log.ok()) << log.error().ToString();
    log_ = *std::move(log);
    const auto topic = log_->FindTopic("t");
    if (!topic) return;
    ASSERT_TRUE(log_->SetFreeFloor({topic->id, 0}, kOffsetMax).ok());
  }
  static std::string Batch(const Pairs& records, Producer producer = {}, int32_t sequence = -1,
                           bool transactional = false) {
    RecordBatchBuilder builder;
    for (const auto& [key, value] : records) {
      if (value == "!") {
        builder.Add(key, std::nullopt, {1000});
      } else {
        builder.Add(key, value, {1000});
      }
    }
    if (producer.id >= 0) builder.SetProducer(producer, sequence, transactional);
    return builder.Finish();
  }
  void Append(const Pairs& records) {
    ASSERT_TRUE(log_->AppendAndWait({{p_, Batch(records)}}).ok());
  }
  // Closes the segment in which the log is, so that compaction may touch it.
  void Roll() {
    ASSERT_TRUE(log_->AppendAndWait({{p_, Batch({{"roll", std::string(250, '.')}})}}).ok());
    log_->RunOnce(/*background=*/true);
  }
  // Without what Roll appends.
  std::vector<std::string> Records(bool committed_only = false) {
    std::vector<std::string> records = ReadRecords(*log_, p_, committed_only);
    std::erase_if(records, [](const std::string& r) { return r.find("roll") != r.npos; });
    return records;
  }

  FaultyFiles files_;
  ManualClock clock_{Micros{1'000'000}};
  LogOptions options_ = SmallOptions(files_, clock_);
  std::unique_ptr<Log> log_;
  PartitionId p_;
};

TEST_F(LogCompactionTest, KeepsTheNewestRecordOfEachKeyAtItsOffset) {
  Append({{"a", "1"}, {"b", "1"}, {"a", "2"}});
  Append({{"c", "1"}});
  Append({{"a", "3"}, {"c", "2"}});
  Roll();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Records(), ElementsAre("1:b=1", "4:a=3", "5:c=2"));
    const ReadResult read = log_->Read(p_, {.from = {0}}).value();
    ASSERT_FALSE(read.batches.empty());
    EXPECT_EQ(read.batches[0].base_offset, Offset{0});
    EXPECT_EQ(read.batches[0].last_offset, Offset{2});
    EXPECT_EQ(read.batches[0].view().record_count(), 1);
    // Offset 3 is gone: a reader goes on behind it.
    EXPECT_EQ(log_->Read(p_, {.from = {3}}).value().batches[0].base_offset, Offset{4});
    EXPECT_GT(log_->Read(p_, {.from = {3}, .until = {4}}).value().next, Offset{3});
    ASSERT_TRUE(log_->Close().ok());
    Open();
  }
  EXPECT_TRUE(log_->damage().empty());
}

TEST_F(LogCompactionTest, NeverPassesTheFloor) {
  ASSERT_TRUE(log_->SetFreeFloor(p_, {2}).ok());
  Append({{"a", "1"}, {"a", "2"}});
  Roll();
  Append({{"a", "3"}, {"a", "4"}});
  Roll();
  Append({{"a", "5"}});
  Roll();
  log_->RunOnce(/*background=*/true);
  EXPECT_THAT(Records(), IsSupersetOf({"3:a=3", "4:a=4", "6:a=5"})) << "not to be taken out yet";
  ASSERT_TRUE(log_->SetFreeFloor(p_, kOffsetMax).ok());
  log_->RunOnce(/*background=*/true);
  EXPECT_THAT(Records(), ElementsAre("6:a=5"));
}

TEST_F(LogCompactionTest, TakesNothingOutUntilTheFloorIsKnown) {
  options_.manual = true;
  log_.reset();
  auto log = Log::Open(options_);
  ASSERT_TRUE(log.ok()) << log.error().ToString();
  log_ = *std::move(log);
  Append({{"a", "1"}, {"a", "2"}});
  Roll();
  Append({{"a", "3"}});
  Roll();
  log_->RunOnce(/*background=*/true);
  EXPECT_THAT(Records(), ElementsAre("0:a=1", "1:a=2", "3:a=3"));
}

TEST_F(LogCompactionTest, LeavesTheActiveSegmentAlone) {
  Append({{"a", "1"}});
  Roll();
  Append({{"a", "2"}});
  Append({{"a", "3"}});
  log_->RunOnce(/*background=*/true);
  EXPECT_THAT(Records(), IsSupersetOf({"2:a=2", "3:a=3"}));
}

TEST_F(LogCompactionTest, LeavesOtherTopicsAlone) {
  const PartitionId other{log_->CreateTopic("other", {}).value().id, 0};
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(log_->AppendAndWait({{other, Batch({{"a", std::to_string(i)}})}}).ok());
    log_->RunOnce(/*background=*/true);
  }
  EXPECT_EQ(ReadRecords(*log_, other).size(), 20u);
  EXPECT_EQ(log_->Stats().segments_compacted, 0u);
}

TEST_F(LogCompactionTest, RemovesADeletionOnlyLongAfterItWasFirstCompacted) {
  Append({{"a", "1"}, {"b", "1"}});
  Append({{"a", "!"}});
  clock_.Advance(std::chrono::hours(10));  // the age of the record does not count
  Roll();
  EXPECT_THAT(Records(), ElementsAre("1:b=1", "2:a!"));
  clock_.Advance(std::chrono::minutes(50));
  Append({{"b", "2"}});
  Roll();
  EXPECT_THAT(Records(), ElementsAre("2:a!", "4:b=2"));
  clock_.Advance(std::chrono::minutes(20));
  Append({{"c", "1"}});
  Roll();
  EXPECT_THAT(Records(), ElementsAre("4:b=2", "6:c=1"));
}

TEST_F(LogCompactionTest, KeepsADeletionWhileAnOlderBatchCannotBeLookedInto) {
  const std::string opaque = Packed(Batch({{"a", "0"}}), Codec::kLz4, "no lz4");
  ASSERT_TRUE(log_->AppendAndWait({{p_, opaque}}).ok());
  Append({{"a", "1"}});
  Append({{"a", "!"}});
  Roll();
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(std::chrono::hours(2));
    Append({{"x", std::to_string(i)}});
    Roll();
  }
  EXPECT_EQ(Records()[0], "2:a!");
  EXPECT_EQ(log_->Read(p_, {.from = {0}}).value().batches[0].bytes.substr(16),
            std::string_view(opaque).substr(16));
}

TEST_F(LogCompactionTest, LooksIntoCompressedBatches) {
  const auto zipped = [](const std::string& plain) {
    std::string packed;
    snappy::Compress(plain.data() + kRecordBatchHeaderBytes, plain.size() - kRecordBatchHeaderBytes,
                     &packed);
    return Packed(plain, Codec::kSnappy, packed);
  };
  const std::string first = zipped(Batch({{"a", "1"}, {"b", "1"}, {"c", "1"}}));
  const std::string second = zipped(Batch({{"a", "2"}, {"d", "1"}}));
  ASSERT_TRUE(log_->AppendAndWait({{p_, first}}).ok());
  ASSERT_TRUE(log_->AppendAndWait({{p_, second}}).ok());
  Append({{"b", "2"}});
  Roll();
  // Out of the first one records went, and the rest is unpacked; the second one stays as it was.
  EXPECT_THAT(Records(), ElementsAre("2:c=1", "5:b=2"));
  const ReadResult read = log_->Read(p_, {.from = {3}}).value();
  EXPECT_EQ(read.batches[0].bytes.substr(16), std::string_view(second).substr(16));
}

TEST_F(LogCompactionTest, NeverPassesAnOpenTransactionAndDropsAbortedOnes) {
  const auto send = [&](const Pairs& records, int32_t sequence) {
    ASSERT_TRUE(log_->AppendAndWait({{p_, Batch(records, {7, 0}, sequence, true)}}).ok());
  };
  const auto end = [&](TransactionOutcome outcome) {
    ASSERT_TRUE(log_->AppendMarkersAndWait({{7, 0}, outcome, 0, {p_}}).ok());
  };
  Append({{"a", "1"}, {"b", "1"}});
  send({{"a", "aborted"}}, 0);
  Append({{"b", "2"}});
  Roll();
  Roll();
  EXPECT_THAT(Records(), ElementsAre("0:a=1", "1:b=1", "2:a=aborted", "3:b=2"));
  end(TransactionOutcome::kAbort);
  send({{"b", "committed"}}, 1);
  end(TransactionOutcome::kCommit);
  Roll();
  Roll();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Records(), ElementsAre("0:a=1", "7:b=committed"));
    EXPECT_THAT(Records(/*committed_only=*/true), ElementsAre("0:a=1", "7:b=committed"));
    // Clients find the markers of what they are told was aborted.
    EXPECT_EQ(log_->AbortedTransactions(p_, {0}, {8}).value().size(), 1u);
    int markers = 0;
    for (Offset from; from < log_->DurableCut()->Find(p_)->end;) {
      const ReadResult read = log_->Read(p_, {.from = from}).value();
      for (const ReadBatch& batch : read.batches) markers += batch.view().marker().has_value();
      from = read.next;
    }
    EXPECT_EQ(markers, 2);
    ASSERT_TRUE(log_->Close().ok());
    Open();
  }
}

TEST_F(LogCompactionTest, ForgetsNoProducerWhoseBatchesAreGone) {
  ASSERT_TRUE(log_->AppendAndWait({{p_, Batch({{"a", "1"}}, {7, 0}, 0)}}).ok());
  Append({{"a", "2"}});
  Roll();
  EXPECT_THAT(Records(), ElementsAre("1:a=2"));
  ASSERT_TRUE(log_->Close().ok());
  Open();
  const auto again = log_->AppendAndWait({{p_, Batch({{"a", "1"}}, {7, 0}, 0)}});
  EXPECT_EQ(again.value().base_offsets[0], Offset{0});
  EXPECT_TRUE(log_->AppendAndWait({{p_, Batch({{"a", "3"}}, {7, 0}, 1)}}).ok());
}

TEST_F(LogCompactionTest, FindsOffsetsByTimeAcrossWhatIsGone) {
  Append({{"a", "1"}});
  clock_.Advance(std::chrono::seconds(1));
  Append({{"a", "2"}});
  Append({{"b", "1"}});
  Roll();
  EXPECT_EQ(log_->OffsetForAppendTime(p_, {0}).value(), Offset{0});
  EXPECT_LE(log_->OffsetForAppendTime(p_, {1'500'000}).value(), Offset{1});
  EXPECT_EQ(log_->OffsetForTimestamp(p_, {1000}).value(), Offset{1});
}

// ---- With a disk that fails ----

struct History {
  std::vector<std::string> acknowledged;  // "offset:key=value"
  std::map<std::string, std::string> newest;
};

History RunWorkload(FaultyFiles& files, ManualClock& clock) {
  History history;
  Random random(7);
  for (int session = 0; session < 2; ++session) {
    LogOptions options = SmallOptions(files, clock);
    options.segment_bytes = 300;
    auto log = Log::Open(options);
    if (!log.ok()) continue;
    if (!(*log)->FindTopic("t")) (void)(*log)->CreateTopic("t", Compacted()).ok();
    const auto topic = (*log)->FindTopic("t");
    if (topic) (void)(*log)->SetFreeFloor({topic->id, 0}, kOffsetMax).ok();
    for (int i = 0; topic && i < 16; ++i) {
      clock.Advance(std::chrono::minutes(7));
      RecordBatchBuilder builder;
      Pairs records;
      for (int n = 0; n < 2; ++n) {
        const std::string key(1, static_cast<char>('a' + random.Below(4)));
        const std::string value = random.OneIn(4) ? "!" : fmt::format("{}.{}.{}", session, i, n);
        records.emplace_back(key, value);
        builder.Add(key, value == "!" ? std::nullopt : std::optional<std::string_view>(value),
                    {1000});
      }
      const auto appended = (*log)->AppendAndWait({{{topic->id, 0}, builder.Finish()}});
      if (appended.ok()) {
        for (size_t n = 0; n < records.size(); ++n) {
          const auto& [key, value] = records[n];
          const int64_t offset = appended->base_offsets[0].value + static_cast<int64_t>(n);
          const std::string text = value == "!" ? key + "!" : key + "=" + value;
          history.acknowledged.push_back(fmt::format("{}:{}", offset, text));
          history.newest[key] = history.acknowledged.back();
        }
      } else if (appended.error().code() == Code::kIo) {
        break;  // whether these are there is unknown, and nothing can follow
                // them
      }
      if (i % 5 == 4) (*log)->RunOnce(/*background=*/true);
    }
  }
  return history;
}

void Check(FaultyFiles& files, ManualClock& clock, const History& history) {
  LogOptions options = SmallOptions(files, clock);
  options.segment_bytes = 300;
  const auto log = Log::Open(options);
  ASSERT_TRUE(log.ok()) << log.error().ToString();
  for (const std::string& path : files.Paths()) {
    EXPECT_FALSE(path.ends_with(".clean")) << path;
  }
  const auto topic = (*log)->FindTopic("t");
  if (!topic) {
    EXPECT_TRUE(history.acknowledged.empty());
    return;
  }
  for (int i = 0; i < 2; ++i) {
    const std::vector<std::string> there = ReadRecords(**log, {topic->id, 0});
    EXPECT_TRUE((*log)->damage().empty()) << (*log)->damage()[0].range.reason;
    std::map<std::string, std::string> newest;
    for (const std::string& record : there) {
      newest[record.substr(record.find(':') + 1, 1)] = record;
    }
    for (const auto& [key, record] : history.newest) {
      // A key whose newest record deletes it may be gone, but no older value of
      // it may be there.
      if (record.ends_with("!") && !newest.contains(key)) continue;
      ASSERT_TRUE(newest.contains(key)) << record << " is lost";
      const int64_t wanted = std::atoll(record.c_str());
      ASSERT_GE(std::atoll(newest[key].c_str()), wanted) << record << " is lost";
      if (std::atoll(newest[key].c_str()) == wanted) {
        ASSERT_EQ(newest[key], record);
      }
    }
    (*log)->RunOnce(/*background=*/true);
  }
}

TEST(LogCompactionLoss, KeepsTheNewestRecordsAtEveryPoint) {
  int points = 0;
  uint64_t compacted = 0;
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    FaultyFiles files;
    ManualClock clock{Micros{1000}};
    files.LosePowerAt(nth);
    const History history = RunWorkload(files, clock);
    for (const std::string& path : files.Paths()) {
      compacted += path.ends_with(".clean");
    }
    Check(*files.AfterPowerLoss({}), clock, history);
    for (uint64_t seed = 1; seed <= 2; ++seed) {
      Check(*files.AfterPowerLoss({.keep_some = true, .seed = seed * 1000 + nth}), clock, history);
    }
    Check(*files.AfterCrash(), clock, history);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
    if (!files.Fired()) break;
    ++points;
  }
  EXPECT_GT(points, 200);
  EXPECT_GT(compacted, 20u) << "the power never went in the middle of a compaction";
}

void FailEveryCall(Code code, const std::string& message) {
  int points = 0;
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    FaultyFiles files;
    ManualClock clock{Micros{1000}};
    files.FailCallAt(nth, Error(code, "{}", message));
    const History history = RunWorkload(files, clock);
    Check(*files.AfterPowerLoss({.keep_some = true, .seed = nth}), clock, history);
    Check(*files.AfterCrash(), clock, history);
    if (::testing::Test::HasFatalFailure() || ::testing::Test::HasNonfatalFailure()) return;
    if (!files.Fired()) break;
    ++points;
  }
  EXPECT_GT(points, 200);
}

TEST(LogCompactionLoss, HoldsWhenAnyCallFailsWithAnIoError) {
  FailEveryCall(Code::kIo, "Input/output error");
}

TEST(LogCompactionLoss, HoldsWhenAnyCallFindsTheDiskFull) {
  FailEveryCall(Code::kOverloaded, "No space left on device");
}

}  // namespace
}  // namespace millrace::log::log_compaction_test
