// The requests of a random history (log_model_test.cc) that are under way: queued, or answered and
// not durable yet. What is answered goes into the model; what a crash left open is looked up.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "log/log.h"
#include "log/log_model.h"

namespace millrace::log::model {

using PendingPtr = std::shared_ptr<Pending>;

// An idempotent producer's view of a partition.
struct Sender {
  int32_t next_sequence = 0;
  std::deque<std::pair<AppendRequest, Offset>> acknowledged;  // the newest five

  void Remember(const AppendRequest& request, Offset offset) {
    acknowledged.emplace_back(request, offset);
    if (acknowledged.size() > 5) acknowledged.pop_front();
  }
};

class Flight {
 public:
  explicit Flight(Model& model) : model_(model) {}

  std::map<std::pair<PartitionId, int64_t>, Sender> senders;  // by partition and producer

  void Add(PendingPtr pending) { pending_.push_back(std::move(pending)); }
  bool nothing_queued() const { return pending_.empty(); }
  bool nothing_unsynced() const { return unsynced_.empty(); }

  // Moves what was acknowledged into the model.
  void Settle(const Log& log) {
    while (!pending_.empty() && pending_.front()->acknowledged) SettleFirst();
    for (; !unsynced_.empty() && unsynced_.front()->appended.frame <= log.DurableFrame();
         unsynced_.pop_front()) {
      CountUnsynced(*unsynced_.front(), -1);
    }
  }

  // A crash: hands over everything that is not known to be durable, in the order of queuing, and
  // takes it out of the model.
  std::deque<PendingPtr> TakeAll() {
    for (auto it = unsynced_.rbegin(); it != unsynced_.rend(); ++it) {
      CountUnsynced(**it, -1);
      for (const auto& [id, records] : (*it)->writes) {
        auto& stored = model_.partitions.at(id).records;
        stored.resize(stored.size() - records.size());
      }
      if ((*it)->producer >= 0 && !SenderOf(**it).acknowledged.empty())
        SenderOf(**it).acknowledged.pop_back();
    }
    std::deque<PendingPtr> all = std::exchange(unsynced_, {});
    all.insert(all.end(), pending_.begin(), pending_.end());
    pending_.clear();
    return all;
  }

  // Whether a request that was taken out is there. Takes it into the model when it is.
  bool AppliedWhole(const Log& log, const Pending& pending) {
    std::map<PartitionId, std::vector<Record>> added;
    for (const auto& [id, records] : pending.writes) {
      added[id].insert(added[id].end(), records.begin(), records.end());
    }
    std::set<bool> there;
    for (const auto& [id, records] : added) {
      const int64_t end = log.DurableCut()->Find(id)->end.value;
      there.insert(end >= model_.partitions[id].end() + static_cast<int64_t>(records.size()));
    }
    EXPECT_EQ(there.size(), 1u) << "a request is there in part";
    if (!*there.begin()) return false;
    for (const auto& [id, records] : added) model_.Store(pending, id, records);
    return true;
  }

  Sender& SenderOf(const Pending& pending) {
    return senders[{pending.writes[0].first, pending.producer}];
  }

 private:
  void SettleFirst() {
    const PendingPtr done = pending_.front();
    pending_.pop_front();
    for (size_t i = 0; i < done->writes.size(); ++i) {
      const auto& [id, records] = done->writes[i];
      const auto at = model_.partitions.find(id);
      if (at == model_.partitions.end()) continue;  // deleted since
      ASSERT_EQ(done->appended.base_offsets[i].value, at->second.end()) << "offsets are not dense";
      model_.Store(*done, id, records);
    }
    if (done->producer >= 0) SenderOf(*done).Remember(done->again, done->appended.base_offsets[0]);
    CountUnsynced(*done, 1);
    unsynced_.push_back(done);
  }

  void CountUnsynced(const Pending& pending, int64_t factor) {
    for (const auto& [id, records] : pending.writes) {
      const auto at = model_.partitions.find(id);
      if (at != model_.partitions.end())
        at->second.unsynced += factor * static_cast<int64_t>(records.size());
    }
  }

  Model& model_;
  std::deque<PendingPtr> unsynced_;  // in the model, and not known to be durable
  std::deque<PendingPtr> pending_;   // not in the model yet
};

}  // namespace millrace::log::model
