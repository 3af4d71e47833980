// Who takes part in transactions besides the producer: partitions, which get markers, and consumer
// groups, whose offsets were committed within.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kafka_groups/group_coordinator.h"
#include "kafka_groups/group_requests.h"

namespace millrace::kafka_groups {

// What was decided of one transaction.
struct TransactionOutcome {
  ProducerIdentity producer;  // markers carry this epoch; it fences all lower ones
  bool commit = false;
  std::vector<TopicPartition> partitions = {};
  std::vector<std::string> groups = {};
};

// Called outside of the coordinator's lock, in the order of what happened.
class TransactionParticipants {
 public:
  virtual ~TransactionParticipants() = default;
  // The transaction may commit offsets of the group from now on. After a restart it is called again
  // for every transaction that is open.
  virtual void Begin(const std::string& group, ProducerIdentity producer) = 0;
  // Makes the outcome durable everywhere. `done` runs once, inside too. After an error or a restart
  // it is called again with the same outcome, so that a participant may be told twice. One that
  // does not exist any more counts as told.
  virtual void End(const TransactionOutcome& outcome, std::function<void(Status)> done) = 0;
};

// Writes markers into partitions; the log's side.
class MarkerWriter {
 public:
  virtual ~MarkerWriter() = default;
  // All markers in one frame. `done` as in TransactionParticipants::End. `outcome.groups` is not
  // its concern.
  virtual void Write(const TransactionOutcome& outcome, std::function<void(Status)> done) = 0;
};

// The two together. Borrows both.
class GroupsAndPartitions final : public TransactionParticipants {
 public:
  GroupsAndPartitions(GroupCoordinator& groups, MarkerWriter& markers)
      : groups_(groups), markers_(markers) {}
  void Begin(const std::string& group, ProducerIdentity producer) override;
  void End(const TransactionOutcome& outcome, std::function<void(Status)> done) override;

 private:
  GroupCoordinator& groups_;
  MarkerWriter& markers_;
};

}  // namespace millrace::kafka_groups
