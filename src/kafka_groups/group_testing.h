// Helpers of the tests of groups: a coordinator over a disk in memory, and answers that are waited
// for and counted.
#pragma once

#include <memory>

#include "kafka_groups/group_coordinator.h"
#include "kafka_groups/testing.h"

namespace millrace::kafka_groups {

// What a `done` was called with; a second call fails the test.
template <typename T>
class Awaited {
 public:
  std::function<void(T)> Done() {
    return [state = state_](T answer) {
      EXPECT_FALSE(state->has_value()) << "answered twice";
      *state = std::move(answer);
    };
  }
  bool answered() const { return state_->has_value(); }
  const T& operator*() const {
    EXPECT_TRUE(answered()) << "not answered";
    static const T kNothing{};
    return answered() ? **state_ : kNothing;
  }
  const T* operator->() const { return &**this; }

 private:
  std::shared_ptr<std::optional<T>> state_ = std::make_shared<std::optional<T>>();
};

class Groups {
 public:
  explicit Groups(GroupOptions options = Options()) : options_(options) { Start(); }

  static GroupOptions Options() {
    GroupOptions options;
    options.initial_rebalance_delay = std::chrono::milliseconds(0);
    return options;
  }

  void Start() {
    coordinator_.reset();
    storage_ = std::make_unique<MemoryStorage>(disk);
    options_.clock = &clock;
    options_.timers = &clock;
    ++options_.seed;
    auto opened = GroupCoordinator::Open(options_, *storage_);
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    coordinator_ = *std::move(opened);
  }
  // The process dies; `durable` of the records that are on their way reach the disk.
  void Crash(size_t durable = 0) {
    storage_->LosePower(durable);
    Start();
  }

  GroupCoordinator* operator->() { return coordinator_.get(); }
  MemoryStorage& storage() { return *storage_; }
  void Store() { storage_->RunAll(); }
  // Time passes, with ticks on the way.
  void Advance(std::chrono::milliseconds by) {
    const Micros end = Later(clock.Now(), by);
    while (clock.Now() < end) {
      clock.Set(std::min(end, Later(clock.Now(), std::chrono::milliseconds(100))));
      coordinator_->Tick();
      Store();
    }
  }

  static JoinRequest Request(const std::string& member_id = "") {
    JoinRequest request;
    request.group = "g";
    request.member_id = member_id;
    request.client_id = "client";
    request.client_host = "/10.0.0.1";
    request.protocol_type = "consumer";
    request.protocols = {{"range", Subscription({"orders"})}};
    request.session_timeout = std::chrono::seconds(10);
    request.rebalance_timeout = std::chrono::seconds(60);
    return request;
  }
  static JoinRequest Static(const std::string& instance, const std::string& member_id = "") {
    JoinRequest request = Request(member_id);
    request.instance_id = instance;
    return request;
  }
  Awaited<JoinAnswer> Join(const JoinRequest& request) {
    Awaited<JoinAnswer> answer;
    coordinator_->Join(request, answer.Done());
    return answer;
  }
  Awaited<SyncAnswer> Sync(const JoinAnswer& joined,
                           const std::vector<MemberAssignment>& assignments = {}) {
    Awaited<SyncAnswer> answer;
    coordinator_->Sync({Who(joined), {}, {}, assignments}, answer.Done());
    return answer;
  }
  static MemberIdentity Who(const JoinAnswer& joined) {
    return {"g", joined.generation, joined.member_id, {}};
  }
  ErrorCode Heartbeat(const JoinAnswer& joined) { return coordinator_->Heartbeat(Who(joined)); }

  // A stable group of this many dynamic members, the leader first; "a0", "a1", … are their shares.
  std::vector<JoinAnswer> MakeStable(size_t members) {
    std::vector<Awaited<JoinAnswer>> joins;
    for (size_t i = 0; i < members; ++i) joins.push_back(Join(Request()));
    Store();
    // All but the first joined while the first one's generation was on its way or told.
    for (int round = 0; round < 2; ++round) {
      for (auto& join : joins) {
        if (!join.answered()) continue;
        const std::string id = join->member_id;
        join = Join(Request(id));
      }
      Store();
    }
    return SyncAll(joins);
  }
  std::vector<JoinAnswer> SyncAll(const std::vector<Awaited<JoinAnswer>>& joins) {
    std::vector<JoinAnswer> out;
    for (const auto& join : joins) {
      EXPECT_EQ(join->error, ErrorCode::kNone);
      out.push_back(*join);
    }
    std::stable_partition(out.begin(), out.end(),
                          [](const JoinAnswer& a) { return a.leader == a.member_id; });
    std::vector<MemberAssignment> shares;
    for (size_t i = 0; i < out.size(); ++i)
      shares.push_back({out[i].member_id, "a" + std::to_string(i)});
    std::vector<Awaited<SyncAnswer>> syncs;
    for (const JoinAnswer& joined : out)
      syncs.push_back(Sync(
          joined, joined.leader == joined.member_id ? shares : std::vector<MemberAssignment>{}));
    Store();
    for (size_t i = 0; i < out.size(); ++i) {
      EXPECT_EQ(syncs[i]->error, ErrorCode::kNone);
      EXPECT_EQ(syncs[i]->assignment, "a" + std::to_string(i));
    }
    return out;
  }

  Awaited<PartitionErrors> Commit(const MemberIdentity& who,
                                  const std::vector<OffsetToCommit>& offsets) {
    Awaited<PartitionErrors> answer;
    coordinator_->Commit({who, offsets}, answer.Done());
    return answer;
  }
  int64_t Fetched(const TopicPartition& partition, const std::string& group = "g") {
    const auto answer = coordinator_->Fetch(group, std::vector<TopicPartition>{partition}, false);
    EXPECT_EQ(answer.error, ErrorCode::kNone);
    return answer.offsets.at(0).committed.offset;
  }
  GroupState State() { return coordinator_->Describe("g").state; }

  MemoryDisk disk;
  ManualClock clock{Micros{1'000'000'000}};

 private:
  GroupOptions options_;
  std::unique_ptr<MemoryStorage> storage_;
  std::unique_ptr<GroupCoordinator> coordinator_;
};

}  // namespace millrace::kafka_groups
