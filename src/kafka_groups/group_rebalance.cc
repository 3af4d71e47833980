// GroupCoordinator: the way from one generation to the next.
//
//   PrepareRebalance → (everybody joins again, or the timeout) → CompleteJoin → the storage →
//   TellGeneration → (the leader's Sync) → StoreAssignment → the storage → AssignmentStored
#include <algorithm>

#include "base/logging.h"
#include "kafka_groups/group_coordinator.h"

namespace millrace::kafka_groups {

void GroupCoordinator::AnswerJoin(Member& member, JoinAnswer answer) {
  if (!member.join_done) return;
  turns_.After(
      [done = std::exchange(member.join_done, {}), answer = std::move(answer)] { done(answer); });
}

void GroupCoordinator::AnswerSync(Member& member, SyncAnswer answer) {
  if (!member.sync_done) return;
  turns_.After(
      [done = std::exchange(member.sync_done, {}), answer = std::move(answer)] { done(answer); });
}

void GroupCoordinator::KeepAlive(Group& group, Member& member) {
  // A new member cannot send heartbeats before it knows its id, and when it goes away meanwhile
  // nobody sees it: it may retry, and then there are two of it. So its Join does not wait for ever.
  member.session_deadline =
      Later(NowOnTimers(), member.is_new ? options_.new_member_join_max : member.session_timeout);
  WakeAt(group, member.session_deadline);
}

void GroupCoordinator::MaybePrepareRebalance(Group& group) {
  if (group.state == GroupState::kEmpty || group.state == GroupState::kStable ||
      group.state == GroupState::kCompletingRebalance) {
    PrepareRebalance(group);
  }
}

void GroupCoordinator::PrepareRebalance(Group& group) {
  if (group.state == GroupState::kCompletingRebalance) {
    for (auto& [id, member] : group.members) {
      member.assignment.clear();
      if (!member.sync_done) continue;
      KeepAlive(group, member);
      AnswerSync(member, {.error = ErrorCode::kRebalanceInProgress});
    }
  }
  group.awaited_syncs.clear();
  group.sync_deadline = kNever;
  std::chrono::milliseconds wait = group.RebalanceTimeout();
  group.initial_delay = group.state == GroupState::kEmpty &&  //
                        options_.initial_rebalance_delay.count() > 0;
  if (group.initial_delay) {
    const auto first = std::min(wait, options_.initial_rebalance_delay);
    group.initial_delay_left = wait - first;
    group.initial_delay_extends = false;
    wait = first;
  }
  group.state = GroupState::kPreparingRebalance;
  group.rebalance_deadline = Later(NowOnTimers(), wait);
  WakeAt(group, group.rebalance_deadline);
}

void GroupCoordinator::MaybeCompleteJoin(Group& group) {
  if (group.state == GroupState::kPreparingRebalance && !group.initial_delay && group.AllJoined())
    CompleteJoin(group);
}

void GroupCoordinator::RebalanceTimedOut(Group& group, Micros now) {
  if (group.initial_delay && group.initial_delay_extends && group.initial_delay_left.count() > 0) {
    const auto more = std::min(group.initial_delay_left, options_.initial_rebalance_delay);
    group.initial_delay_left -= more;
    group.initial_delay_extends = false;
    group.rebalance_deadline = Later(now, more);
    return;
  }
  group.initial_delay = false;
  CompleteJoin(group);
}

void GroupCoordinator::CompleteJoin(Group& group) {
  std::vector<std::string> silent;
  for (const auto& [id, member] : group.members) {
    // A static member that is away keeps its place until its session ends.
    if (!member.join_done && !member.instance_id) silent.push_back(id);
  }
  for (const std::string& id : silent) RemoveMember(group, id);

  if (!group.members.empty() && !group.members.at(group.leader).join_done) {
    const auto joined = std::find_if(group.members.begin(), group.members.end(),
                                     [](const auto& entry) { return entry.second.join_done; });
    if (joined == group.members.end()) {
      // Static members only, all away: somebody comes back, or their sessions end.
      const auto wait = std::max(group.RebalanceTimeout(), std::chrono::milliseconds(1));
      group.rebalance_deadline = Later(NowOnTimers(), wait);
      WakeAt(group, group.rebalance_deadline);
      return;
    }
    group.leader = joined->first;
  }

  group.BeginGeneration();
  if (group.members.empty()) group.empty_since = options_.clock->Now();
  StoreGroup(group, group.state,
             [this, id = group.id, incarnation = group.incarnation,
              generation = group.generation](const Status& stored) {
               const ErrorCode error =
                   stored.ok() ? ErrorCode::kNone : StorageError(stored.error());
               Group* found = Find(id, incarnation);
               // Where a rebalance has begun meanwhile the Joins wait for that.
               if (found == nullptr || found->generation != generation ||
                   found->state != GroupState::kCompletingRebalance)
                 return;
               if (error == ErrorCode::kNone) {
                 TellGeneration(*found);
               } else {
                 FailGeneration(*found, error);
               }
             });
}

void GroupCoordinator::TellGeneration(Group& group) {
  group.generation_told = true;
  for (auto& [id, member] : group.members) {
    if (!member.join_done) continue;
    AnswerJoin(member, CurrentGeneration(group, member));
    member.is_new = false;
    KeepAlive(group, member);
    group.awaited_syncs.insert(id);
  }
  group.sync_deadline = Later(NowOnTimers(), group.RebalanceTimeout());
  WakeAt(group, group.sync_deadline);
  LOG_INFO("consumer group has a new generation",
           "group={} generation={} members={} protocol={} leader={}", group.id, group.generation,
           group.members.size(), group.protocol, group.leader);
}

// The generation could not be stored: the members are told to try again.
void GroupCoordinator::FailGeneration(Group& group, ErrorCode error) {
  PrepareRebalance(group);
  for (auto& [id, member] : group.members) {
    if (!member.join_done) continue;
    AnswerJoin(member, {.error = error, .member_id = id});
    member.is_new = false;
    KeepAlive(group, member);
  }
}

void GroupCoordinator::RemoveMember(Group& group, const std::string& member_id) {
  Member& member = group.members.at(member_id);
  AnswerJoin(member, {.error = ErrorCode::kUnknownMemberId});
  AnswerSync(member, {.error = ErrorCode::kUnknownMemberId});
  group.Remove(std::string(member_id));
}

}  // namespace millrace::kafka_groups
