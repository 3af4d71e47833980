#include "kafka_groups/transaction_coordinator.h"

#include <algorithm>

#include "base/logging.h"

namespace millrace::kafka_groups {

namespace {
ErrorCode StorageError(const Status& stored) {
  if (stored.ok()) return ErrorCode::kNone;
  LOG_WARNING("storing a transaction's state failed", "error={}", stored.error().ToString());
  // Trying a record again that is too large helps nobody.
  return stored.error().code() == Code::kTooLarge ? ErrorCode::kUnknownServerError
                                                  : ErrorCode::kCoordinatorNotAvailable;
}
}  // namespace

// ---- Start ----

Result<std::unique_ptr<TransactionCoordinator>> TransactionCoordinator::Open(
    TransactionOptions options, Storage& storage, TransactionParticipants& participants) {
  CHECK(options.clock != nullptr && options.timers != nullptr);
  std::unique_ptr<TransactionCoordinator> coordinator(
      new TransactionCoordinator(options, storage, participants));
  TRY(coordinator->Load().With("load transactions"));
  return coordinator;
}

TransactionCoordinator::TransactionCoordinator(TransactionOptions options, Storage& storage,
                                               TransactionParticipants& participants)
    : options_(options),
      participants_(participants),
      table_(turns_, storage, options.table),
      producer_ids_(table_),
      next_expiry_(Later(options.timers->Now(), options.expiry_interval)) {}

Status TransactionCoordinator::Load() {
  const Turns::Turn turn(turns_);
  TRY(table_.Load());
  TRY(producer_ids_.Load());
  Status loaded = Ok();
  const auto load = [&](const std::string& key, const std::string& value) -> Status {
    if (key == kProducerIdsKey) return Ok();
    TRY(const std::string id, DecodeTransactionKey(key));
    TRY(entries_[id].now, DecodeTransaction(value).With("transactional id " + Quoted(id)));
    return Ok();
  };
  table_.ForEach("", [&](const std::string& key, const std::string& value) {
    if (loaded.ok()) loaded = load(key, value);
  });
  TRY(std::move(loaded));
  for (auto& [id, entry] : entries_) {
    if (entry.now.IsIdle()) continue;
    open_.insert(id);
    if (entry.now.IsPrepared()) {
      Tell(id);
      continue;
    }
    // The producer could do nothing meanwhile: it has its time again.
    entry.timeout_at = Later(options_.timers->Now(), entry.now.timeout);
    for (const std::string& group : entry.now.groups) {
      turns_.After(
          [this, group, producer = entry.now.producer] { participants_.Begin(group, producer); });
    }
  }
  return Ok();
}

TransactionCoordinator::Entry* TransactionCoordinator::Find(const std::string& id) {
  const auto at = entries_.find(id);
  return at == entries_.end() ? nullptr : &at->second;
}

void TransactionCoordinator::Answer(Done done, ErrorCode error) {
  turns_.After([done = std::move(done), error] { done(error); });
}

void TransactionCoordinator::Store(const std::string& id, Entry& entry, Transaction next,
                                   std::function<void(const Status&)> done) {
  next.updated_at = options_.clock->Now();
  entry.in_flight = true;
  const std::string encoded = EncodeTransaction(next);
  const auto finish = [this, id, next = std::move(next),
                       done = std::move(done)](const Status& stored) {
    Entry& found = entries_.at(id);  // nothing lets it go while it is in flight
    found.in_flight = false;
    if (stored.ok()) {
      const bool begins = next.state == TransactionState::kOngoing &&  //
                          found.now.state != TransactionState::kOngoing;
      found.now = next;
      if (begins) found.timeout_at = Later(options_.timers->Now(), next.timeout);
      if (next.IsIdle()) {
        open_.erase(id);
      } else {
        open_.insert(id);
      }
      if (next.IsPrepared()) Tell(id);
    }
    done(stored);
  };
  const Status queued = table_.Apply({{TransactionKey(id), encoded}}, finish);
  if (!queued.ok()) finish(queued);
}

// ---- The producer's requests ----

ErrorCode TransactionCoordinator::CheckProducer(const std::string& id, ProducerIdentity producer) {
  if (shut_down_) return ErrorCode::kCoordinatorNotAvailable;
  if (id.empty()) return ErrorCode::kInvalidRequest;
  const Entry* entry = Find(id);
  if (entry == nullptr || entry->now.producer.id != producer.id)
    return ErrorCode::kInvalidProducerIdMapping;
  if (entry->now.producer.epoch != producer.epoch) return ErrorCode::kProducerFenced;
  return entry->in_flight ? ErrorCode::kConcurrentTransactions : ErrorCode::kNone;
}

ErrorCode TransactionCoordinator::CheckOpen(const std::string& id, ProducerIdentity producer) {
  const ErrorCode error = CheckProducer(id, producer);
  if (error != ErrorCode::kNone) return error;
  return Find(id)->now.IsPrepared() ? ErrorCode::kConcurrentTransactions : ErrorCode::kNone;
}

void TransactionCoordinator::AddPartitions(const std::string& id, ProducerIdentity producer,
                                           const std::vector<TopicPartition>& partitions,
                                           Done done) {
  const Turns::Turn turn(turns_);
  const ErrorCode error = CheckOpen(id, producer);
  if (error != ErrorCode::kNone) return Answer(std::move(done), error);
  Transaction next = Find(id)->now;
  next.partitions.insert(partitions.begin(), partitions.end());
  if (next.partitions.size() == Find(id)->now.partitions.size())
    return Answer(std::move(done), ErrorCode::kNone);
  AddTo(id, std::move(next), std::nullopt, std::move(done));
}

void TransactionCoordinator::AddOffsets(const std::string& id, ProducerIdentity producer,
                                        const std::string& group, Done done) {
  const Turns::Turn turn(turns_);
  ErrorCode error = CheckOpen(id, producer);
  if (error == ErrorCode::kNone && group.empty()) error = ErrorCode::kInvalidGroupId;
  if (error != ErrorCode::kNone) return Answer(std::move(done), error);
  Transaction next = Find(id)->now;
  if (!next.groups.insert(group).second) return Answer(std::move(done), ErrorCode::kNone);
  AddTo(id, std::move(next), group, std::move(done));
}

void TransactionCoordinator::AddTo(const std::string& id, Transaction next,
                                   std::optional<std::string> group, Done done) {
  if (next.state != TransactionState::kOngoing) {
    next.state = TransactionState::kOngoing;
    next.started_at = options_.clock->Now();
  }
  const ProducerIdentity producer = next.producer;
  Store(
      id, *Find(id), std::move(next),
      [this, producer, group = std::move(group), done = std::move(done)](const Status& stored) {
        if (stored.ok() && group) {
          turns_.After([this, group = *group, producer] { participants_.Begin(group, producer); });
        }
        Answer(done, StorageError(stored));
      });
}

ErrorCode TransactionCoordinator::CheckEnd(TransactionState state, bool commit) {
  switch (state) {
    case TransactionState::kOngoing:
      return ErrorCode::kNone;
    case TransactionState::kEmpty:
      return ErrorCode::kInvalidTxnState;
    case TransactionState::kPrepareCommit:
      return commit ? ErrorCode::kConcurrentTransactions : ErrorCode::kInvalidTxnState;
    case TransactionState::kPrepareAbort:
      return commit ? ErrorCode::kInvalidTxnState : ErrorCode::kConcurrentTransactions;
    case TransactionState::kCompleteCommit:  // repeated
      return commit ? ErrorCode::kNone : ErrorCode::kInvalidTxnState;
    case TransactionState::kCompleteAbort:
      return commit ? ErrorCode::kInvalidTxnState : ErrorCode::kNone;
  }
  return ErrorCode::kInvalidTxnState;
}

void TransactionCoordinator::End(const std::string& id, ProducerIdentity producer, bool commit,
                                 Done done) {
  const Turns::Turn turn(turns_);
  ErrorCode error = CheckProducer(id, producer);
  if (error == ErrorCode::kNone) error = CheckEnd(Find(id)->now.state, commit);
  if (error != ErrorCode::kNone || Find(id)->now.state != TransactionState::kOngoing)
    return Answer(std::move(done), error);
  Transaction next = Find(id)->now;
  next.state = commit ? TransactionState::kPrepareCommit : TransactionState::kPrepareAbort;
  Store(id, *Find(id), std::move(next), [this, done = std::move(done)](const Status& stored) {
    Answer(done, StorageError(stored));
  });
}

// ---- After the decision ----

void TransactionCoordinator::Tell(const std::string& id) {
  Entry& entry = entries_.at(id);
  entry.telling = true;
  entry.told = false;
  TransactionOutcome outcome;
  outcome.producer = entry.now.producer;
  outcome.commit = entry.now.state == TransactionState::kPrepareCommit;
  outcome.partitions.assign(entry.now.partitions.begin(), entry.now.partitions.end());
  outcome.groups.assign(entry.now.groups.begin(), entry.now.groups.end());
  turns_.After([this, id, outcome = std::move(outcome)] {
    participants_.End(outcome, [this, id](const Status& status) {
      const Turns::Turn turn(turns_);
      Told(id, status);
    });
  });
}

void TransactionCoordinator::Told(const std::string& id, const Status& status) {
  Entry& entry = entries_.at(id);
  entry.telling = false;
  entry.retry_at = Later(options_.timers->Now(), options_.retry_interval);
  if (!status.ok()) {
    LOG_WARNING("ending a transaction failed; it is tried again", "transactional_id={} error={}",
                id, status.error().ToString());
    return;
  }
  entry.told = true;
  Complete(id);
}

void TransactionCoordinator::Complete(const std::string& id) {
  Entry& entry = entries_.at(id);
  Transaction next = entry.now;
  next.state = entry.now.state == TransactionState::kPrepareCommit
                   ? TransactionState::kCompleteCommit
                   : TransactionState::kCompleteAbort;
  next.partitions.clear();
  next.groups.clear();
  next.started_at = Micros{};
  Store(id, entry, std::move(next), [this, id](const Status& stored) {
    if (StorageError(stored) == ErrorCode::kNone) return;
    entries_.at(id).retry_at = Later(options_.timers->Now(), options_.retry_interval);
  });
}

// ---- Time ----

void TransactionCoordinator::Tick() {
  const Turns::Turn turn(turns_);
  if (shut_down_) return;
  const Micros now = options_.timers->Now();
  const std::set<std::string> open = open_;
  for (const std::string& id : open) TickOne(id, entries_.at(id), now);
  if (now >= next_expiry_) {
    next_expiry_ = Later(now, options_.expiry_interval);
    ExpireIds();
  }
  table_.Tick();
}

void TransactionCoordinator::TickOne(const std::string& id, Entry& entry, Micros now) {
  if (entry.in_flight || entry.telling) return;
  if (entry.now.IsPrepared()) {
    if (now < entry.retry_at) return;
    entry.told ? Complete(id) : Tell(id);
    return;
  }
  if (now < entry.timeout_at) return;
  LOG_INFO("transaction timed out and is aborted", "transactional_id={} producer_id={} epoch={}",
           id, entry.now.producer.id, entry.now.producer.epoch);
  Store(id, entry, Fenced(entry.now), [](const Status& stored) { (void)StorageError(stored); });
}

void TransactionCoordinator::ExpireIds() {
  const Micros now = options_.clock->Now();
  for (auto& [id, entry] : entries_) {
    if (entry.in_flight || !entry.now.IsIdle()) continue;
    if (Later(entry.now.updated_at, options_.id_expiration) > now) continue;
    entry.in_flight = true;
    const auto finish = [this, id = id](const Status& stored) {
      if (StorageError(stored) == ErrorCode::kNone) {
        entries_.erase(id);
      } else {
        entries_.at(id).in_flight = false;
      }
    };
    const Status queued = table_.Apply({{TransactionKey(id), std::nullopt}}, finish);
    // The next pass tries again; the entry must not go while we walk over them.
    if (StorageError(queued) != ErrorCode::kNone) entry.in_flight = false;
  }
}

void TransactionCoordinator::Shutdown() {
  const Turns::Turn turn(turns_);
  shut_down_ = true;
}

// ---- For operators ----

std::vector<TransactionDescription> TransactionCoordinator::List() const {
  const Turns::Turn turn(turns_);
  std::vector<TransactionDescription> out;
  for (const auto& [id, entry] : entries_) out.push_back({ErrorCode::kNone, id, entry.now});
  return out;
}

TransactionDescription TransactionCoordinator::Describe(const std::string& id) const {
  const Turns::Turn turn(turns_);
  const auto at = entries_.find(id);
  if (at == entries_.end()) return {ErrorCode::kTransactionalIdNotFound, id, {}};
  return {ErrorCode::kNone, id, at->second.now};
}

}  // namespace millrace::kafka_groups
