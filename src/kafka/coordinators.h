// The coordinators of a node, with the internal topics that they keep their records in, and the
// thread that tells them the time. Thread-safe.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "kafka/backend.h"
#include "kafka/markers.h"
#include "kafka_groups/group_coordinator.h"
#include "kafka_groups/log_storage.h"
#include "kafka_groups/participants.h"
#include "kafka_groups/transaction_coordinator.h"

namespace millrace::kafka {

class Coordinators {
 public:
  // Reads their topics. The backend must outlive it, and its log must be closed before it goes.
  static Result<std::unique_ptr<Coordinators>> Open(Backend& backend);
  ~Coordinators();

  kafka_groups::GroupCoordinator& groups() { return *groups_; }
  kafka_groups::TransactionCoordinator& transactions() { return *transactions_; }
  // Answers whoever waits for other members, and from now on everybody.
  void Shutdown();

 private:
  explicit Coordinators(Backend& backend) : markers_(backend) {}
  void Run();

  std::unique_ptr<kafka_groups::LogStorage> group_storage_;
  std::unique_ptr<kafka_groups::GroupCoordinator> groups_;
  Markers markers_;
  std::unique_ptr<kafka_groups::LogStorage> transaction_storage_;
  std::unique_ptr<kafka_groups::GroupsAndPartitions> participants_;
  std::unique_ptr<kafka_groups::TransactionCoordinator> transactions_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread ticker_;
};

}  // namespace millrace::kafka
