// Helpers of the tests of transactions: a coordinator over a disk in memory, and participants that
// answer when the test wants.
#pragma once

#include <memory>

#include "kafka_groups/group_testing.h"
#include "kafka_groups/transaction_coordinator.h"

namespace millrace::kafka_groups {

// Takes down what it is told, and lets the test answer.
class FakeParticipants final : public TransactionParticipants {
 public:
  void Begin(const std::string& group, ProducerIdentity producer) override {
    begun.emplace_back(group, producer);
  }
  void End(const TransactionOutcome& outcome, std::function<void(Status)> done) override {
    ended.push_back(outcome);
    waiting.push_back(std::move(done));
  }
  void Answer(const Status& status = Ok()) {
    for (auto& done : std::exchange(waiting, {})) done(status);
  }

  std::vector<std::pair<std::string, ProducerIdentity>> begun;
  std::vector<TransactionOutcome> ended;
  std::vector<std::function<void(Status)>> waiting;
};

class Transactions {
 public:
  explicit Transactions(TransactionOptions options = {}) : options_(options) { Start(); }

  void Start() {
    coordinator_.reset();
    participants = FakeParticipants();
    storage_ = std::make_unique<MemoryStorage>(disk);
    options_.clock = &clock;
    options_.timers = &clock;
    auto opened = TransactionCoordinator::Open(options_, *storage_, participants);
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    coordinator_ = *std::move(opened);
  }
  void Crash(size_t durable = 0) {
    storage_->LosePower(durable);
    Start();
  }
  TransactionCoordinator* operator->() { return coordinator_.get(); }
  MemoryStorage& storage() { return *storage_; }
  void Store() { storage_->RunAll(); }
  void Advance(std::chrono::milliseconds by) {
    clock.Advance(by);
    coordinator_->Tick();
    Store();
  }

  Awaited<InitProducerIdAnswer> Init(const std::optional<std::string>& id = "t",
                                     std::optional<ProducerIdentity> known = {},
                                     std::chrono::milliseconds timeout = std::chrono::seconds(30)) {
    Awaited<InitProducerIdAnswer> answer;
    coordinator_->InitProducerId(id, timeout, known, answer.Done());
    Store();
    return answer;
  }
  ProducerIdentity InitOk(const std::string& id = "t") {
    const auto answer = Init(id);
    EXPECT_EQ(answer->error, ErrorCode::kNone);
    return answer->producer;
  }
  ErrorCode Add(ProducerIdentity producer, const std::vector<TopicPartition>& partitions,
                const std::string& id = "t") {
    Awaited<ErrorCode> answer;
    coordinator_->AddPartitions(id, producer, partitions, answer.Done());
    Store();
    return *answer;
  }
  ErrorCode AddOffsets(ProducerIdentity producer, const std::string& group) {
    Awaited<ErrorCode> answer;
    coordinator_->AddOffsets("t", producer, group, answer.Done());
    Store();
    return *answer;
  }
  ErrorCode End(ProducerIdentity producer, bool commit, const std::string& id = "t") {
    Awaited<ErrorCode> answer;
    coordinator_->End(id, producer, commit, answer.Done());
    Store();
    return *answer;
  }
  void Told(const Status& status = Ok()) {
    participants.Answer(status);
    Store();
  }
  TransactionState State(const std::string& id = "t") {
    return coordinator_->Describe(id).transaction.state;
  }

  MemoryDisk disk;
  ManualClock clock{Micros{1'000'000'000}};
  FakeParticipants participants;

 private:
  TransactionOptions options_;
  std::unique_ptr<MemoryStorage> storage_;
  std::unique_ptr<TransactionCoordinator> coordinator_;
};

}  // namespace millrace::kafka_groups
