// Copies of a log that goes on.
#include <gtest/gtest.h>

#include "log/testing.h"

namespace millrace::log::log_files_test {
namespace {

class LogFilesTest : public ::testing::Test {
 protected:
  std::unique_ptr<Log> Open(const std::string& directory) {
    LogOptions options = SmallOptions(files_, clock_);
    options.directory = directory;
    auto log = Log::Open(options);
    EXPECT_TRUE(log.ok()) << log.error().ToString();
    return *std::move(log);
  }
  void Append(Log& log, PartitionId partition, const std::string& text) {
    const auto appended = log.AppendAndWait({{partition, MakeBatch(text)}});
    ASSERT_TRUE(appended.ok()) << appended.error().ToString();
  }
  // Copies what the log names into `to`.
  Status Copy(Log& log, const std::string& to) {
    return log.WithFiles([&](const LogFiles& copy) -> Status {
      for (const LogFiles::File& file : copy.files) {
        TRY(std::string bytes, files_.ReadAll("data/" + file.path));
        EXPECT_LE(file.bytes, bytes.size());
        bytes.resize(file.bytes);
        const std::string path = to + "/" + file.path;
        TRY(files_.CreateDirectories(path.substr(0, path.rfind('/'))));
        TRY(files_.Replace(path, bytes));
      }
      TRY(files_.CreateDirectories(to + "/wal"));
      TRY(const std::string checkpoint, Log::CheckpointOfCopy(copy.checkpoint));
      frame_ = copy.frame;
      return files_.Replace(to + "/wal/checkpoint", checkpoint);
    });
  }

  FaultyFiles files_;
  ManualClock clock_{Micros{1'000'000}};
  FrameSequence frame_;
};

TEST_F(LogFilesTest, ACopyHoldsWhatWasDurableWhenItWasTaken) {
  auto log = Open("data");
  const auto topic = log->CreateTopic("events", {.partitions = 2});
  ASSERT_TRUE(topic.ok());
  const PartitionId partition{topic->id, 0};
  for (int i = 0; i < 100; ++i) Append(*log, partition, std::to_string(i));
  ASSERT_TRUE(Copy(*log, "copy").ok());
  EXPECT_EQ(frame_, log->DurableFrame());
  const auto before = ReadAllValues(*log, partition);
  ASSERT_TRUE(before.ok());
  for (int i = 0; i < 100; ++i) Append(*log, partition, "later");

  auto copy = Open("copy");
  const auto values = ReadAllValues(*copy, partition);
  ASSERT_TRUE(values.ok()) << values.error().ToString();
  EXPECT_EQ(*values, *before);
  EXPECT_TRUE(copy->damage().empty());
  EXPECT_EQ(copy->DurableFrame(), frame_);
  Append(*copy, partition, "of the copy");
  EXPECT_EQ(ReadAllValues(*copy, partition)->size(), before->size() + 1);
}

TEST_F(LogFilesTest, ACopyKnowsProducersAndTheirTransactions) {
  auto log = Open("data");
  const auto topic = log->CreateTopic("events", {});
  ASSERT_TRUE(topic.ok());
  const PartitionId partition{topic->id, 0};
  const AppendRequest first{{partition, MakeProducerBatch({7, 0}, 0, "open", 3, true)}};
  ASSERT_TRUE(log->AppendAndWait(first).ok());
  Append(*log, partition, "behind it");
  ASSERT_TRUE(Copy(*log, "copy").ok());

  auto copy = Open("copy");
  const auto again = copy->AppendAndWait(first);
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_EQ(again->base_offsets[0], Offset{0});
  EXPECT_EQ(again->repeated_records, 3);
  EXPECT_EQ(copy->DurableCut()->Find(partition)->stable, Offset{0});
  ASSERT_TRUE(
      copy->AppendMarkersAndWait({{7, 0}, TransactionOutcome::kAbort, 0, {partition}}).ok());
  EXPECT_EQ(*ReadCommittedValues(*copy, partition, {0}, 1000),
            std::vector<std::string>{"behind it/0"});
}

TEST_F(LogFilesTest, ACopyHasAHigherLeaderEpochThanTheOriginalWillHave) {
  auto log = Open("data");
  const auto topic = log->CreateTopic("events", {});
  ASSERT_TRUE(topic.ok());
  const PartitionId partition{topic->id, 0};
  Append(*log, partition, "x");
  ASSERT_TRUE(Copy(*log, "copy").ok());
  auto copy = Open("copy");
  Append(*copy, partition, "y");
  const auto epoch = [&](const Log& of, Offset at) {
    return of.Read(partition, {.from = at})->batches.front().view().leader_epoch();
  };
  EXPECT_GT(epoch(*copy, {1}), epoch(*log, {0}) + 1000);
}

TEST_F(LogFilesTest, AnErrorOfWhoCopiesIsHandedOnAndAClosedLogRefuses) {
  auto log = Open("data");
  EXPECT_EQ(log->WithFiles([](const LogFiles&) { return Status(Error(Code::kIo, "mine")); })
                .error()
                .message(),
            "mine");
  ASSERT_TRUE(log->Close().ok());
  EXPECT_EQ(log->WithFiles([](const LogFiles&) { return Ok(); }).error().code(),
            Code::kUnavailable);
}

TEST_F(LogFilesTest, SaysWhatWasRepeatedAndWhatIsHeldBack) {
  auto log = Open("data");
  const auto topic = log->CreateTopic("events", {.partitions = 2});
  ASSERT_TRUE(topic.ok());
  const PartitionId partition{topic->id, 0};
  const AppendRequest once{{partition, MakeProducerBatch({7, 0}, 0, "a", 2)}};
  EXPECT_EQ(log->AppendAndWait(once)->repeated_records, 0);
  EXPECT_EQ(log->AppendAndWait(once)->repeated_records, 2);
  EXPECT_FALSE(log->AppendAndWait({{partition, MakeBatch("x")}})->held_back);
  ASSERT_TRUE(log->AppendAndWait({{partition, MakeProducerBatch({8, 0}, 0, "t", 3, true)}}).ok());
  EXPECT_TRUE(log->AppendAndWait({{partition, MakeBatch("x")}})->held_back);
  EXPECT_FALSE(log->AppendAndWait({{{topic->id, 1}, MakeBatch("x")}})->held_back);
  ASSERT_TRUE(log->AppendMarkersAndWait({{8, 0}, TransactionOutcome::kAbort, 0, {partition}}).ok());
  const auto read = log->Read(partition, {.committed_only = true});
  ASSERT_EQ(read->aborted.size(), 1u);
  EXPECT_EQ(read->aborted[0].first, Offset{3});
  EXPECT_EQ(read->aborted[0].last, Offset{5});
}

}  // namespace
}  // namespace millrace::log::log_files_test
