// GroupCoordinator: Kafka's consumer groups (the classic protocol) and their committed offsets.
//
// Members join, wait until everybody has, learn their generation; the leader assigns, everybody
// asks for its share; heartbeats keep them in. A group survives a restart of the node: its
// generation, members and assignments are durable before anybody is told of them, so the members go
// on as if nothing had been, each with a fresh session timer. Offsets are durable before their
// commit is answered, and shown only then.
//
// Promises, each held by group_model_test:
// 1. Every `done` is called exactly once: Shutdown answers what still waits.
// 2. Members of different generations never both pass for current; no generation's number is given
//    to two generations.
// 3. An offset whose commit was answered is there after a restart.
// 4. Within one transaction all offsets of a group change together, or none does.
//
// Thread-safe. `done`s run outside of locks, and may call any method. They run within a call of
// their own request, of another one, of Tick, or of the storage's completion. The owner calls Tick
// about every 100 ms; nothing else moves time. What goes wrong with the storage is answered with
// COORDINATOR_NOT_AVAILABLE, which clients try again.
//
// Rules of Kafka's that are not obvious, and what is ours alone: README.md.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "kafka_groups/durable_table.h"
#include "kafka_groups/group.h"
#include "kafka_groups/group_requests.h"
#include "kafka_groups/turns.h"

namespace millrace::kafka_groups {

inline constexpr char kConsumerOffsetsTopic[] = "__consumer_offsets";

struct GroupOptions {
  const Clock* clock = nullptr;   // of the wall: ages of offsets. REQUIRED
  const Clock* timers = nullptr;  // that nobody sets: sessions, rebalances. REQUIRED
  uint64_t seed = 0;              // of member ids; another one at each start

  std::chrono::milliseconds initial_rebalance_delay{500};  // a new group waits for more members
  std::chrono::milliseconds session_timeout_min{6'000};
  std::chrono::milliseconds session_timeout_max{30 * 60'000};
  std::chrono::milliseconds new_member_join_max{5 * 60'000};  // a Join of a new member waits
  size_t members_max = 5'000;   // of a group; as many ids may be given out and not yet used
  size_t groups_max = 100'000;  // beyond it POLICY_VIOLATION
  size_t group_id_bytes_max = 32'767;
  size_t offset_metadata_bytes_max = 4'096;
  std::chrono::milliseconds offsets_retention{7 * 24 * 3'600'000};
  std::chrono::milliseconds expiry_interval{10 * 60'000};
  TableOptions table = {};
};

struct CommitRequest {
  MemberIdentity who;  // generation −1 and no member id: a consumer that manages itself
  std::vector<OffsetToCommit> offsets;
};

class GroupCoordinator {
 public:
  // Reads what the storage holds. The storage must outlive it, and complete everything before it
  // goes. kCorruption, kNotSupported, kIo.
  static Result<std::unique_ptr<GroupCoordinator>> Open(GroupOptions options, Storage& storage);

  // ---- Membership ----

  void Join(JoinRequest request, JoinDone done);
  void Sync(SyncRequest request, SyncDone done);
  ErrorCode Heartbeat(const MemberIdentity& who);
  LeaveAnswer Leave(const std::string& group, const std::vector<LeavingMember>& members);

  // ---- Offsets ----

  void Commit(const CommitRequest& request, CommitDone done);
  // All offsets of these partitions; without a list, of all that have one. `require_stable`:
  // UNSTABLE_OFFSET_COMMIT where an undecided transaction is about to change it.
  FetchOffsetsAnswer Fetch(const std::string& group,
                           const std::optional<std::vector<TopicPartition>>& partitions,
                           bool require_stable) const;
  // GROUP_SUBSCRIBED_TO_TOPIC for partitions of topics that members subscribe to.
  void DeleteOffsets(const std::string& group, const std::vector<TopicPartition>& partitions,
                     std::function<void(DeleteOffsetsAnswer)> done);
  // The offsets of topics for which `gone` is true are dropped, also those of open transactions.
  // Deleting a topic calls it for the name; the start of the node calls it with what there is.
  // `gone` runs under the lock.
  void DropOffsets(const std::function<bool(const std::string& topic)>& gone);

  // ---- Offsets within transactions; called for the TransactionCoordinator ----

  // This producer's transaction may now commit offsets of the group, until EndTransaction.
  void BeginTransaction(const std::string& group, ProducerIdentity producer);
  // INVALID_PRODUCER_EPOCH: of an older producer. INVALID_TXN_STATE: no transaction was begun.
  void CommitInTransaction(const CommitRequest& request, ProducerIdentity producer,
                           CommitDone done);
  // Makes the offsets that the producer committed visible, or drops them, and takes no more of
  // them. `done` runs when that is durable; where it fails, or the node dies before, it is called
  // again.
  void EndTransaction(const std::string& group, int64_t producer_id, bool commit,
                      std::function<void(Status)> done);

  // ---- For operators ----

  // Of all states, where none is named.
  std::vector<GroupListing> List(const std::vector<GroupState>& states) const;
  // A group that does not exist is kDead and has the error kGroupIdNotFound.
  GroupDescription Describe(const std::string& group) const;
  // One error per group.
  void DeleteGroups(const std::vector<std::string>& groups,
                    std::function<void(std::vector<ErrorCode>)> done);

  // ---- Time and life ----

  void Tick();
  // By options.timers: before it Tick has nothing to do.
  Micros NextDeadline() const;
  // Answers everything that waits for other members with COORDINATOR_NOT_AVAILABLE, and from now on
  // everything. What waits for the storage is answered by its completion.
  void Shutdown();

 private:
  GroupCoordinator(GroupOptions options, Storage& storage);

  // group_coordinator.cc
  Status Load();
  Status LoadEntry(const std::string& key, const std::string& value);
  Group* Find(const std::string& id) const;
  Group* Find(const std::string& id, uint64_t incarnation) const;
  Group* FindOrCreate(const std::string& id);
  void DropIfUnused(const std::string& id);
  void WakeAt(Group& group, Micros at);
  void Wake(Group& group);
  void ExpireMembers(Group& group, Micros now);
  void StoreGroup(Group& group, GroupState state, DurableTable::Done done);
  Micros NowOnTimers() const { return options_.timers->Now(); }
  static ErrorCode StorageError(const Error& error);
  ErrorCode CheckGroupId(const std::string& id, bool may_be_empty = false) const;

  // group_join.cc
  std::optional<JoinAnswer> TryJoin(const JoinRequest& request, JoinDone& done);
  std::optional<JoinAnswer> JoinNew(Group& group, const JoinRequest& request, JoinDone& done);
  std::optional<JoinAnswer> JoinKnown(Group& group, const JoinRequest& request, JoinDone& done);
  void AddAndRebalance(Group& group, const std::string& member_id, const JoinRequest& request,
                       JoinDone& done);
  void UpdateMember(Member& member, const JoinRequest& request, JoinDone& done);
  void ReplaceStatic(Group& group, const std::string& old_id, const std::string& new_id,
                     const JoinRequest& request, JoinDone& done);
  void StoreReplaced(Group& group, const std::string& old_leader, const std::string& new_id,
                     bool supports_skip);
  JoinAnswer CurrentGeneration(const Group& group, const Member& member) const;
  std::string MakeMemberId(const std::string& prefix);

  // group_rebalance.cc
  void PrepareRebalance(Group& group);
  void MaybePrepareRebalance(Group& group);
  void MaybeCompleteJoin(Group& group);
  void CompleteJoin(Group& group);
  void TellGeneration(Group& group);
  void FailGeneration(Group& group, ErrorCode error);
  void RebalanceTimedOut(Group& group, Micros now);
  void RemoveMember(Group& group, const std::string& member_id);
  void AnswerJoin(Member& member, JoinAnswer answer);
  void AnswerSync(Member& member, SyncAnswer answer);
  void KeepAlive(Group& group, Member& member);

  // group_sync.cc
  std::optional<SyncAnswer> TrySync(const SyncRequest& request, SyncDone& done);
  void StoreAssignment(Group& group, const std::vector<MemberAssignment>& assignments);
  void AssignmentStored(Group& group, const Status& stored);
  ErrorCode LeaveOne(Group& group, const LeavingMember& leaving);

  // group_offsets.cc
  static ErrorCode CheckCommit(const Group& group, const MemberIdentity& who, bool in_transaction);
  void CommitChecked(const CommitRequest& request, std::optional<int64_t> producer_id,
                     CommitDone done);
  void RefuseCommit(const CommitRequest& request, ErrorCode error, CommitDone done);
  void StoreOffsets(Group& group, const std::vector<OffsetToCommit>& offsets,
                    std::optional<int64_t> producer_id, CommitDone done);
  Status Settle(const std::string& id, const std::vector<TableChange>& changes,
                std::vector<std::pair<TopicPartition, CommittedOffset>> settled,
                std::function<void(Status)> done);

  // group_expiry.cc
  void ExpireOffsets();
  void ExpireOffsetsOf(Group& group, Micros now);
  void EraseOffsets(Group& group, const std::vector<TopicPartition>& partitions,
                    std::vector<TableChange> changes, std::function<void(Status)> done);
  void DropOffsetsOf(Group& group, const std::function<bool(const std::string&)>& gone);

  // group_admin.cc
  ErrorCode BeginDelete(const std::string& id, std::vector<TableChange>& changes);

  const GroupOptions options_;
  mutable Turns turns_;

  // All within a turn.
  DurableTable table_;
  Random random_;
  std::map<std::string, std::unique_ptr<Group>> groups_;
  uint64_t next_incarnation_ = 1;
  std::set<std::pair<Micros, std::string>> wakes_;  // Group::wake_at
  Micros next_expiry_;
  // Transactions that may commit offsets, with the producer's epoch.
  std::map<std::pair<std::string, int64_t>, int16_t> transactions_;
  bool shut_down_ = false;
};

}  // namespace millrace::kafka_groups
