// One flipped byte anywhere on disk costs at most the batch that it hits, and is reported with its
// offsets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "log/frame.h"
#include "log/testing.h"

namespace millrace::log::log_damage_test {
namespace {

using ::testing::HasSubstr;

constexpr int kBatches = 40;
constexpr int kRecordsPerBatch = 2;

// A log whose topic "t" holds kBatches batches of kRecordsPerBatch records, several to a frame.
class LogDamage : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.segment_bytes = 512;
    // The background thread has nothing to do: see crashed_.
    options_.tail_bytes_max = 1 << 20;
    options_.write_ahead_bytes_max = 1 << 20;
    auto log = Log::Open(options_).value();
    partition_ = {log->CreateTopic("t", {}).value().id, 0};
    for (int i = 0; i < kBatches; ++i) {
      ASSERT_TRUE(
          log->Append({{partition_, MakeBatch("value " + std::to_string(i), kRecordsPerBatch)}},
                      nullptr)
              .ok());
      if (i % 3 == 2 || i == kBatches - 1) log->RunOnce(false);
    }
    expected_ = ReadAllValues(*log, partition_).value();
    ASSERT_EQ(expected_.size(), size_t{kBatches * kRecordsPerBatch});
    crashed_ = files_.AfterCrash();
    ASSERT_TRUE(log->Close().ok());
  }

  // Opens what is left and compares. Returns how many records are lost; nothing else may differ.
  int LostRecords(Files& files) {
    LogOptions options = options_;
    options.files = &files;
    const auto log = Log::Open(options);
    EXPECT_TRUE(log.ok()) << log.error().ToString();
    if (!log.ok()) return -1;
    const auto values = ReadAllValues(**log, partition_);
    EXPECT_TRUE(values.ok()) << values.error().ToString();
    if (!values.ok()) return -1;
    int lost = 0;
    for (size_t i = 0; i < values->size(); ++i) {
      if ((*values)[i] == "<lost>") {
        ++lost;
      } else {
        EXPECT_EQ((*values)[i], expected_[i]);
      }
    }
    read_ = values->size();
    damage_ = (*log)->damage();
    int64_t reported = 0;
    for (const Damage& damage : damage_) {
      EXPECT_EQ(damage.topic, "t");
      EXPECT_EQ(damage.partition, partition_);
      reported += damage.range.last - damage.range.first + 1;
    }
    EXPECT_EQ(reported, lost);
    return lost;
  }

  // Where the last frame of the write-ahead file begins: zeros are behind it.
  static uint64_t LastFrame(Files& files) {
    const std::string bytes = files.ReadAll("data/wal/frames").value();
    uint64_t last = 0;
    for (uint64_t at = 0; at < bytes.size(); at += kFrameAlignment) {
      if (PeekMetaBytes(std::string_view(bytes).substr(at))) last = at;
    }
    EXPECT_GT(last, 10 * kFrameAlignment);
    return last;
  }

  FaultyFiles files_;
  ManualClock clock_{Micros{1000}};
  LogOptions options_ = SmallOptions(files_, clock_);
  PartitionId partition_;
  std::vector<std::string> expected_;
  std::unique_ptr<FaultyFiles> crashed_;  // all in the write-ahead file, nothing in segments
  size_t read_ = 0;
  std::vector<Damage> damage_;
};

TEST_F(LogDamage, OfABatchInASegmentCostsThatBatch) {
  int hit = 0;
  for (const std::string& path : files_.Paths()) {
    if (!path.ends_with(".log")) continue;
    const uint64_t size = files_.ReadAll(path).value().size();
    for (uint64_t at = 0; at < size; at += 7) {
      SCOPED_TRACE(path + " byte " + std::to_string(at));
      const auto damaged = files_.AfterCrash();
      ASSERT_TRUE(damaged->FlipByte(path, at));
      const int lost = LostRecords(*damaged);
      ASSERT_TRUE(lost == 0 || lost == kRecordsPerBatch)
          << lost;  // 0: the leader epoch has no checksum
      ASSERT_EQ(read_, expected_.size());
      hit += lost > 0;
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(hit, 100);
}

TEST_F(LogDamage, OfAFramesFileCostsOneBatch) {
  int hit = 0;
  for (const std::string& path : files_.Paths()) {
    if (!path.ends_with(".frames")) continue;
    const uint64_t size = files_.ReadAll(path).value().size();
    for (uint64_t at = 0; at < size; at += 5) {
      SCOPED_TRACE(path + " byte " + std::to_string(at));
      const auto damaged = files_.AfterCrash();
      ASSERT_TRUE(damaged->FlipByte(path, at));
      const int lost = LostRecords(*damaged);
      ASSERT_TRUE(lost == 0 || lost == kRecordsPerBatch) << lost;  // 0: the file's header
      ASSERT_EQ(read_, expected_.size());
      hit += lost > 0;
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(hit, 100);
}

TEST_F(LogDamage, OfTheWriteAheadFileBelowTheDurableMarkCostsOneBatchAtMost) {
  const std::string path = "data/wal/frames";
  const uint64_t last_frame = LastFrame(*crashed_);
  int hit = 0;
  for (uint64_t at = 0; at < last_frame; at += 31) {
    SCOPED_TRACE(at);
    const auto damaged = crashed_->AfterCrash();
    ASSERT_TRUE(damaged->FlipByte(path, at));
    const int lost = LostRecords(*damaged);
    ASSERT_TRUE(lost == 0 || lost == kRecordsPerBatch)
        << lost;  // 0: padding, or one of the two metas
    ASSERT_EQ(read_, expected_.size());
    hit += lost > 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(hit, 20);
}

TEST_F(LogDamage, OfTheLastFrameIsATornTailAndCut) {
  const std::string path = "data/wal/frames";
  const uint64_t last_frame = LastFrame(*crashed_);
  const auto last_meta = DecodeFrameHeader(crashed_->ReadAll(path).value().substr(last_frame));
  ASSERT_TRUE(last_meta.has_value());
  ASSERT_TRUE(crashed_->FlipByte(path, last_frame + last_meta->meta_bytes + 70));
  EXPECT_EQ(LostRecords(*crashed_), 0);
  EXPECT_EQ(read_, expected_.size() - last_meta->entries.size() * kRecordsPerBatch);
}

TEST_F(LogDamage, StaysKnownWhenTheLogIsOpenedAgain) {
  const auto damaged = crashed_->AfterCrash();
  // The body of the second frame: the first holds the topic.
  const auto frame = damaged->ReadAll("data/wal/frames").value().substr(kFrameAlignment);
  ASSERT_TRUE(damaged->FlipByte("data/wal/frames",
                                kFrameAlignment + DecodeFrameHeader(frame)->meta_bytes + 65));
  for (int open = 0; open < 3; ++open) {
    EXPECT_EQ(LostRecords(*damaged), kRecordsPerBatch);
    EXPECT_EQ(read_, expected_.size());
    ASSERT_FALSE(damage_.empty());
    EXPECT_EQ(damage_[0].range.first, Offset{0});
    EXPECT_EQ(damage_[0].range.last, Offset{1});
    EXPECT_THAT(damage_[0].range.reason, HasSubstr("write-ahead"));
  }
}

TEST_F(LogDamage, OfAFrameThatIsWholeGoneCostsItsRecordsAndNoOffsetIsGivenTwice) {
  const std::string path = "data/wal/frames";
  for (uint64_t at = kFrameAlignment; at < 2 * kFrameAlignment; ++at) crashed_->FlipByte(path, at);
  EXPECT_EQ(LostRecords(*crashed_), 3 * kRecordsPerBatch);
  EXPECT_EQ(read_, expected_.size());
}

TEST_F(LogDamage, OfTheCheckpointCostsNothing) {
  const std::string path = "data/wal/checkpoint";
  const uint64_t size = crashed_->ReadAll(path).value().size();
  for (uint64_t at = 0; at < size; ++at) {
    SCOPED_TRACE(at);
    const auto damaged = crashed_->AfterCrash();
    ASSERT_TRUE(damaged->FlipByte(path, at));
    ASSERT_EQ(LostRecords(*damaged), 0);
    ASSERT_EQ(read_, expected_.size());
  }
}

TEST_F(LogDamage, OfAMissingSegmentCostsThatSegment) {
  std::vector<std::string> logs;
  for (const std::string& path : files_.Paths()) {
    if (path.ends_with(".log")) logs.push_back(path);
  }
  ASSERT_GT(logs.size(), 4u);
  for (const std::string& path :
       {logs[2], logs[2].substr(0, logs[2].size() - 4) + ".frames", logs.back()}) {
    SCOPED_TRACE(path);
    const auto damaged = files_.AfterCrash();
    ASSERT_TRUE(damaged->Remove(path).ok());
    const int lost = LostRecords(*damaged);
    EXPECT_GT(lost, 0);
    EXPECT_LE(lost, 14 * kRecordsPerBatch);
    EXPECT_EQ(read_, expected_.size());
  }
}

}  // namespace
}  // namespace millrace::log::log_damage_test
