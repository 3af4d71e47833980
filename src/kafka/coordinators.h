// The coordinators of a node, with the internal topics that they keep their records in, and the
// thread that tells them the time. Thread-safe.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "kafka_groups/group_coordinator.h"
#include "kafka_groups/log_storage.h"
#include "log/log.h"

namespace millrace::kafka {

class Coordinators {
 public:
  // Reads their topics. The log must outlive it.
  static Result<std::unique_ptr<Coordinators>> Open(log::Log& log);
  ~Coordinators();

  kafka_groups::GroupCoordinator& groups() { return *groups_; }
  // Answers whoever waits for other members, and from now on everybody.
  void Shutdown();

 private:
  Coordinators() = default;
  void Run();

  std::unique_ptr<kafka_groups::LogStorage> group_storage_;
  std::unique_ptr<kafka_groups::GroupCoordinator> groups_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread ticker_;
};

}  // namespace millrace::kafka
