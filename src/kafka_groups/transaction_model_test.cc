// Random schedules of producers that share transactional ids, over real groups and partitions in
// memory, with a node that dies between any two calls to the storage. MILLRACE_SEED repeats a
// history, MILLRACE_HISTORIES says how many to run.
//
// Held: a transaction ends the same way on all of its partitions and for its offsets, and as End
// was answered; markers and epochs never go back; no two transactional ids share a producer id. At
// the end nothing is open.
#include <gtest/gtest.h>

#include "base/logging.h"
#include "kafka_groups/group_testing.h"
#include "kafka_groups/transaction_coordinator.h"

namespace millrace::kafka_groups::transaction_model_test {
namespace {

using std::chrono::milliseconds;

constexpr int kPartitions = 4;
const char* const kGroups[] = {"g0", "g1"};

// A record of a transaction (its number), or a marker.
struct Entry {
  ProducerIdentity producer;
  std::optional<int> transaction;
  bool commit = false;
};

// Partitions whose appends are durable at once; markers wait in a queue, and may fail.
class Partitions final : public MarkerWriter {
 public:
  void Write(const TransactionOutcome& outcome, std::function<void(Status)> done) override {
    queue_.emplace_back(outcome, std::move(done));
  }
  // As a log does: an older epoch is fenced by a newer one's records and markers.
  bool Append(int partition, ProducerIdentity producer, int transaction) {
    for (const Entry& entry : logs_[partition]) {
      if (entry.producer.id == producer.id && entry.producer.epoch > producer.epoch) return false;
    }
    logs_[partition].push_back({producer, transaction});
    return true;
  }
  bool RunOne(bool fail) {
    if (queue_.empty()) return false;
    auto [outcome, done] = std::move(queue_.front());
    queue_.pop_front();
    if (fail) {
      done(Error(Code::kOverloaded, "full"));
      return true;
    }
    WriteMarkers(outcome);
    done(Ok());
    return true;
  }
  // Some of what is queued is written, but nobody hears of it.
  void Crash(size_t durable) {
    for (; durable > 0 && !queue_.empty(); --durable) {
      WriteMarkers(queue_.front().first);
      queue_.pop_front();
    }
    queue_.clear();
  }
  size_t queued() const { return queue_.size(); }
  const std::vector<Entry>& log(int partition) const { return logs_[partition]; }

 private:
  void WriteMarkers(const TransactionOutcome& outcome) {
    for (const TopicPartition& partition : outcome.partitions)
      logs_[partition.partition].push_back({outcome.producer, std::nullopt, outcome.commit});
  }
  std::vector<Entry> logs_[kPartitions];
  std::deque<std::pair<TransactionOutcome, std::function<void(Status)>>> queue_;
};

// What the model knows of a transaction that somebody began.
struct Began {
  std::string id = {};                // transactional
  std::optional<bool> answered = {};  // how End was answered, if it was
  std::set<int> partitions = {};      // that hold records of it
  std::set<std::string> groups = {};  // whose commit within was answered
};

struct Producer {
  std::string id;
  std::optional<ProducerIdentity> identity = {};
  std::optional<int> transaction = {};
  std::set<int> added = {};               // partitions
  std::optional<std::string> group = {};  // added
  std::optional<bool> ending = {};        // End was asked for, and perhaps not answered
  std::optional<Awaited<ErrorCode>> asked = {};
  std::function<void(ErrorCode)> then = {};
  std::optional<Awaited<InitProducerIdAnswer>> init = {};
  std::optional<Awaited<PartitionErrors>> offsets = {};
};

class History {
 public:
  explicit History(uint64_t seed) : random_(seed) {
    options_.retry_interval = milliseconds(200);
    options_.table = {.rewrite_bytes_min = 1000, .piece_bytes = 1 + random_.Below(300)};
    Start();
    for (int i = 0; i < 4; ++i) producers_.push_back({"t" + std::to_string(random_.Below(2))});
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      Act(producers_[random_.Below(producers_.size())]);
      Move();
      if (random_.OneIn(40)) Crash();
    }
    if (::testing::Test::HasFailure()) return;
    // Everybody goes; what is open times out.
    for (int i = 0; i < 400; ++i) {
      while (transactions_storage_->RunOne() || groups_storage_->RunOne() ||
             partitions_.RunOne(false)) {
      }
      clock_.Advance(milliseconds(500));
      transactions_->Tick();
      groups_->Tick();
    }
    Check();
  }

 private:
  void Start() {
    transactions_.reset();
    groups_.reset();
    groups_storage_ = std::make_unique<MemoryStorage>(groups_disk_);
    transactions_storage_ = std::make_unique<MemoryStorage>(transactions_disk_);
    GroupOptions group_options;
    group_options.clock = group_options.timers = &clock_;
    group_options.seed = ++lives_;
    group_options.table = options_.table;
    auto groups = GroupCoordinator::Open(group_options, *groups_storage_);
    ASSERT_TRUE(groups.ok()) << groups.error().ToString();
    groups_ = *std::move(groups);
    participants_ = std::make_unique<GroupsAndPartitions>(*groups_, partitions_);
    options_.clock = options_.timers = &clock_;
    auto opened = TransactionCoordinator::Open(options_, *transactions_storage_, *participants_);
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    transactions_ = *std::move(opened);
  }

  void Crash() {
    transactions_storage_->LosePower(random_.Below(transactions_storage_->queued() + 1));
    groups_storage_->LosePower(random_.Below(groups_storage_->queued() + 1));
    partitions_.Crash(random_.Below(partitions_.queued() + 1));
    for (Producer& producer : producers_) {
      producer.asked.reset();
      producer.init.reset();
      producer.offsets.reset();
    }
    Start();
  }

  void Move() {
    for (uint64_t n = random_.Below(4); n > 0; --n) {
      switch (random_.Below(3)) {
        case 0:
          transactions_storage_->RunOne();
          break;
        case 1:
          groups_storage_->RunOne();
          break;
        default:
          partitions_.RunOne(/*fail=*/random_.OneIn(6));
      }
    }
    clock_.Advance(milliseconds(random_.Below(100)));
    if (random_.OneIn(3)) transactions_->Tick();
    if (random_.OneIn(3)) groups_->Tick();
  }

  void Act(Producer& producer) {
    if (producer.init) {
      if (producer.init->answered()) Initialised(producer);
      return;
    }
    if (producer.asked) {
      if (!producer.asked->answered()) return;
      const ErrorCode error = **producer.asked;
      producer.asked.reset();
      const auto then = std::move(producer.then);  // it may reset the producer
      return then(error);
    }
    if (producer.offsets) {
      if (!producer.offsets->answered()) return;
      if ((*producer.offsets)->at(0) == ErrorCode::kNone)
        began_[*producer.transaction].groups.insert(*producer.group);
      producer.offsets.reset();
      return;
    }
    if (!producer.identity || random_.OneIn(40)) return Initialise(producer);
    if (producer.ending) return End(producer, *producer.ending);
    if (!producer.transaction) {
      producer.transaction = next_transaction_++;
      began_[*producer.transaction].id = producer.id;
      producer.added.clear();
      producer.group.reset();
    }
    switch (random_.Below(5)) {
      case 0:
        return AddPartition(producer);
      case 1:
        return AddGroup(producer);
      case 2:
        return CommitOffsets(producer);
      case 3:
        return Produce(producer);
      default:
        if (producer.added.empty() && !producer.group) return;
        return End(producer, !random_.OneIn(3));
    }
  }

  void Initialise(Producer& producer) {
    const std::string id = producer.id;
    std::optional<ProducerIdentity> known;
    if (producer.identity && random_.OneIn(2)) known = producer.identity;
    producer = {id};
    producer.init.emplace();
    transactions_->InitProducerId(id, milliseconds(1 + random_.Below(4000)), known,
                                  producer.init->Done());
  }

  void Initialised(Producer& producer) {
    const InitProducerIdAnswer answer = **producer.init;
    producer.init.reset();
    if (answer.error != ErrorCode::kNone) {
      EXPECT_TRUE(answer.error == ErrorCode::kConcurrentTransactions ||
                  answer.error == ErrorCode::kProducerFenced)
          << kafka::ErrorName(answer.error);
      return;
    }
    producer.identity = answer.producer;
    const auto [owner, first] = owners_.try_emplace(answer.producer.id, producer.id);
    EXPECT_EQ(owner->second, producer.id) << "a producer id of two transactional ids";
    // Answers may be read late, so epochs need not come in order.
    EXPECT_TRUE(given_.insert({answer.producer.id, answer.producer.epoch}).second)
        << "epoch " << answer.producer.epoch << " was given twice";
  }

  // What a client does about an error that is not its request's own.
  void Failed(Producer& producer, ErrorCode error) {
    switch (error) {
      case ErrorCode::kConcurrentTransactions:
        return;  // it tries again
      case ErrorCode::kProducerFenced:
      case ErrorCode::kInvalidTxnState:
      case ErrorCode::kInvalidProducerIdMapping:
        producer = {producer.id};
        return;
      default:
        FAIL() << kafka::ErrorName(error);
    }
  }

  void Ask(Producer& producer, std::function<void()> succeeded) {
    producer.asked.emplace();
    producer.then = [this, &producer, succeeded = std::move(succeeded)](ErrorCode error) {
      if (error == ErrorCode::kNone) return succeeded();
      Failed(producer, error);
    };
  }

  void AddPartition(Producer& producer) {
    const int partition = static_cast<int>(random_.Below(kPartitions));
    Ask(producer, [&producer, partition] { producer.added.insert(partition); });
    transactions_->AddPartitions(producer.id, *producer.identity, {{"p", partition}},
                                 producer.asked->Done());
  }

  void AddGroup(Producer& producer) {
    if (producer.group) return;
    const std::string group = kGroups[random_.Below(2)];
    Ask(producer, [&producer, group] { producer.group = group; });
    transactions_->AddOffsets(producer.id, *producer.identity, group, producer.asked->Done());
  }

  // Each transaction commits its own number, for a partition named after the transactional id.
  void CommitOffsets(Producer& producer) {
    if (!producer.group) return;
    producer.offsets.emplace();
    groups_->CommitInTransaction({{*producer.group}, {{{producer.id, 0}, *producer.transaction}}},
                                 *producer.identity, producer.offsets->Done());
  }

  void Produce(Producer& producer) {
    if (producer.added.empty()) return;
    auto at = producer.added.begin();
    std::advance(at, random_.Below(producer.added.size()));
    if (!partitions_.Append(*at, *producer.identity, *producer.transaction)) {
      producer = {producer.id};
      return;
    }
    began_[*producer.transaction].partitions.insert(*at);
  }

  void End(Producer& producer, bool commit) {
    producer.ending = commit;
    Ask(producer, [this, &producer, commit] {
      began_[*producer.transaction].answered = commit;
      producer.transaction.reset();
      producer.ending.reset();
    });
    transactions_->End(producer.id, *producer.identity, commit, producer.asked->Done());
  }

  // How each transaction ended on a partition: by the next marker of its producer id.
  std::map<int, bool> OutcomesOn(int partition) const {
    std::map<int, bool> outcomes;
    std::map<int64_t, std::set<int>> open;
    std::map<int64_t, int16_t> epochs;
    for (const Entry& entry : partitions_.log(partition)) {
      auto& epoch = epochs[entry.producer.id];
      EXPECT_GE(entry.producer.epoch, epoch) << "an epoch went back";
      epoch = entry.producer.epoch;
      auto& mine = open[entry.producer.id];
      if (entry.transaction) {
        mine.insert(*entry.transaction);
        continue;
      }
      EXPECT_LE(mine.size(), 1u) << "one marker for two transactions";
      for (const int number : mine) outcomes[number] = entry.commit;
      mine.clear();
    }
    for (const auto& [id, mine] : open) EXPECT_TRUE(mine.empty()) << "without a marker";
    return outcomes;
  }

  void Check() {
    std::map<int, std::set<bool>> outcomes;
    for (int partition = 0; partition < kPartitions; ++partition) {
      for (const auto& [number, commit] : OutcomesOn(partition)) outcomes[number].insert(commit);
    }
    for (const auto& [number, began] : began_) {
      if (!began.partitions.empty()) {
        ASSERT_EQ(outcomes[number].size(), 1u) << "transaction " << number;
        if (began.answered) {
          EXPECT_EQ(*outcomes[number].begin(), *began.answered) << "transaction " << number;
        }
      } else if (began.answered) {
        outcomes[number] = {*began.answered};
      }
    }
    for (const TransactionDescription& described : transactions_->List()) {
      EXPECT_TRUE(described.transaction.IsIdle());
      CheckOffsets(described.transactional_id, outcomes);
    }
  }

  // The newest committed transaction that had offsets is what the group shows, or one newer whose
  // commit within was never answered.
  void CheckOffsets(const std::string& id, std::map<int, std::set<bool>>& outcomes) {
    for (const std::string group : kGroups) {
      const auto fetched = groups_->Fetch(group, std::vector<TopicPartition>{{id, 0}}, true);
      ASSERT_EQ(fetched.offsets[0].error, ErrorCode::kNone) << "still unstable";
      const int shown = static_cast<int>(fetched.offsets[0].committed.offset);
      if (shown >= 0 && !outcomes[shown].empty()) {
        EXPECT_TRUE(outcomes[shown].contains(true)) << "shows offsets of an aborted transaction";
      }
      for (const auto& [number, began] : began_) {
        const bool committed = outcomes[number].contains(true);
        if (committed && began.id == id && began.groups.contains(group)) {
          EXPECT_GE(shown, number) << "lost the offsets of a transaction";
        }
      }
    }
  }

  Random random_;
  ManualClock clock_{Micros{1'000'000'000}};
  uint64_t lives_ = 0;
  TransactionOptions options_;
  MemoryDisk groups_disk_, transactions_disk_;
  Partitions partitions_;
  std::unique_ptr<MemoryStorage> groups_storage_, transactions_storage_;
  std::unique_ptr<GroupCoordinator> groups_;
  std::unique_ptr<GroupsAndPartitions> participants_;
  std::unique_ptr<TransactionCoordinator> transactions_;

  std::vector<Producer> producers_;
  int next_transaction_ = 0;
  std::map<int, Began> began_;
  std::map<int64_t, std::string> owners_;
  std::set<std::pair<int64_t, int16_t>> given_;
};

TEST(TransactionModel, RandomSchedulesWithCrashesKeepItsPromises) {
  const uint64_t seed = SeedFromEnvironment(1);
  const char* text = std::getenv("MILLRACE_HISTORIES");
  const int histories = text == nullptr ? 200 : std::atoi(text);
  SetLogLevel(LogLevel::kError);  // markers fail all the time
  for (int i = 0; i < histories && !::testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE("seed " + std::to_string(seed + static_cast<uint64_t>(i)));
    History(seed + static_cast<uint64_t>(i)).Run(1500);
  }
}

}  // namespace
}  // namespace millrace::kafka_groups::transaction_model_test
