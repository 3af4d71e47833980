#include "kafka_groups/participants.h"

#include <memory>
#include <mutex>

namespace millrace::kafka_groups {

namespace {

// Calls `done` when as many parts have ended as there are; with the first error, if any.
class AllOf {
 public:
  AllOf(size_t parts, std::function<void(Status)> done) : left_(parts), done_(std::move(done)) {}

  void EndOne(const Status& status) {
    std::optional<Status> outcome;
    {
      const std::lock_guard lock(mutex_);
      if (!status.ok() && status_.ok()) status_ = status;
      if (--left_ == 0) outcome = status_;
    }
    if (outcome) done_(*outcome);
  }

 private:
  std::mutex mutex_;
  size_t left_;
  Status status_ = Ok();
  const std::function<void(Status)> done_;
};

}  // namespace

void GroupsAndPartitions::Begin(const std::string& group, ProducerIdentity producer) {
  groups_.BeginTransaction(group, producer);
}

void GroupsAndPartitions::End(const TransactionOutcome& outcome, std::function<void(Status)> done) {
  const auto all = std::make_shared<AllOf>(outcome.groups.size() + 1, std::move(done));
  const auto end_one = [all](const Status& status) { all->EndOne(status); };
  for (const std::string& group : outcome.groups)
    groups_.EndTransaction(group, outcome.producer.id, outcome.commit, end_one);
  if (outcome.partitions.empty()) return end_one(Ok());
  markers_.Write(outcome, end_one);
}

}  // namespace millrace::kafka_groups
