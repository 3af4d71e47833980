// TransactionCoordinator: Kafka's transactions (transaction version 1) and producer ids.
//
//   who acts      | state
//   the producer  | Empty → AddPartitions, AddOffsets → Ongoing → End → PrepareCommit or
//   PrepareAbort we            | Prepare… → the participants are told → CompleteCommit or
//   CompleteAbort a new producer, or the timeout | Ongoing → PrepareAbort under the next epoch,
//   which fences
//
// The durable Prepare record is the decision: End is answered then, and the participants are told
// until they have it, over restarts too.
//
// Promises, each held by transaction_model_test:
// 1. A transaction whose End was answered ends so on all of its partitions and groups; no
//    transaction ends both ways.
// 2. Of one producer id epochs never go back, and no two transactional ids share one.
// 3. Every `done` is called exactly once.
//
// Thread-safe, callbacks and time as in GroupCoordinator. A change of a transactional id that is on
// its way to the storage makes others wait: CONCURRENT_TRANSACTIONS, which clients try again. An
// epoch that is not the current one is answered with PRODUCER_FENCED; clients that do not know that
// code are to be told INVALID_PRODUCER_EPOCH. What goes wrong with the storage is answered with
// COORDINATOR_NOT_AVAILABLE.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "kafka_groups/durable_table.h"
#include "kafka_groups/participants.h"
#include "kafka_groups/producer_ids.h"
#include "kafka_groups/transaction.h"
#include "kafka_groups/turns.h"

namespace millrace::kafka_groups {

inline constexpr char kTransactionStateTopic[] = "__transaction_state";

struct TransactionOptions {
  const Clock* clock = nullptr;   // of the wall: ages. REQUIRED
  const Clock* timers = nullptr;  // that nobody sets: timeouts. REQUIRED

  std::chrono::milliseconds timeout_max{60'000};
  std::chrono::milliseconds id_expiration{7 * 24 * 3'600'000};  // idle transactional ids go
  std::chrono::milliseconds expiry_interval{60 * 60'000};
  std::chrono::milliseconds retry_interval{500};  // of telling participants, and of storing that
  size_t ids_max = 100'000;                       // beyond it POLICY_VIOLATION
  TableOptions table = {};
};

struct InitProducerIdAnswer {
  ErrorCode error = ErrorCode::kNone;
  ProducerIdentity producer = {};
};

struct TransactionDescription {
  ErrorCode error = ErrorCode::kNone;
  std::string transactional_id = {};
  Transaction transaction = {};
};

class TransactionCoordinator {
 public:
  using Done = std::function<void(ErrorCode)>;

  // Reads what the storage holds, and tells the participants what they may not know. Storage and
  // participants must outlive it, and complete everything before they go. kCorruption,
  // kNotSupported, kIo.
  static Result<std::unique_ptr<TransactionCoordinator>> Open(
      TransactionOptions options, Storage& storage, TransactionParticipants& participants);

  // Without a transactional id: a new producer id. `known`: what the producer was, when it goes on
  // after an error (KIP-360). An open transaction is aborted, and the answer is
  // CONCURRENT_TRANSACTIONS until that is done.
  void InitProducerId(const std::optional<std::string>& transactional_id,
                      std::chrono::milliseconds timeout, std::optional<ProducerIdentity> known,
                      std::function<void(InitProducerIdAnswer)> done);
  void AddPartitions(const std::string& transactional_id, ProducerIdentity producer,
                     const std::vector<TopicPartition>& partitions, Done done);
  void AddOffsets(const std::string& transactional_id, ProducerIdentity producer,
                  const std::string& group, Done done);
  void End(const std::string& transactional_id, ProducerIdentity producer, bool commit, Done done);

  // ---- For operators ----

  // All transactional ids, in order.
  std::vector<TransactionDescription> List() const;
  // TRANSACTIONAL_ID_NOT_FOUND.
  TransactionDescription Describe(const std::string& transactional_id) const;

  // ---- Time and life ----

  void Tick();
  // From now on everything is answered with COORDINATOR_NOT_AVAILABLE. What waits for the storage
  // is answered by its completion.
  void Shutdown();

 private:
  struct Entry {
    Transaction now = {};
    bool in_flight = false;  // its next state is on its way to the storage
    bool telling = false;    // the participants are being told
    bool told = false;       // they have it; only the Complete record is missing
    Micros timeout_at = {};  // while it is ongoing
    Micros retry_at = {};    // while it is prepared
  };
  struct InitRequest {
    std::string id;
    std::chrono::milliseconds timeout;
    std::optional<ProducerIdentity> known;
    std::function<void(InitProducerIdAnswer)> done;
  };

  TransactionCoordinator(TransactionOptions options, Storage& storage,
                         TransactionParticipants& participants);
  Status Load();
  Entry* Find(const std::string& id);

  void Init(const InitRequest& request, std::optional<int64_t> fresh_id);
  void InitWithFreshId(const InitRequest& request);
  void InitIdle(Entry& entry, const InitRequest& request, std::optional<int64_t> fresh_id);
  void AnswerInit(const std::function<void(InitProducerIdAnswer)>& done,
                  InitProducerIdAnswer answer);
  void StoreInit(const InitRequest& request, Entry& entry, Transaction next);

  // Whether the producer is the current one and nothing is on its way: else why not.
  ErrorCode CheckProducer(const std::string& id, ProducerIdentity producer);
  ErrorCode CheckOpen(const std::string& id, ProducerIdentity producer);
  void Answer(Done done, ErrorCode error);
  void AddTo(const std::string& id, Transaction next, std::optional<std::string> group, Done done);
  static ErrorCode CheckEnd(TransactionState state, bool commit);

  // Makes `next` durable and then current; `done` is told after that.
  void Store(const std::string& id, Entry& entry, Transaction next,
             std::function<void(const Status&)> done);
  static Transaction Fenced(const Transaction& transaction);
  void Tell(const std::string& id);
  void Told(const std::string& id, const Status& status);
  void Complete(const std::string& id);
  void TickOne(const std::string& id, Entry& entry, Micros now);
  void ExpireIds();

  const TransactionOptions options_;
  mutable Turns turns_;
  TransactionParticipants& participants_;

  // All within a turn.
  DurableTable table_;
  ProducerIds producer_ids_;
  std::map<std::string, Entry> entries_;
  // Those that Tick has to look at: ongoing or prepared.
  std::set<std::string> open_;
  Micros next_expiry_;
  bool shut_down_ = false;
};

}  // namespace millrace::kafka_groups
