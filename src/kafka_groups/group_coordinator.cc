#include "kafka_groups/group_coordinator.h"

#include "base/logging.h"
#include "kafka_groups/group_record.h"

namespace millrace::kafka_groups {

// ---- Start ----

Result<std::unique_ptr<GroupCoordinator>> GroupCoordinator::Open(GroupOptions options,
                                                                 Storage& storage) {
  CHECK(options.clock != nullptr && options.timers != nullptr);
  // A member's session has to end later than it begins: Tick would not come to an end.
  CHECK(options.session_timeout_min.count() > 0);
  std::unique_ptr<GroupCoordinator> coordinator(new GroupCoordinator(options, storage));
  TRY(coordinator->Load().With("load consumer groups"));
  return coordinator;
}

GroupCoordinator::GroupCoordinator(GroupOptions options, Storage& storage)
    : options_(options),
      table_(turns_, storage, options.table),
      random_(options.seed),
      next_expiry_(Later(options.timers->Now(), options.expiry_interval)) {}

Status GroupCoordinator::Load() {
  const Turns::Turn turn(turns_);
  TRY(table_.Load());
  Status loaded = Ok();
  table_.ForEach("", [&](const std::string& key, const std::string& value) {
    if (loaded.ok()) loaded = LoadEntry(key, value);
  });
  TRY(std::move(loaded));
  const Micros now = NowOnTimers();
  for (auto& [id, group] : groups_) {
    for (auto& [member_id, member] : group->members) KeepAlive(*group, member);
    if (group->state != GroupState::kCompletingRebalance) continue;
    for (const auto& [member_id, member] : group->members) group->awaited_syncs.insert(member_id);
    group->sync_deadline = Later(now, group->RebalanceTimeout());
    WakeAt(*group, group->sync_deadline);
  }
  return Ok();
}

Status GroupCoordinator::LoadEntry(const std::string& key, const std::string& value) {
  TRY(const TableKey decoded, DecodeKey(key));
  // Limits hold for new groups; what was acknowledged is loaded whatever they say now.
  auto& group = groups_[decoded.group];
  if (!group) group = std::make_unique<Group>(decoded.group, next_incarnation_++);
  switch (decoded.kind) {
    case TableKey::Kind::kGroup:
      return DecodeGroup(value, *group).With("group " + Quoted(decoded.group));
    case TableKey::Kind::kOffset: {
      TRY(group->offsets[decoded.partition],
          DecodeOffset(value).With("offset of group " + Quoted(decoded.group)));
      return Ok();
    }
    case TableKey::Kind::kPendingOffset: {
      // Stays in the table until its transaction is decided; looked at now, so that a start finds
      // damage and not a commit.
      Result<CommittedOffset> pending = DecodeOffset(value);
      if (pending.ok()) return Ok();
      return std::move(pending).error().With("pending offset of group " + Quoted(decoded.group));
    }
  }
  return Ok();
}

// ---- Groups ----

Group* GroupCoordinator::Find(const std::string& id) const {
  const auto at = groups_.find(id);
  return at == groups_.end() ? nullptr : at->second.get();
}

Group* GroupCoordinator::Find(const std::string& id, uint64_t incarnation) const {
  Group* group = Find(id);
  return group != nullptr && group->incarnation == incarnation ? group : nullptr;
}

Group* GroupCoordinator::FindOrCreate(const std::string& id) {
  if (Group* found = Find(id)) return found;
  if (groups_.size() >= options_.groups_max) return nullptr;
  auto& group = groups_[id];
  group = std::make_unique<Group>(id, next_incarnation_++);
  group->empty_since = options_.clock->Now();
  return group.get();
}

void GroupCoordinator::DropIfUnused(const std::string& id) {
  const Group* group = Find(id);
  if (group == nullptr || group->state != GroupState::kEmpty) return;
  if (!group->pending_members.empty() || !group->offsets.empty()) return;
  if (table_.Find(GroupKey(id)) != nullptr || table_.Any(OffsetsPrefix(id)) ||
      table_.Any(PendingOffsetsPrefix(id)))
    return;
  wakes_.erase({group->wake_at, id});
  groups_.erase(id);
}

void GroupCoordinator::StoreGroup(Group& group, GroupState state, DurableTable::Done done) {
  const Status queued = table_.Apply({{GroupKey(group.id), EncodeGroup(group, state)}}, done);
  if (!queued.ok()) done(queued);
}

ErrorCode GroupCoordinator::StorageError(const Error& error) {
  LOG_WARNING("storing a consumer group's state failed", "error={}", error.ToString());
  // Trying a record again that is too large helps nobody.
  return error.code() == Code::kTooLarge ? ErrorCode::kUnknownServerError
                                         : ErrorCode::kCoordinatorNotAvailable;
}

// Kafka takes the empty name for offsets and in administration, for the sake of old clients.
ErrorCode GroupCoordinator::CheckGroupId(const std::string& id, bool may_be_empty) const {
  if (shut_down_) return ErrorCode::kCoordinatorNotAvailable;
  if ((id.empty() && !may_be_empty) || id.size() > options_.group_id_bytes_max)
    return ErrorCode::kInvalidGroupId;
  return ErrorCode::kNone;
}

// ---- Time ----

void GroupCoordinator::WakeAt(Group& group, Micros at) {
  if (at >= group.wake_at) return;
  wakes_.erase({group.wake_at, group.id});
  group.wake_at = at;
  wakes_.emplace(at, group.id);
}

void GroupCoordinator::Tick() {
  const Turns::Turn turn(turns_);
  if (shut_down_) return;
  const Micros now = NowOnTimers();
  while (!wakes_.empty() && wakes_.begin()->first <= now) {
    Group& group = *groups_.at(wakes_.begin()->second);
    wakes_.erase(wakes_.begin());
    group.wake_at = kNever;
    Wake(group);
  }
  if (now >= next_expiry_) {
    next_expiry_ = Later(now, options_.expiry_interval);
    ExpireOffsets();
  }
  table_.Tick();
}

Micros GroupCoordinator::NextDeadline() const {
  const Turns::Turn turn(turns_);
  return wakes_.empty() ? next_expiry_ : std::min(next_expiry_, wakes_.begin()->first);
}

// Does what is due, and sets the next time. Deadlines that were put off meanwhile (heartbeats) are
// found not to be due.
void GroupCoordinator::Wake(Group& group) {
  const Micros now = NowOnTimers();
  ExpireMembers(group, now);
  if (now >= group.sync_deadline) {
    group.sync_deadline = kNever;
    const auto silent = group.awaited_syncs;
    for (const std::string& id : silent) RemoveMember(group, id);
    if (!silent.empty()) MaybePrepareRebalance(group);
  }
  if (now >= group.rebalance_deadline) RebalanceTimedOut(group, now);
  MaybeCompleteJoin(group);
  WakeAt(group, group.rebalance_deadline);
  WakeAt(group, group.sync_deadline);
  for (const auto& [id, member] : group.members) WakeAt(group, member.session_deadline);
  for (const auto& [id, deadline] : group.pending_members) WakeAt(group, deadline);
  DropIfUnused(group.id);
}

void GroupCoordinator::ExpireMembers(Group& group, Micros now) {
  std::erase_if(group.pending_members, [&](const auto& entry) { return entry.second <= now; });
  std::vector<std::string> gone;
  for (auto& [id, member] : group.members) {
    if (member.session_deadline > now) continue;
    if (member.CannotExpire()) {
      KeepAlive(group, member);
    } else {
      gone.push_back(id);
    }
  }
  for (const std::string& id : gone) {
    LOG_INFO("consumer group member expired", "group={} member={}", group.id, id);
    RemoveMember(group, id);
  }
  if (!gone.empty()) MaybePrepareRebalance(group);
}

void GroupCoordinator::Shutdown() {
  const Turns::Turn turn(turns_);
  shut_down_ = true;
  for (auto& [id, group] : groups_) {
    for (auto& [member_id, member] : group->members) {
      AnswerJoin(member, {.error = ErrorCode::kCoordinatorNotAvailable, .member_id = member_id});
      AnswerSync(member, {.error = ErrorCode::kCoordinatorNotAvailable});
    }
  }
}

}  // namespace millrace::kafka_groups
