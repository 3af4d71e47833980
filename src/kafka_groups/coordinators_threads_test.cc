// Both coordinators over a real log with its threads, used by several threads at once: nothing is
// lost, nothing is answered twice, nothing waits for ever. Made for the thread sanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/faulty_files.h"
#include "kafka_groups/log_storage.h"
#include "kafka_groups/steady_clock.h"
#include "kafka_groups/testing.h"
#include "kafka_groups/transaction_coordinator.h"

namespace millrace::kafka_groups::coordinators_threads_test {
namespace {

using std::chrono::milliseconds;

class NoPartitions final : public MarkerWriter {
 public:
  void Write(const TransactionOutcome& outcome, std::function<void(Status)> done) override {
    written += outcome.partitions.size();
    done(Ok());
  }
  std::atomic<uint64_t> written{0};
};

class CoordinatorsThreads : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void TearDown() override { Close(); }

  void Open() {
    log::LogOptions log_options;
    log_options.files = &files_;
    log_options.directory = "data";
    log_options.write_ahead_bytes_max = 1 << 20;
    log_options.segment_bytes = 64 << 10;
    log_options.request_bytes_max = 64 << 10;
    log_options.frame_bytes_target = 64 << 10;
    log_options.disk_reserve_bytes = 0;
    auto opened = log::Log::Open(log_options);
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    log_ = *std::move(opened);
    auto groups_storage = LogStorage::Open(*log_, kConsumerOffsetsTopic);
    auto transactions_storage = LogStorage::Open(*log_, kTransactionStateTopic);
    ASSERT_TRUE(groups_storage.ok() && transactions_storage.ok());
    groups_storage_ = *std::move(groups_storage);
    transactions_storage_ = *std::move(transactions_storage);
    GroupOptions group_options;
    group_options.clock = &Clock::System();
    group_options.timers = &timers_;
    group_options.seed = ++lives_;
    group_options.initial_rebalance_delay = milliseconds(50);
    group_options.table = {.rewrite_bytes_min = 4 << 10, .piece_bytes = 1 << 10};
    auto groups = GroupCoordinator::Open(group_options, *groups_storage_);
    ASSERT_TRUE(groups.ok()) << groups.error().ToString();
    groups_ = *std::move(groups);
    participants_ = std::make_unique<GroupsAndPartitions>(*groups_, partitions_);
    TransactionOptions options;
    options.clock = &Clock::System();
    options.timers = &timers_;
    auto transactions =
        TransactionCoordinator::Open(options, *transactions_storage_, *participants_);
    ASSERT_TRUE(transactions.ok()) << transactions.error().ToString();
    transactions_ = *std::move(transactions);
    ticker_ = std::thread([this] {
      while (!stopping_) {
        groups_->Tick();
        transactions_->Tick();
        std::this_thread::sleep_for(milliseconds(2));
      }
    });
  }

  void Close() {
    stopping_ = true;
    ticker_.join();
    stopping_ = false;
    transactions_->Shutdown();
    groups_->Shutdown();
    EXPECT_TRUE(log_->Close().ok());
    transactions_.reset();
    groups_.reset();
    log_.reset();
  }

  void RunThreads(int count, const std::function<void(int)>& body) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
    for (std::thread& thread : threads) thread.join();
  }

  // Calls, and waits for the answer; a second answer throws in the promise and ends the test.
  template <typename T>
  static T Wait(const std::function<void(std::function<void(T)>)>& call) {
    auto promise = std::make_shared<std::promise<T>>();
    auto answer = promise->get_future();
    call([promise](T value) { promise->set_value(std::move(value)); });
    return answer.get();
  }

  FaultyFiles files_;
  SteadyClock timers_;
  uint64_t lives_ = 0;
  NoPartitions partitions_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<LogStorage> groups_storage_, transactions_storage_;
  std::unique_ptr<GroupCoordinator> groups_;
  std::unique_ptr<GroupsAndPartitions> participants_;
  std::unique_ptr<TransactionCoordinator> transactions_;
  std::atomic<bool> stopping_{false};
  std::thread ticker_;
};

TEST_F(CoordinatorsThreads, CommitsOfManyThreadsAreAllThereAfterARestart) {
  RunThreads(4, [this](int thread) {
    const MemberIdentity who{"group" + std::to_string(thread % 2), -1, {}, {}};
    for (int i = 1; i <= 100; ++i) {
      const auto errors = Wait<PartitionErrors>([&](CommitDone done) {
        groups_->Commit({who, {{{"topic", thread}, i, -1, "note"}}}, std::move(done));
      });
      ASSERT_EQ(errors.at(0), ErrorCode::kNone);
    }
  });
  Close();
  Open();
  for (int thread = 0; thread < 4; ++thread) {
    const auto fetched = groups_->Fetch("group" + std::to_string(thread % 2),
                                        std::vector<TopicPartition>{{"topic", thread}}, true);
    EXPECT_EQ(fetched.offsets[0].committed.offset, 100);
  }
}

TEST_F(CoordinatorsThreads, MembersOnManyThreadsComeTogetherInOneGeneration) {
  std::atomic<int> together{0};
  std::atomic<int32_t> newest{0};
  constexpr int kMembers = 4;
  RunThreads(kMembers, [&](int) {
    std::string id;
    while (together < kMembers) {
      JoinRequest request;
      request.group = "g";
      request.member_id = id;
      request.protocol_type = "consumer";
      request.protocols = {{"range", Subscription({"orders"})}};
      request.session_timeout = std::chrono::seconds(30);
      request.rebalance_timeout = std::chrono::seconds(30);
      request.require_known_member_id = true;
      const auto joined =
          Wait<JoinAnswer>([&](JoinDone done) { groups_->Join(request, std::move(done)); });
      if (!joined.member_id.empty()) id = joined.member_id;
      if (joined.error != ErrorCode::kNone) continue;
      std::vector<MemberAssignment> shares;
      for (const JoinedMember& member : joined.members) {
        // The share says how many there are.
        shares.push_back({member.id, std::to_string(joined.members.size())});
      }
      const auto synced = Wait<SyncAnswer>([&](SyncDone done) {
        groups_->Sync({{"g", joined.generation, id, {}}, {}, {}, shares}, std::move(done));
      });
      if (synced.error != ErrorCode::kNone) continue;
      if (synced.assignment == std::to_string(kMembers)) {
        newest = joined.generation;
        ++together;
        return;
      }
      while (groups_->Heartbeat({"g", joined.generation, id, {}}) == ErrorCode::kNone)
        std::this_thread::sleep_for(milliseconds(1));
    }
  });
  EXPECT_EQ(together, kMembers);
  const auto described = groups_->Describe("g");
  EXPECT_EQ(described.state, GroupState::kStable);
  EXPECT_EQ(described.members.size(), static_cast<size_t>(kMembers));
}

TEST_F(CoordinatorsThreads, TransactionsOfManyThreadsEndAndTheirOffsetsAreThere) {
  constexpr int kTransactions = 30;
  RunThreads(4, [this](int thread) {
    const std::string id = "t" + std::to_string(thread);
    const auto init = Wait<InitProducerIdAnswer>([&](auto done) {
      transactions_->InitProducerId(id, std::chrono::seconds(60), {}, std::move(done));
    });
    ASSERT_EQ(init.error, ErrorCode::kNone);
    const auto retry = [](const std::function<void(TransactionCoordinator::Done)>& call) {
      for (;;) {
        const ErrorCode error = Wait<ErrorCode>(call);
        if (error != ErrorCode::kConcurrentTransactions) return error;
        std::this_thread::sleep_for(milliseconds(1));
      }
    };
    for (int i = 1; i <= kTransactions; ++i) {
      ASSERT_EQ(retry([&](auto done) {
                  transactions_->AddPartitions(id, init.producer, {{"p", thread}}, std::move(done));
                }),
                ErrorCode::kNone);
      ASSERT_EQ(retry([&](auto done) {
                  transactions_->AddOffsets(id, init.producer, "g", std::move(done));
                }),
                ErrorCode::kNone);
      const auto errors = Wait<PartitionErrors>([&](CommitDone done) {
        groups_->CommitInTransaction({{"g", -1, {}, {}}, {{{"in", thread}, i}}}, init.producer,
                                     std::move(done));
      });
      ASSERT_EQ(errors.at(0), ErrorCode::kNone);
      ASSERT_EQ(retry([&](auto done) {
                  transactions_->End(id, init.producer, i % 2 == 0, std::move(done));
                }),
                ErrorCode::kNone);
    }
    // Nothing more is accepted before the last one is complete.
    ASSERT_EQ(retry([&](auto done) {
                transactions_->End(id, init.producer, kTransactions % 2 == 0, std::move(done));
              }),
              ErrorCode::kNone);
  });
  EXPECT_EQ(partitions_.written, 4u * kTransactions);
  for (int thread = 0; thread < 4; ++thread) {
    const auto fetched = groups_->Fetch("g", std::vector<TopicPartition>{{"in", thread}}, true);
    EXPECT_EQ(fetched.offsets[0].error, ErrorCode::kNone);
    EXPECT_EQ(fetched.offsets[0].committed.offset, kTransactions);
  }
}

}  // namespace
}  // namespace millrace::kafka_groups::coordinators_threads_test
