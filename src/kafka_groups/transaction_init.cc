// TransactionCoordinator: InitProducerId (KIP-98, KIP-360).
#include "kafka_groups/transaction_coordinator.h"

namespace millrace::kafka_groups {

void TransactionCoordinator::InitProducerId(const std::optional<std::string>& id,
                                            std::chrono::milliseconds timeout,
                                            std::optional<ProducerIdentity> known,
                                            std::function<void(InitProducerIdAnswer)> done) {
  const Turns::Turn turn(turns_);
  if (shut_down_) return AnswerInit(done, {ErrorCode::kCoordinatorNotAvailable});
  if (!id) {
    producer_ids_.Next([this, done = std::move(done)](Result<int64_t> fresh) {
      if (!fresh.ok()) return AnswerInit(done, {ErrorCode::kCoordinatorNotAvailable});
      AnswerInit(done, {ErrorCode::kNone, {*fresh, 0}});
    });
    return;
  }
  if (id->empty()) return AnswerInit(done, {ErrorCode::kInvalidRequest});
  if (timeout.count() <= 0 || timeout > options_.timeout_max)
    return AnswerInit(done, {ErrorCode::kInvalidTransactionTimeout});
  Init({*id, timeout, known, std::move(done)}, std::nullopt);
}

void TransactionCoordinator::AnswerInit(const std::function<void(InitProducerIdAnswer)>& done,
                                        InitProducerIdAnswer answer) {
  turns_.After([done, answer] { done(answer); });
}

// Comes back to Init, where everything may be different by then: without need the id is lost.
void TransactionCoordinator::InitWithFreshId(const InitRequest& request) {
  producer_ids_.Next([this, request](Result<int64_t> fresh) {
    if (!fresh.ok()) return AnswerInit(request.done, {ErrorCode::kCoordinatorNotAvailable});
    Init(request, *fresh);
  });
}

void TransactionCoordinator::Init(const InitRequest& request, std::optional<int64_t> fresh_id) {
  Entry* entry = Find(request.id);
  if (entry == nullptr) {
    if (entries_.size() >= options_.ids_max)
      return AnswerInit(request.done, {ErrorCode::kPolicyViolation});
    if (!fresh_id) return InitWithFreshId(request);
    Transaction first;
    first.producer = {*fresh_id, 0};
    return StoreInit(request, entries_[request.id], std::move(first));
  }
  if (entry->in_flight) return AnswerInit(request.done, {ErrorCode::kConcurrentTransactions});
  const Transaction& now = entry->now;
  // The producer is the current one, or was until its epochs were used up, and repeats its request.
  if (request.known && request.known->id != now.producer.id &&
      !(request.known->id == now.former.id && request.known->epoch >= kLastEpochGiven))
    return AnswerInit(request.done, {ErrorCode::kProducerFenced});
  switch (now.state) {
    case TransactionState::kPrepareCommit:
    case TransactionState::kPrepareAbort:
      return AnswerInit(request.done, {ErrorCode::kConcurrentTransactions});
    case TransactionState::kOngoing:
      if (request.known && *request.known != now.producer)
        return AnswerInit(request.done, {ErrorCode::kProducerFenced});
      // The epoch that aborts it is given to nobody: the request is to come again.
      return Store(request.id, *entry, Fenced(now),
                   [this, done = request.done](const Status& stored) {
                     AnswerInit(done, {stored.ok() ? ErrorCode::kConcurrentTransactions
                                                   : ErrorCode::kCoordinatorNotAvailable});
                   });
    case TransactionState::kEmpty:
    case TransactionState::kCompleteCommit:
    case TransactionState::kCompleteAbort:
      return InitIdle(*entry, request, fresh_id);
  }
}

void TransactionCoordinator::InitIdle(Entry& entry, const InitRequest& request,
                                      std::optional<int64_t> fresh_id) {
  const Transaction& now = entry.now;
  if (request.known && *request.known != now.producer) {
    // Repeated: nobody else has come since, or `former` would be nobody.
    if (*request.known == now.former)
      return AnswerInit(request.done, {ErrorCode::kNone, now.producer});
    return AnswerInit(request.done, {ErrorCode::kProducerFenced});
  }
  Transaction next = now;
  next.state = TransactionState::kEmpty;
  next.former = request.known ? now.producer : ProducerIdentity{};
  if (!now.IsExhausted()) {
    ++next.producer.epoch;
  } else {
    if (!fresh_id) return InitWithFreshId(request);
    next.producer = {*fresh_id, 0};
  }
  StoreInit(request, entry, std::move(next));
}

void TransactionCoordinator::StoreInit(const InitRequest& request, Entry& entry, Transaction next) {
  next.timeout = request.timeout;
  const ProducerIdentity producer = next.producer;
  Store(request.id, entry, std::move(next),
        [this, id = request.id, done = request.done, producer](const Status& stored) {
          if (!stored.ok()) {
            // One that never was is not kept.
            if (Find(id)->now.producer.id < 0) entries_.erase(id);
            return AnswerInit(done, {ErrorCode::kCoordinatorNotAvailable});
          }
          AnswerInit(done, {ErrorCode::kNone, producer});
        });
}

// The abort of an open transaction that fences its producer.
Transaction TransactionCoordinator::Fenced(const Transaction& transaction) {
  Transaction next = transaction;
  next.state = TransactionState::kPrepareAbort;
  // No producer has the last epoch, so there is a next one.
  CHECK(next.producer.epoch < INT16_MAX);
  ++next.producer.epoch;
  next.former = {};
  return next;
}

}  // namespace millrace::kafka_groups
