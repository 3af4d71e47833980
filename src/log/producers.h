// Producers is what a partition knows of its idempotent producers, so that a batch that is sent
// again is not stored again, and one that comes too early is refused. The rules are Kafka's
// (KIP-98, KIP-360):
//
//   same epoch, and exactly the sequences of one of the last five batches → it is stored already
//   lower epoch → refused: the producer was fenced
//   higher epoch → sequences begin at 0 again
//   sequence that does not follow the last one → refused; after 2^31-1 comes 0
//   unknown producer → any first sequence, as the state of an idle one is forgotten after a while;
//     but 0 where the partition never held a record, since nothing can have been forgotten there
//
// A transactional batch opens a transaction of its producer, a marker ends it (transactions.h); a
// batch outside of one is refused meanwhile. A marker of a higher epoch fences the producer.
//
// A ProducerState is a value: the leader decides on copies (ProducerStaging) while a frame is being
// written, Producers holds what is durable. Not thread-safe; guarded by its partition.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/coding.h"
#include "base/result.h"
#include "log/transactions.h"

namespace millrace::log {

inline constexpr size_t kRememberedBatches = 5;

// What sequencing needs of a batch.
struct ProducerBatch {
  Producer producer;
  int32_t base_sequence = -1;
  int32_t records = 0;
  bool transactional = false;
  std::optional<TransactionOutcome> marker = {};

  // REQUIRES: one whole batch that was checked before, and has a producer id.
  static ProducerBatch Of(std::string_view batch);
};

// The sequence of the record `records` behind the one of `sequence`.
constexpr int32_t SequenceBehind(int32_t sequence, int32_t records) {
  return static_cast<int32_t>((static_cast<int64_t>(sequence) + records) & INT32_MAX);
}

class ProducerState {
 public:
  // Whether `batch` may become the partition's next one, at `base`. The offset of the batch that is
  // stored already where it is sent again, nullopt where it is new. kConflict with an
  // AppendProblem.
  Result<std::optional<Offset>> Check(const ProducerBatch& batch, Offset base) const;
  // It was stored at `base`. Does not check: what stands in the log is so.
  void Add(const ProducerBatch& batch, Offset base, Micros clock);

  struct Open {
    Offset first;
    Micros since;
  };
  const std::optional<Open>& open() const { return open_; }
  int16_t epoch() const { return epoch_; }
  Micros last_clock() const { return last_clock_; }
  void Encode(std::string& out) const;
  static Result<ProducerState> Decode(Reader& in);

 private:
  struct Remembered {
    int32_t base_sequence = 0;
    int32_t records = 0;
    Offset base_offset;
  };

  int16_t epoch_ = -1;                                  // -1: nothing is known of the producer
  int32_t next_sequence_ = -1;                          // that must come next; -1: any may
  Micros last_clock_;                                   // time of append of the last batch
  std::array<Remembered, kRememberedBatches> batches_;  // the oldest first
  uint8_t batch_count_ = 0;
  std::optional<Open> open_;  // the transaction
};

class Producers {
 public:
  bool empty() const { return states_.empty(); }
  // A copy; one of which nothing is known where the producer is unknown.
  ProducerState Find(int64_t producer_id) const;
  // A batch became durable. Replay after a start tells once more of batches that the checkpoint
  // knows already: those change nothing.
  void Apply(const ProducerBatch& batch, Offset base, Micros clock);
  // The partition ends at `end`, even where the checkpoint knows of batches behind it (which then
  // were lost to damage).
  void FinishReplay(Offset end) { applied_ = end; }
  // Forgets producers whose last batch is older and that have no open transaction.
  void Expire(Micros before);
  const Transactions& transactions() const { return transactions_; }
  Transactions& transactions() { return transactions_; }
  void AddOpenTransactions(PartitionId partition, std::vector<OpenTransaction>& to) const;

  // As bytes for the checkpoint; empty when there is nothing to say. With the aborted transactions
  // whose markers lie at `filled` or behind, which no file holds yet.
  const std::string& Encoded(Offset filled);
  static Result<Producers> Decode(std::string_view bytes);

 private:
  std::unordered_map<int64_t, ProducerState> states_;
  Transactions transactions_;
  Offset applied_;  // everything below it is known
  std::string encoded_;
  bool changed_ = false;  // since encoded_ was made
};

}  // namespace millrace::log
