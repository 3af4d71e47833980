// Writes the markers of transactions into the topics' partitions: the log's side of what the
// coordinator of transactions decides. Thread-safe.
#pragma once

#include "kafka/backend.h"
#include "kafka_groups/participants.h"

namespace millrace::kafka {

class Markers final : public kafka_groups::MarkerWriter {
 public:
  explicit Markers(Backend& backend) : backend_(backend) {}
  void Write(const kafka_groups::TransactionOutcome& outcome,
             std::function<void(Status)> done) override;

 private:
  Backend& backend_;
};

}  // namespace millrace::kafka
