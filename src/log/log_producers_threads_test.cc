// Transactional producers, their coordinator, readers of committed records and compaction, all at
// once and with the log's own threads.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "log/testing.h"

namespace millrace::log::log_producers_threads_test {
namespace {

constexpr int kProducers = 3;
constexpr int32_t kPartitions = 2;
constexpr double kSecondsMin = 2, kSecondsMax = 100;

TEST(LogProducersThreads, ReadersSeeNothingAbortedWhileProducersRetryAndSegmentsAreCompacted) {
  FaultyFiles files;
  LogOptions options = SmallOptions(files, Clock::System());
  options.manual = false;
  options.fill_delay_max = std::chrono::milliseconds(1);
  options.checkpoint_interval_max = std::chrono::milliseconds(20);
  options.segment_bytes = 8 << 10;
  const auto log = Log::Open(options).value();
  TopicConfig config;
  config.partitions = kPartitions;
  config.compact = true;
  const TopicId topic = log->CreateTopic("t", config).value().id;
  std::vector<PartitionId> partitions;
  for (int32_t p = 0; p < kPartitions; ++p) {
    partitions.push_back({topic, p});
    ASSERT_TRUE(log->SetFreeFloor(partitions.back(), kOffsetMax).ok());
  }

  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int id = 0; id < kProducers; ++id) {
    threads.emplace_back([&, id] {
      const Producer producer{id, 0};
      int32_t sequence = 0;
      for (int transaction = 0; !done; ++transaction) {
        const bool commit = transaction % 3 != 0;
        for (int i = 0; i < 3; ++i) {
          const std::string batch = MakeProducerBatch(
              producer, sequence, commit ? "committed" : "aborted", 2, /*transactional=*/true);
          AppendRequest request;
          for (const PartitionId partition : partitions) request.push_back({partition, batch});
          const auto first = log->AppendAndWait(request);
          ASSERT_TRUE(first.ok()) << first.error().ToString();
          const auto again = log->AppendAndWait(request);
          ASSERT_TRUE(again.ok()) << again.error().ToString();
          ASSERT_EQ(again->base_offsets, first->base_offsets);
          sequence += 2;
        }
        const auto ended = log->AppendMarkersAndWait(
            {producer, commit ? TransactionOutcome::kCommit : TransactionOutcome::kAbort, 0,
             partitions});
        ASSERT_TRUE(ended.ok()) << ended.error().ToString();
      }
    });
  }
  for (const PartitionId partition : partitions) {
    threads.emplace_back([&, partition] {
      Offset stable;
      while (!done) {
        Offset from = log->DurableCut()->Find(partition)->start;
        for (;;) {
          const auto read =
              log->Read(partition, {.from = from, .bytes_max = 4096, .committed_only = true});
          ASSERT_TRUE(read.ok()) << read.error().ToString();
          ASSERT_TRUE(read->damaged.empty()) << read->damaged[0].reason;
          ASSERT_GE(read->stable, stable);
          ASSERT_LE(read->stable, read->end);
          stable = read->stable;
          for (const std::string& value : Values(*read)) {
            ASSERT_TRUE(value.starts_with("committed")) << value;
          }
          if (read->next == from || done) break;
          from = read->next;
        }
      }
    });
  }
  const auto started = Tick();
  while (SecondsSince(started) < kSecondsMin ||
         (log->Stats().segments_compacted == 0 && SecondsSince(started) < kSecondsMax)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(log->OpenTransactions().empty());
  EXPECT_GT(log->Stats().segments_compacted, 0u);
  EXPECT_TRUE(log->damage().empty());
  for (const Cut::End& end : log->DurableCut()->ends) EXPECT_EQ(end.stable, end.end);
  ASSERT_TRUE(log->Close().ok());
}

}  // namespace
}  // namespace millrace::log::log_producers_threads_test
