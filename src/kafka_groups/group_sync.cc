// GroupCoordinator: members of a generation ask for their assignment, stay, and leave.
#include "kafka_groups/group_coordinator.h"

namespace millrace::kafka_groups {

void GroupCoordinator::Sync(SyncRequest request, SyncDone done) {
  const Turns::Turn turn(turns_);
  std::optional<SyncAnswer> answer = TrySync(request, done);
  if (!answer) return;
  turns_.After([done = std::move(done), answer = std::move(*answer)] { done(answer); });
}

// The answer, or nothing: then it has taken `done`, and the request waits.
std::optional<SyncAnswer> GroupCoordinator::TrySync(const SyncRequest& request, SyncDone& done) {
  const auto refuse = [](ErrorCode error) { return SyncAnswer{.error = error}; };
  const ErrorCode invalid = CheckGroupId(request.who.group);
  if (invalid != ErrorCode::kNone) return refuse(invalid);
  Group* group = Find(request.who.group);
  if (group == nullptr) return refuse(ErrorCode::kUnknownMemberId);
  if (group->state == GroupState::kDead) return refuse(ErrorCode::kCoordinatorNotAvailable);
  const ErrorCode unknown = group->CheckMember(request.who.member_id, request.who.instance_id);
  if (unknown != ErrorCode::kNone) return refuse(unknown);
  if (request.who.generation != group->generation) return refuse(ErrorCode::kIllegalGeneration);
  if ((request.protocol_type && *request.protocol_type != group->protocol_type) ||
      (request.protocol && *request.protocol != group->protocol))
    return refuse(ErrorCode::kInconsistentGroupProtocol);

  Member& member = group->members.at(request.who.member_id);
  switch (group->state) {
    case GroupState::kEmpty:
    case GroupState::kDead:
      return refuse(ErrorCode::kUnknownMemberId);
    case GroupState::kPreparingRebalance:
      KeepAlive(*group, member);
      return refuse(ErrorCode::kRebalanceInProgress);
    case GroupState::kCompletingRebalance:
      KeepAlive(*group, member);
      // Nobody can know the generation's number yet.
      if (!group->generation_told) return refuse(ErrorCode::kRebalanceInProgress);
      group->awaited_syncs.erase(member.id);
      // One that still waits was given up by the client.
      AnswerSync(member, refuse(ErrorCode::kRebalanceInProgress));
      member.sync_done = std::move(done);
      if (group->leader == member.id && !group->assignment_in_flight)
        StoreAssignment(*group, request.assignments);
      return std::nullopt;
    case GroupState::kStable:
      KeepAlive(*group, member);
      group->awaited_syncs.erase(member.id);
      return SyncAnswer{.protocol_type = group->protocol_type,
                        .protocol = group->protocol,
                        .assignment = member.assignment};
  }
  return refuse(ErrorCode::kUnknownServerError);
}

void GroupCoordinator::StoreAssignment(Group& group,
                                       const std::vector<MemberAssignment>& assignments) {
  for (auto& [id, member] : group.members) member.assignment.clear();
  for (const MemberAssignment& assignment : assignments) {
    const auto at = group.members.find(assignment.member_id);
    if (at != group.members.end()) at->second.assignment = assignment.assignment;
  }
  group.assignment_in_flight = true;
  StoreGroup(group, GroupState::kStable,
             [this, id = group.id, incarnation = group.incarnation,
              generation = group.generation](const Status& stored) {
               Group* found = Find(id, incarnation);
               if (found == nullptr || found->generation != generation ||
                   found->state != GroupState::kCompletingRebalance)
                 return;
               AssignmentStored(*found, stored);
             });
}

void GroupCoordinator::AssignmentStored(Group& group, const Status& stored) {
  group.assignment_in_flight = false;
  if (!stored.ok()) {
    const ErrorCode error = StorageError(stored.error());
    for (auto& [id, member] : group.members) AnswerSync(member, {.error = error});
    PrepareRebalance(group);
    return;
  }
  group.state = GroupState::kStable;
  for (auto& [id, member] : group.members) {
    if (!member.sync_done) continue;
    AnswerSync(member, {.protocol_type = group.protocol_type,
                        .protocol = group.protocol,
                        .assignment = member.assignment});
    KeepAlive(group, member);
  }
}

ErrorCode GroupCoordinator::Heartbeat(const MemberIdentity& who) {
  const Turns::Turn turn(turns_);
  const ErrorCode invalid = CheckGroupId(who.group);
  if (invalid != ErrorCode::kNone) return invalid;
  Group* group = Find(who.group);
  if (group == nullptr) return ErrorCode::kUnknownMemberId;
  if (group->state == GroupState::kDead) return ErrorCode::kCoordinatorNotAvailable;
  const ErrorCode unknown = group->CheckMember(who.member_id, who.instance_id);
  if (unknown != ErrorCode::kNone) return unknown;
  if (who.generation != group->generation) return ErrorCode::kIllegalGeneration;
  KeepAlive(*group, group->members.at(who.member_id));
  return group->state == GroupState::kPreparingRebalance ? ErrorCode::kRebalanceInProgress
                                                         : ErrorCode::kNone;
}

LeaveAnswer GroupCoordinator::Leave(const std::string& id,
                                    const std::vector<LeavingMember>& members) {
  const Turns::Turn turn(turns_);
  LeaveAnswer answer;
  answer.error = CheckGroupId(id);
  if (answer.error != ErrorCode::kNone) return answer;
  Group* group = Find(id);
  if (group != nullptr && group->state == GroupState::kDead) {
    answer.error = ErrorCode::kCoordinatorNotAvailable;
    return answer;
  }
  for (const LeavingMember& leaving : members) {
    answer.members.push_back(group == nullptr ? ErrorCode::kUnknownMemberId
                                              : LeaveOne(*group, leaving));
  }
  if (group == nullptr) return answer;
  MaybeCompleteJoin(*group);
  DropIfUnused(id);
  return answer;
}

ErrorCode GroupCoordinator::LeaveOne(Group& group, const LeavingMember& leaving) {
  std::string member_id = leaving.member_id;
  if (member_id.empty()) {
    const std::string* found =
        leaving.instance_id ? group.FindStatic(*leaving.instance_id) : nullptr;
    if (found == nullptr) return ErrorCode::kUnknownMemberId;
    member_id = *found;
  } else if (group.pending_members.erase(member_id) > 0) {
    return ErrorCode::kNone;
  } else {
    const ErrorCode unknown = group.CheckMember(member_id, leaving.instance_id);
    if (unknown != ErrorCode::kNone) return unknown;
  }
  RemoveMember(group, member_id);
  MaybePrepareRebalance(group);
  return ErrorCode::kNone;
}

}  // namespace millrace::kafka_groups
