// GroupCoordinator: what operators see and do.
#include "kafka_groups/group_coordinator.h"
#include "kafka_groups/group_record.h"

namespace millrace::kafka_groups {

std::vector<GroupListing> GroupCoordinator::List(const std::vector<GroupState>& states) const {
  const Turns::Turn turn(turns_);
  std::vector<GroupListing> out;
  for (const auto& [id, group] : groups_) {
    if (!states.empty() && std::find(states.begin(), states.end(), group->state) == states.end())
      continue;
    out.push_back({id, group->protocol_type, group->state});
  }
  return out;
}

GroupDescription GroupCoordinator::Describe(const std::string& id) const {
  const Turns::Turn turn(turns_);
  GroupDescription out;
  out.group = id;
  out.error = CheckGroupId(id, /*may_be_empty=*/true);
  if (out.error != ErrorCode::kNone) return out;
  const Group* group = Find(id);
  if (group == nullptr || group->state == GroupState::kDead) {
    out.error = ErrorCode::kGroupIdNotFound;
    return out;
  }
  const bool stable = group->state == GroupState::kStable;
  out.state = group->state;
  out.protocol_type = group->protocol_type;
  if (stable) out.protocol = group->protocol;
  for (const auto& [member_id, member] : group->members) {
    MemberDescription described{
        member_id, member.instance_id, member.client_id, member.client_host, "", ""};
    if (stable) {
      const GroupProtocol* spoken = member.FindProtocol(group->protocol);
      if (spoken != nullptr) described.metadata = spoken->metadata;
      described.assignment = member.assignment;
    }
    out.members.push_back(std::move(described));
  }
  return out;
}

// Marks the group dead and collects what has to go; or says why not.
ErrorCode GroupCoordinator::BeginDelete(const std::string& id, std::vector<TableChange>& changes) {
  const ErrorCode invalid = CheckGroupId(id, /*may_be_empty=*/true);
  if (invalid != ErrorCode::kNone) return invalid;
  Group* group = Find(id);
  if (group == nullptr || group->state == GroupState::kDead) return ErrorCode::kGroupIdNotFound;
  if (group->state != GroupState::kEmpty) return ErrorCode::kNonEmptyGroup;
  group->state = GroupState::kDead;
  changes.push_back({GroupKey(id), std::nullopt});
  const auto collect = [&](const std::string& key, const std::string&) {
    changes.push_back({key, std::nullopt});
  };
  table_.ForEach(OffsetsPrefix(id), collect);
  table_.ForEach(PendingOffsetsPrefix(id), collect);
  return ErrorCode::kNone;
}

void GroupCoordinator::DeleteGroups(const std::vector<std::string>& groups,
                                    std::function<void(std::vector<ErrorCode>)> done) {
  const Turns::Turn turn(turns_);
  std::vector<ErrorCode> errors;
  std::vector<TableChange> changes;
  for (const std::string& id : groups) errors.push_back(BeginDelete(id, changes));
  const auto finish = [this, groups, errors, done = std::move(done)](const Status& stored) {
    std::vector<ErrorCode> answer = errors;
    for (size_t i = 0; i < groups.size(); ++i) {
      if (answer[i] != ErrorCode::kNone) continue;
      Group& group = *groups_.at(groups[i]);  // nothing but this lets a dead group go
      if (!stored.ok()) {
        answer[i] = StorageError(stored.error());
        group.state = GroupState::kEmpty;
        continue;
      }
      wakes_.erase({group.wake_at, group.id});
      groups_.erase(groups[i]);
    }
    turns_.After([done, answer = std::move(answer)] { done(answer); });
  };
  if (changes.empty()) return finish(Ok());
  const Status queued = table_.Apply(changes, finish);
  if (!queued.ok()) finish(queued);
}

}  // namespace millrace::kafka_groups
