#include "kafka/coordinators.h"

#include <random>
#include <set>

#include "base/logging.h"
#include "kafka_groups/steady_clock.h"

namespace millrace::kafka {

namespace {

constexpr std::chrono::milliseconds kTick{100};

// After the records of transactions were lost to damage, one may be open in the log of which nobody
// knows: it would hold back readers for ever.
Status AbortUnknown(log::Log& log, const kafka_groups::TransactionCoordinator& transactions) {
  std::set<int64_t> known;
  for (const auto& description : transactions.List()) {
    if (!description.transaction.IsIdle()) known.insert(description.transaction.producer.id);
  }
  for (const log::OpenTransaction& open : log.OpenTransactions()) {
    if (known.contains(open.producer.id)) continue;
    LOG_ERROR("an open transaction that no record tells of any more is aborted",
              "topic_id={:#x} partition={} producer={} first={}", open.partition.topic.value,
              open.partition.partition, open.producer.id, open.first.value);
    TRY(log.AppendMarkersAndWait(
        {open.producer, log::TransactionOutcome::kAbort, 0, {open.partition}}));
  }
  return Ok();
}

const Clock& Timers() {
  static const kafka_groups::SteadyClock clock;
  return clock;
}

}  // namespace

Result<std::unique_ptr<Coordinators>> Coordinators::Open(Backend& backend) {
  std::unique_ptr<Coordinators> made(new Coordinators(backend));
  log::Log& log = backend.log();
  TRY(made->group_storage_,
      kafka_groups::LogStorage::Open(log, kafka_groups::kConsumerOffsetsTopic));
  kafka_groups::GroupOptions options;
  options.clock = &Clock::System();
  options.timers = &Timers();
  std::random_device random;
  options.seed = (uint64_t{random()} << 32) | random();
  TRY(made->groups_, kafka_groups::GroupCoordinator::Open(options, *made->group_storage_));
  TRY(made->transaction_storage_,
      kafka_groups::LogStorage::Open(log, kafka_groups::kTransactionStateTopic));
  made->participants_ =
      std::make_unique<kafka_groups::GroupsAndPartitions>(*made->groups_, made->markers_);
  kafka_groups::TransactionOptions transactions;
  transactions.clock = &Clock::System();
  transactions.timers = &Timers();
  TRY(made->transactions_, kafka_groups::TransactionCoordinator::Open(
                               transactions, *made->transaction_storage_, *made->participants_));
  if (made->transaction_storage_->lost_records()) TRY(AbortUnknown(log, *made->transactions_));
  made->ticker_ = std::thread([raw = made.get()] { raw->Run(); });
  return made;
}

Coordinators::~Coordinators() {
  if (!ticker_.joinable()) return;  // Open failed
  Shutdown();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  ticker_.join();
}

void Coordinators::Shutdown() {
  transactions_->Shutdown();
  groups_->Shutdown();
}

void Coordinators::Run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kTick, [this] { return stopping_; })) {
    lock.unlock();
    groups_->Tick();
    transactions_->Tick();
    lock.lock();
  }
}

}  // namespace millrace::kafka
