// The log with its own threads: producers that wait, callbacks, failures and closing, all at once.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "base/logging.h"
#include "base/random.h"
#include "log/testing.h"

namespace millrace::log::log_threads_test {
namespace {

// FaultyFiles, but each fdatasync of the write-ahead file goes through a hook of the test.
class HookedFiles final : public Files {
 public:
  explicit HookedFiles(FaultyFiles& files) : files_(files) {}
  // Runs before the fdatasync; an error takes its place.
  std::function<Status()> before_sync = [] { return Ok(); };

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    TRY(auto file, files_.Open(path, mode));
    if (mode != OpenMode::kDirect || !path.ends_with("wal/frames")) return file;
    return std::unique_ptr<File>(new Hooked(*this, std::move(file)));
  }
  Result<bool> Exists(const std::string& path) override { return files_.Exists(path); }
  Result<std::vector<std::string>> List(const std::string& directory) override {
    return files_.List(directory);
  }
  Status CreateDirectories(const std::string& directory) override {
    return files_.CreateDirectories(directory);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return files_.Rename(from, to);
  }
  Status Remove(const std::string& file) override { return files_.Remove(file); }
  Status RemoveAll(const std::string& directory) override { return files_.RemoveAll(directory); }
  Status SyncDirectory(const std::string& directory) override {
    return files_.SyncDirectory(directory);
  }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return files_.Lock(path);
  }
  Result<DiskSpace> Space(const std::string& directory) override { return files_.Space(directory); }
  size_t OpenFilesMax() override { return files_.OpenFilesMax(); }

 private:
  class Hooked final : public File {
   public:
    Hooked(HookedFiles& files, std::unique_ptr<File> file)
        : files_(files), file_(std::move(file)) {}
    Status Write(std::string_view bytes, uint64_t offset) override {
      return file_->Write(bytes, offset);
    }
    Status WriteGather(std::span<const std::string_view> pieces, uint64_t offset) override {
      return file_->WriteGather(pieces, offset);
    }
    Result<size_t> Read(char* to, size_t size, uint64_t offset) const override {
      return file_->Read(to, size, offset);
    }
    Status Sync() override {
      TRY(files_.before_sync());
      return file_->Sync();
    }
    Status Preallocate(uint64_t size) override { return file_->Preallocate(size); }
    Status Truncate(uint64_t size) override { return file_->Truncate(size); }
    Result<uint64_t> Size() const override { return file_->Size(); }

   private:
    HookedFiles& files_;
    const std::unique_ptr<File> file_;
  };

  FaultyFiles& files_;
};

// One fdatasync of the write-ahead file stops until the test lets it go on.
class LogLeaders : public ::testing::Test {
 protected:
  void SetUp() override {
    LogOptions options = SmallOptions(hooked_, clock_);
    options.manual = false;
    log_ = Log::Open(options).value();
    partition_ = {log_->CreateTopic("t", {}).value().id, 0};
    hooked_.before_sync = [this] { return AtGate(); };
  }
  void TearDown() override { EXPECT_EQ(log_->Stats().queue_requests, 0u); }

  Status AtGate() {
    std::unique_lock lock(mutex_);
    sync_threads_.push_back(std::this_thread::get_id());
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    return outcome_;
  }
  void WaitUntilAtGate() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !sync_threads_.empty(); });
  }
  void OpenGate(Status outcome) {
    std::lock_guard lock(mutex_);
    open_ = true;
    outcome_ = std::move(outcome);
    changed_.notify_all();
  }
  void WaitUntilQueued(size_t requests) {
    while (log_->Stats().queue_requests < requests) std::this_thread::yield();
  }
  // A producer that waits, in a thread of its own.
  std::future<Result<Appended>> Produce(const std::string& text) {
    return std::async(std::launch::async, [this, text] {
      return log_->AppendAndWait({{partition_, MakeBatch(text)}});
    });
  }

  FaultyFiles files_;
  HookedFiles hooked_{files_};
  ManualClock clock_{Micros{1'000'000}};
  std::unique_ptr<Log> log_;
  PartitionId partition_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  Status outcome_;
  std::vector<std::thread::id> sync_threads_;  // in the order in which they came to the gate
};

TEST_F(LogLeaders, ALoneProducerWritesItsFrameItself) {
  OpenGate(Ok());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(log_->AppendAndWait({{partition_, MakeBatch("x")}}).ok());
  }
  EXPECT_EQ(sync_threads_, std::vector(3, std::this_thread::get_id()));
}

TEST_F(LogLeaders, WhatComesWhileTheLeaderWritesIsOneFrameOfTheFlusher) {
  auto leader = Produce("leader");
  WaitUntilAtGate();
  std::vector<std::future<Result<Appended>>> followers;
  for (int i = 0; i < 5; ++i) followers.push_back(Produce("follower"));
  std::promise<std::thread::id> callback;
  WaitUntilQueued(5);
  ASSERT_TRUE(log_->Append({{partition_, MakeBatch("callback")}},
                           [&](Result<Appended> appended) {
                             EXPECT_TRUE(appended.ok());
                             callback.set_value(std::this_thread::get_id());
                           })
                  .ok());
  OpenGate(Ok());
  const FrameSequence first = leader.get().value().frame;
  std::set<Offset> offsets;
  for (auto& follower : followers) {
    const Appended appended = follower.get().value();
    EXPECT_EQ(appended.frame.value, first.value + 1);
    offsets.insert(appended.base_offsets[0]);
  }
  EXPECT_EQ(offsets.size(), 5u);
  const std::thread::id flusher = callback.get_future().get();
  EXPECT_NE(flusher, sync_threads_[0]);
  ASSERT_EQ(sync_threads_.size(), 2u);
  EXPECT_EQ(sync_threads_[1], flusher);
}

TEST_F(LogLeaders, TellsEveryFollowerWhenTheLeadersFsyncFails) {
  auto leader = Produce("leader");
  WaitUntilAtGate();
  std::vector<std::future<Result<Appended>>> followers;
  for (int i = 0; i < 5; ++i) followers.push_back(Produce("follower"));
  std::promise<Code> callback;
  WaitUntilQueued(5);
  ASSERT_TRUE(
      log_->Append({{partition_, MakeBatch("callback")}},
                   [&](Result<Appended> appended) { callback.set_value(appended.error().code()); })
          .ok());
  OpenGate(Error(Code::kIo, "fdatasync: Input/output error"));
  EXPECT_EQ(leader.get().error().code(), Code::kIo);
  // The failed fsync is not tried again: what was queued behind it was never written.
  for (auto& follower : followers) EXPECT_EQ(follower.get().error().code(), Code::kUnavailable);
  EXPECT_EQ(callback.get_future().get(), Code::kUnavailable);
  EXPECT_EQ(sync_threads_.size(), 1u);
  EXPECT_EQ(log_->AppendAndWait({{partition_, MakeBatch("x")}}).error().code(), Code::kUnavailable);
  EXPECT_EQ(log_->Close().error().code(), Code::kIo);
}

TEST_F(LogLeaders, CloseWaitsForTheLeaderAndForWhatIsQueued) {
  auto leader = Produce("leader");
  WaitUntilAtGate();
  auto follower = Produce("follower");
  WaitUntilQueued(1);
  auto closed = std::async(std::launch::async, [this] { return log_->Close(); });
  while (log_->AppendAndWait({}).error().code() != Code::kUnavailable) std::this_thread::yield();
  EXPECT_EQ(closed.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  OpenGate(Ok());
  EXPECT_TRUE(closed.get().ok());
  EXPECT_TRUE(leader.get().ok());
  EXPECT_TRUE(follower.get().ok());
}

// Producers that wait and producers that do not, until the log fails: each request is answered
// once.
class Producers {
 public:
  Producers(Log& log, int partitions) : log_(log) {
    TopicConfig config;
    config.partitions = partitions;
    topic_ = log.CreateTopic("t", config).value().id;
    for (int producer = 0; producer < 6; ++producer)
      threads_.emplace_back([this, producer, partitions] { Run(producer, partitions); });
    while (answered_ < 50) std::this_thread::yield();
  }
  void Join() {
    for (std::thread& thread : threads_) thread.join();
    EXPECT_EQ(answered_, asked_);
    EXPECT_GE(acknowledged_.size(), 25u);
  }
  // REQUIRES: joined.
  void ExpectAcknowledgedIn(const Log& reopened, int partitions) const {
    std::set<std::string> there;
    size_t records = 0;
    for (int i = 0; i < partitions; ++i) {
      const std::vector<std::string> values = ReadAllValues(reopened, {topic_, i}).value();
      records += values.size();
      there.insert(values.begin(), values.end());
    }
    EXPECT_EQ(there.size(), records);
    for (const std::string& value : acknowledged_) EXPECT_TRUE(there.contains(value)) << value;
  }

 private:
  void Run(int producer, int partitions) {
    for (int i = 0; !log_.Stats().failed; ++i) {
      const std::string text = std::to_string(producer) + ":" + std::to_string(i);
      const PartitionId partition{topic_, (producer + i) % partitions};
      ++asked_;
      if (producer % 2 == 0) {
        Answer(text, log_.AppendAndWait({{partition, MakeBatch(text)}}));
        continue;
      }
      std::promise<void> done;
      const Status queued =
          log_.Append({{partition, MakeBatch(text)}}, [&, text](Result<Appended> result) {
            Answer(text, result);
            done.set_value();
          });
      if (queued.ok()) {
        done.get_future().get();
      } else {
        Answer(text, queued.error());
      }
    }
  }
  void Answer(const std::string& text, const Result<Appended>& result) {
    ++answered_;
    if (!result.ok()) return;
    std::lock_guard lock(mutex_);
    acknowledged_.insert(text + "/0");
  }

  Log& log_;
  TopicId topic_;
  std::atomic<int> answered_{0}, asked_{0};
  std::mutex mutex_;
  std::set<std::string> acknowledged_;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

// What was acknowledged is there after a fault. Segments of many partitions are synced by many
// threads.
class LogFaults : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    SetLogLevel(LogLevel::kOff);
    LogOptions options = SmallOptions(files_, clock_);
    options.manual = false;
    log_ = Log::Open(options).value();
    producers_.emplace(*log_, GetParam());
  }
  void TearDown() override { SetLogLevel(LogLevel::kWarning); }
  void ExpectAcknowledgedAfterwards() {
    producers_->Join();
    EXPECT_FALSE(log_->Close().ok());
    const auto after = files_.AfterPowerLoss({});
    const auto reopened = Log::Open(SmallOptions(*after, clock_)).value();
    producers_->ExpectAcknowledgedIn(*reopened, GetParam());
  }

  FaultyFiles files_;
  ManualClock clock_{Micros{1'000'000}};
  std::unique_ptr<Log> log_;
  std::optional<Producers> producers_;
};

class LogLosesPower : public LogFaults {};
TEST_P(LogLosesPower, KeepsWhatWasAcknowledged) {
  files_.LosePowerAt(SeedFromEnvironment(std::random_device()()) % 2000);
  ExpectAcknowledgedAfterwards();
}
INSTANTIATE_TEST_SUITE_P(Partitions, LogLosesPower, ::testing::Values(1, 1, 1, 40, 40, 40));

class LogMeetsErrors : public LogFaults {};
TEST_P(LogMeetsErrors, KeepsWhatWasAcknowledged) {
  Random random(SeedFromEnvironment(std::random_device()()));
  while (!log_->Stats().failed) {  // some calls may fail without harm
    files_.FailCallAt(1 + random.Below(500), Error(Code::kIo, "an error of the disk"));
    while (!files_.Fired() && !log_->Stats().failed) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ExpectAcknowledgedAfterwards();
}
INSTANTIATE_TEST_SUITE_P(Partitions, LogMeetsErrors, ::testing::Values(1, 1, 1, 40, 40, 40));

// Requests that must get in, on a disk that is full to the last byte.
class LogOnFullDisk : public ::testing::Test {
 protected:
  static constexpr int kRequests = 300;  // more than find room without new segments

  void SetUp() override {
    SetLogLevel(LogLevel::kOff);
    LogOptions options = SmallOptions(files_, clock_);
    options.manual = false;
    log_ = Log::Open(options).value();
    partition_ = {log_->CreateTopic("t", {}).value().id, 0};
    uint64_t used = 0;
    for (const std::string& path : files_.Paths()) used += files_.ReadAll(path).value().size();
    files_.SetTotalBytes(used);
    for (int i = 0; i < kRequests; ++i) {
      ASSERT_TRUE(
          log_->AppendAlways({{partition_, MakeBatch("must " + std::to_string(i))}}, Answer())
              .ok());
    }
    while (!log_->Stats().disk_above_high_mark) std::this_thread::yield();
    ASSERT_LT(answered_, kRequests);
  }
  void TearDown() override { SetLogLevel(LogLevel::kWarning); }
  AppendDone Answer() {
    return [this](Result<Appended> result) {
      acknowledged_ += result.ok();
      ++answered_;
    };
  }
  std::vector<std::string> AfterReopening() {
    log_.reset();
    return ReadAllValues(*Log::Open(SmallOptions(files_, clock_)).value(), partition_).value();
  }

  FaultyFiles files_;
  ManualClock clock_{Micros{1'000'000}};
  std::unique_ptr<Log> log_;
  PartitionId partition_;
  std::atomic<int> answered_{0}, acknowledged_{0};
};

TEST_F(LogOnFullDisk, WhatMustGetInWaitsForSpaceWhileOthersAreRefused) {
  EXPECT_EQ(log_->AppendAndWait({{partition_, MakeBatch("x")}}).error().code(), Code::kOverloaded);
  files_.SetTotalBytes(64 << 20);
  while (answered_ < kRequests) std::this_thread::yield();
  EXPECT_EQ(acknowledged_, kRequests);
  std::vector<std::string> expected;
  for (int i = 0; i < kRequests; ++i) expected.push_back("must " + std::to_string(i) + "/0");
  EXPECT_EQ(AfterReopening(), expected);
}

TEST_F(LogOnFullDisk, CloseEndsTheWait) {
  EXPECT_FALSE(log_->Close().ok()) << "the segments cannot be filled";
  EXPECT_EQ(answered_, kRequests);
  EXPECT_LT(acknowledged_, kRequests);
  files_.SetTotalBytes(64 << 20);
  EXPECT_EQ(AfterReopening().size(), static_cast<size_t>(acknowledged_));
}

// With the real file system.
TEST(LogThreads, ServesManyProducersAndReadersAtOnce) {
  // Its own for each process: the same test may run in several builds at once.
  const std::string directory =
      ::testing::TempDir() + "/millrace_log_threads_" + std::to_string(::getpid());
  ASSERT_TRUE(Files::System().RemoveAll(directory).ok());
  LogOptions options;
  options.directory = directory;
  options.write_ahead_bytes_max = 1 << 20;
  options.segment_bytes = 64 << 10;
  options.request_bytes_max = 64 << 10;
  options.frame_bytes_target = 64 << 10;
  options.tail_bytes_max = 256 << 10;
  options.disk_reserve_bytes = 0;
  options.checkpoint_interval_max = std::chrono::milliseconds(20);
  constexpr int kProducers = 4, kRequests = 200, kPartitions = 3;
  TopicId topic;
  {
    auto log = Log::Open(options).value();
    topic = log->CreateTopic("t", {.partitions = kPartitions}).value().id;
    std::atomic<int> acknowledged{0}, notified{0};
    std::atomic<bool> done{false};
    log->SetDurableListener([&](FrameSequence) { ++notified; });
    std::vector<std::thread> threads;
    for (int producer = 0; producer < kProducers; ++producer) {
      threads.emplace_back([&, producer] {
        for (int i = 0; i < kRequests; ++i) {
          const std::string text = std::to_string(producer) + ":" + std::to_string(i);
          AppendRequest request;
          for (int32_t p = 0; p < kPartitions; ++p) {
            request.push_back({{topic, p}, MakeBatch(text + std::string(500, '.'), 3)});
          }
          ASSERT_TRUE(log->AppendAndWait(std::move(request)).ok());
          ++acknowledged;
        }
      });
    }
    std::thread reader([&] {
      std::vector<Offset> at(kPartitions);
      FrameSequence seen;
      while (!done) {
        const FrameSequence newest = log->WaitForDurable(seen, std::chrono::milliseconds(10));
        ASSERT_GE(newest, seen);
        seen = newest;
        const auto cut = log->DurableCut();
        for (int32_t p = 0; p < kPartitions; ++p) {
          const Cut::End* end = cut->Find({topic, p});
          ASSERT_EQ(end->end, cut->ends[0].end) << "every request writes all partitions alike";
          while (at[static_cast<size_t>(p)] < end->end) {
            const auto read =
                log->Read({topic, p}, {.from = at[static_cast<size_t>(p)], .until = end->end});
            ASSERT_TRUE(read.ok()) << read.error().ToString();
            ASSERT_TRUE(read->damaged.empty());
            for (const ReadBatch& batch : read->batches) ASSERT_LE(batch.frame, cut->frame);
            at[static_cast<size_t>(p)] = read->next;
          }
        }
      }
    });
    for (std::thread& thread : threads) thread.join();
    done = true;
    reader.join();
    EXPECT_EQ(acknowledged, kProducers * kRequests);
    EXPECT_GT(notified, 0);
    log->SetDurableListener(nullptr);
  }
  auto log = Log::Open(options).value();
  EXPECT_EQ(log->Stats().recovered_frames, 0u);
  for (int32_t p = 0; p < kPartitions; ++p) {
    EXPECT_EQ(ReadAllValues(*log, {topic, p}).value().size(), size_t{kProducers * kRequests * 3});
  }
  ASSERT_TRUE(log->Close().ok());
  ASSERT_TRUE(Files::System().RemoveAll(directory).ok());
}

}  // namespace
}  // namespace millrace::log::log_threads_test
