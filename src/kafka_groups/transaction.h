// Transaction: what the coordinator knows of one transactional id, and how it stands in the table
// of
// `__transaction_state` (docs/formats/transaction_state.md).
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "kafka_groups/group_requests.h"

namespace millrace::kafka_groups {

// Kafka's numbers. Its PrepareEpochFence (6, 7) is not among them: fencing a producer and deciding
// to abort its transaction are one record here.
enum class TransactionState : uint8_t {
  kEmpty = 0,           // no transaction yet; the producer acts
  kOngoing = 1,         // the producer acts, or the timeout
  kPrepareCommit = 2,   // decided; we write the markers
  kPrepareAbort = 3,    // decided; we write the markers
  kCompleteCommit = 4,  // all markers are there; the producer acts
  kCompleteAbort = 5,   // all markers are there; the producer acts
};
// "Empty", "Ongoing", …, as Kafka names them.
std::string_view TransactionStateName(TransactionState state);

// Epochs end at 32,767, which no producer is ever given: it is left for fencing the one before.
inline constexpr int16_t kLastEpochGiven = INT16_MAX - 1;

struct Transaction {
  TransactionState state = TransactionState::kEmpty;
  ProducerIdentity producer = {};
  // What the producer was before its last InitProducerId, when it named itself: a repeated request
  // is known by it. Else −1.
  ProducerIdentity former = {};
  std::chrono::milliseconds timeout{0};
  std::set<TopicPartition> partitions = {};  // while it is ongoing or prepared
  std::set<std::string> groups = {};
  Micros started_at = {};  // by the wall clock; while it is ongoing or prepared
  Micros updated_at = {};

  bool IsPrepared() const {
    return state == TransactionState::kPrepareCommit || state == TransactionState::kPrepareAbort;
  }
  bool IsIdle() const { return !IsPrepared() && state != TransactionState::kOngoing; }
  bool IsExhausted() const { return producer.epoch >= kLastEpochGiven; }
};

std::string EncodeTransaction(const Transaction& transaction);
// kCorruption, kNotSupported.
Result<Transaction> DecodeTransaction(std::string_view bytes);

// Keys of the table.
std::string TransactionKey(const std::string& transactional_id);
// kCorruption, kNotSupported; of a transaction's key.
Result<std::string> DecodeTransactionKey(std::string_view key);
inline constexpr char kProducerIdsKey[] = "I";

}  // namespace millrace::kafka_groups
