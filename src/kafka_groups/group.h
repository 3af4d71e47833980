// Group: one consumer group in memory, and the rules that need nothing but it: who is in, who
// leads, which protocol all can speak. Times are of the coordinator's timers.
//
// Not thread-safe; owned by GroupCoordinator.
#pragma once

#include <map>
#include <set>

#include "kafka_groups/group_requests.h"

namespace millrace::kafka_groups {

inline constexpr Micros kNever{INT64_MAX};

inline Micros Later(Micros time, std::chrono::microseconds by) {
  return Micros{time.value + by.count()};
}

struct Member {
  std::string id = {};
  std::optional<std::string> instance_id = {};
  std::string client_id = {};
  std::string client_host = {};
  std::chrono::milliseconds session_timeout{0};
  std::chrono::milliseconds rebalance_timeout{0};
  std::vector<GroupProtocol> protocols = {};
  std::string assignment = {};  // of the current generation, once the leader has sent it

  JoinDone join_done = {};  // waits for the generation
  SyncDone sync_done = {};  // waits for the assignment
  Micros session_deadline = kNever;
  bool is_new = false;  // was never told its member id by a finished Join

  // A member that waits for us need not send heartbeats; one that is new cannot, and has a deadline
  // for all of its Join.
  bool CannotExpire() const { return !is_new && (join_done || sync_done); }
  // nullptr: not spoken.
  const GroupProtocol* FindProtocol(std::string_view name) const;
};

struct Group {
  explicit Group(std::string id, uint64_t incarnation)
      : id(std::move(id)), incarnation(incarnation) {}

  // ---- Rules ----

  bool Supports(std::string_view type, const std::vector<GroupProtocol>& protocols) const;
  // By votes: each member votes for the first of its protocols that all speak; the first by name
  // wins a draw. Empty: there is none (then somebody was let in who should not).
  std::string SelectProtocol() const;
  std::chrono::milliseconds RebalanceTimeout() const;
  bool AllJoined() const;
  size_t CountJoining() const;
  bool IsConsumerGroup() const { return protocol_type == "consumer"; }
  // True also where it cannot be known.
  bool MaySubscribe(const std::string& topic) const;
  // The id of the static member of this instance, nullptr: there is none.
  const std::string* FindStatic(const std::string& instance_id) const;
  // Whether `member_id` (and its instance, where one is named) is a current member: kNone,
  // kUnknownMemberId or kFencedInstanceId.
  ErrorCode CheckMember(const std::string& member_id,
                        const std::optional<std::string>& instance_id) const;
  std::vector<JoinedMember> JoinedMembers() const;

  // ---- Changes ----

  Member& Add(Member member, const std::string& type);
  // REQUIRES: it is a member that nobody waits for.
  void Remove(const std::string& member_id);
  // The static member goes on under another id. REQUIRES: nobody waits for the old one.
  Member& Replace(const std::string& old_id, const std::string& new_id);
  // The next generation, of the members there are: kCompletingRebalance, or kEmpty without any.
  void BeginGeneration();
  // Finds out `topics`, of the members there are and the protocol chosen.
  void NoteTopics();

  const std::string id;
  const uint64_t incarnation;  // a group deleted and made again under the same id is another one

  GroupState state = GroupState::kEmpty;
  int32_t generation = 0;
  std::string protocol_type = {};  // empty: never had members
  std::string protocol = {};
  std::string leader = {};
  std::map<std::string, Member> members = {};
  std::map<std::string, std::string> static_members = {};  // instance id → member id
  std::map<std::string, Micros> pending_members = {};  // ids given out, until when they may join
  std::optional<std::set<std::string>> topics = {};    // subscribed to in this generation, if known
  Micros empty_since = {};                             // by the wall clock; while kEmpty

  // kPreparingRebalance
  Micros rebalance_deadline = kNever;
  bool initial_delay = false;  // a first rebalance waits for more members, all joined or not
  bool initial_delay_extends = false;              // somebody came meanwhile
  std::chrono::milliseconds initial_delay_left{};  // of the rebalance timeout

  // kCompletingRebalance and kStable
  bool generation_told = false;              // it is durable, and the members know of it
  bool assignment_in_flight = false;         // the leader's, on its way to the storage
  std::set<std::string> awaited_syncs = {};  // members that have to ask for their assignment
  Micros sync_deadline = kNever;

  std::map<TopicPartition, CommittedOffset> offsets = {};  // durable ones
  // How many decided transactions are on their way to change the offset.
  std::map<TopicPartition, int> offsets_settling = {};

  Micros wake_at = kNever;  // the coordinator looks at the deadlines then, or before
};

}  // namespace millrace::kafka_groups
