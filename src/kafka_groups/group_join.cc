// GroupCoordinator: who joins, and what a member that joins again changes.
#include "kafka_groups/group_coordinator.h"

namespace millrace::kafka_groups {

void GroupCoordinator::Join(JoinRequest request, JoinDone done) {
  const Turns::Turn turn(turns_);
  std::optional<JoinAnswer> answer = TryJoin(request, done);
  if (!answer) return;
  turns_.After([done = std::move(done), answer = std::move(*answer)] { done(answer); });
}

// The answer, or nothing: then it has taken `done`, and the request waits.
std::optional<JoinAnswer> GroupCoordinator::TryJoin(const JoinRequest& request, JoinDone& done) {
  const auto refuse = [&](ErrorCode error) {
    return JoinAnswer{.error = error, .member_id = request.member_id};
  };
  const ErrorCode invalid = CheckGroupId(request.group);
  if (invalid != ErrorCode::kNone) return refuse(invalid);
  if (request.session_timeout < options_.session_timeout_min ||
      request.session_timeout > options_.session_timeout_max)
    return refuse(ErrorCode::kInvalidSessionTimeout);
  if (request.rebalance_timeout.count() < 0) return refuse(ErrorCode::kInvalidRequest);
  const bool known = !request.member_id.empty();
  Group* group = Find(request.group);
  if (group == nullptr) {
    // Checked before a group is made for it.
    if (known) return refuse(ErrorCode::kUnknownMemberId);
    if (!Group("", 0).Supports(request.protocol_type, request.protocols))
      return refuse(ErrorCode::kInconsistentGroupProtocol);
    group = FindOrCreate(request.group);
    if (group == nullptr) return refuse(ErrorCode::kPolicyViolation);
  }
  if (group->state == GroupState::kDead) return refuse(ErrorCode::kCoordinatorNotAvailable);

  // A full group lets in those that were in; while it rebalances, those that come first.
  const auto member = group->members.find(request.member_id);
  const bool is_member = member != group->members.end();
  const bool full = group->state == GroupState::kPreparingRebalance
                        ? group->CountJoining() >= options_.members_max &&
                              !(is_member && member->second.join_done)
                        : group->members.size() >= options_.members_max && !is_member;
  if (full) {
    group->pending_members.erase(request.member_id);
    if (is_member) {
      RemoveMember(*group, request.member_id);
      MaybePrepareRebalance(*group);
    }
    MaybeCompleteJoin(*group);
    return refuse(ErrorCode::kGroupMaxSizeReached);
  }
  if (!group->Supports(request.protocol_type, request.protocols))
    return refuse(ErrorCode::kInconsistentGroupProtocol);
  std::optional<JoinAnswer> answer =
      known ? JoinKnown(*group, request, done) : JoinNew(*group, request, done);
  MaybeCompleteJoin(*group);
  return answer;
}

std::string GroupCoordinator::MakeMemberId(const std::string& prefix) {
  const uint64_t high = random_.Next();
  const uint64_t low = random_.Next();
  return fmt::format("{}-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", prefix, high >> 32,
                     (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffffffffffff);
}

std::optional<JoinAnswer> GroupCoordinator::JoinNew(Group& group, const JoinRequest& request,
                                                    JoinDone& done) {
  const std::string id = MakeMemberId(request.instance_id.value_or(request.client_id));
  if (request.instance_id) {
    if (const std::string* old = group.FindStatic(*request.instance_id)) {
      ReplaceStatic(group, std::string(*old), id, request, done);
    } else {
      AddAndRebalance(group, id, request, done);
    }
    return std::nullopt;
  }
  if (!request.require_known_member_id) {
    AddAndRebalance(group, id, request, done);
    return std::nullopt;
  }
  // A client that loses this answer costs an id that is forgotten, not a member that everybody
  // waits for.
  if (group.pending_members.size() >= options_.members_max)
    return JoinAnswer{.error = ErrorCode::kGroupMaxSizeReached};
  const Micros deadline = Later(NowOnTimers(), request.session_timeout);
  group.pending_members[id] = deadline;
  WakeAt(group, deadline);
  return JoinAnswer{.error = ErrorCode::kMemberIdRequired, .member_id = id};
}

std::optional<JoinAnswer> GroupCoordinator::JoinKnown(Group& group, const JoinRequest& request,
                                                      JoinDone& done) {
  if (group.pending_members.contains(request.member_id)) {
    // Ids are given out to dynamic members only.
    if (request.instance_id) return JoinAnswer{.error = ErrorCode::kUnknownMemberId};
    AddAndRebalance(group, request.member_id, request, done);
    return std::nullopt;
  }
  const ErrorCode invalid = group.CheckMember(request.member_id, request.instance_id);
  if (invalid != ErrorCode::kNone)
    return JoinAnswer{.error = invalid, .member_id = request.member_id};
  Member& member = group.members.at(request.member_id);
  const bool same = member.protocols == request.protocols;
  if (group.state == GroupState::kCompletingRebalance && same) {
    // It has not got the answer to its Join.
    if (group.generation_told) {
      KeepAlive(group, member);
      return CurrentGeneration(group, member);
    }
    UpdateMember(member, request, done);
    return std::nullopt;
  }
  // The leader joins a stable group again to have it rebalanced: it has seen partitions change.
  if (group.state == GroupState::kStable && same && group.leader != member.id) {
    KeepAlive(group, member);
    return CurrentGeneration(group, member);
  }
  UpdateMember(member, request, done);
  MaybePrepareRebalance(group);
  return std::nullopt;
}

JoinAnswer GroupCoordinator::CurrentGeneration(const Group& group, const Member& member) const {
  JoinAnswer answer;
  answer.generation = group.generation;
  answer.protocol_type = group.protocol_type;
  answer.protocol = group.protocol;
  answer.leader = group.leader;
  answer.member_id = member.id;
  if (group.leader == member.id) answer.members = group.JoinedMembers();
  return answer;
}

void GroupCoordinator::AddAndRebalance(Group& group, const std::string& member_id,
                                       const JoinRequest& request, JoinDone& done) {
  Member member;
  member.id = member_id;
  member.instance_id = request.instance_id;
  member.is_new = true;
  UpdateMember(member, request, done);
  group.initial_delay_extends = true;
  KeepAlive(group, group.Add(std::move(member), request.protocol_type));
  MaybePrepareRebalance(group);
}

void GroupCoordinator::UpdateMember(Member& member, const JoinRequest& request, JoinDone& done) {
  // A Join of the same member that still waits was given up by the client.
  AnswerJoin(member, {.error = ErrorCode::kRebalanceInProgress, .member_id = member.id});
  member.client_id = request.client_id;
  member.client_host = request.client_host;
  member.session_timeout = request.session_timeout;
  member.rebalance_timeout = request.rebalance_timeout;
  member.protocols = request.protocols;
  member.join_done = std::move(done);
}

// A static member has started again and takes its place back; the one before it, should it still
// live, is fenced.
void GroupCoordinator::ReplaceStatic(Group& group, const std::string& old_id,
                                     const std::string& new_id, const JoinRequest& request,
                                     JoinDone& done) {
  const std::string old_leader = group.leader;
  Member& old = group.members.at(old_id);
  AnswerJoin(old, {.error = ErrorCode::kFencedInstanceId, .member_id = old_id});
  AnswerSync(old, {.error = ErrorCode::kFencedInstanceId});
  Member& member = group.Replace(old_id, new_id);
  UpdateMember(member, request, done);
  KeepAlive(group, member);
  switch (group.state) {
    case GroupState::kStable:
      // Where the members' protocol stays the same the assignment does: nobody else need know.
      if (group.SelectProtocol() == group.protocol) {
        StoreReplaced(group, old_leader, new_id, request.supports_skip_assignment);
      } else {
        PrepareRebalance(group);
      }
      return;
    case GroupState::kCompletingRebalance:
      // The leader may have been told the old id, and would assign to it.
      PrepareRebalance(group);
      return;
    case GroupState::kPreparingRebalance:
    case GroupState::kEmpty:
    case GroupState::kDead:
      return;
  }
}

void GroupCoordinator::StoreReplaced(Group& group, const std::string& old_leader,
                                     const std::string& new_id, bool supports_skip) {
  group.NoteTopics();
  StoreGroup(group, group.state,
             [this, id = group.id, incarnation = group.incarnation, generation = group.generation,
              old_leader, new_id, supports_skip](const Status& stored) {
               Group* found = Find(id, incarnation);
               if (found == nullptr) return;
               const auto at = found->members.find(new_id);
               // Where a rebalance has begun meanwhile the Join waits for that.
               if (at == found->members.end() || found->state != GroupState::kStable ||
                   found->generation != generation)
                 return;
               if (!stored.ok()) {
                 AnswerJoin(at->second,
                            {.error = StorageError(stored.error()), .member_id = new_id});
                 return;
               }
               JoinAnswer answer = CurrentGeneration(*found, at->second);
               if (supports_skip) {
                 answer.skip_assignment = found->leader == new_id;
               } else {
                 // Under the old leader's id it does not take itself for the leader: it would send
                 // an assignment that a stable group does not pass on.
                 answer.leader = old_leader;
                 answer.members.clear();
               }
               AnswerJoin(at->second, std::move(answer));
               KeepAlive(*found, at->second);
             });
}

}  // namespace millrace::kafka_groups
