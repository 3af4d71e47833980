// GroupCoordinator: offsets that go: by request, with their topic, and by age.
#include "base/logging.h"
#include "kafka_groups/group_coordinator.h"
#include "kafka_groups/group_record.h"

namespace millrace::kafka_groups {

void GroupCoordinator::EraseOffsets(Group& group, const std::vector<TopicPartition>& partitions,
                                    std::vector<TableChange> changes,
                                    std::function<void(Status)> done) {
  for (const TopicPartition& partition : partitions)
    changes.push_back({OffsetKey(group.id, partition), std::nullopt});
  const auto finish = [this, id = group.id, incarnation = group.incarnation, partitions,
                       done = std::move(done)](const Status& stored) {
    Group* found = Find(id, incarnation);
    if (stored.ok() && found != nullptr) {
      for (const TopicPartition& partition : partitions) found->offsets.erase(partition);
    }
    done(stored);
    DropIfUnused(id);
  };
  if (changes.empty()) return finish(Ok());
  const Status queued = table_.Apply(changes, finish);
  if (!queued.ok()) finish(queued);
}

void GroupCoordinator::DeleteOffsets(const std::string& id,
                                     const std::vector<TopicPartition>& partitions,
                                     std::function<void(DeleteOffsetsAnswer)> done) {
  const Turns::Turn turn(turns_);
  DeleteOffsetsAnswer answer;
  answer.error = CheckGroupId(id, /*may_be_empty=*/true);
  Group* group = Find(id);
  if (answer.error == ErrorCode::kNone) {
    if (group == nullptr || group->state == GroupState::kDead) {
      answer.error = ErrorCode::kGroupIdNotFound;
    } else if (group->state != GroupState::kEmpty && !group->IsConsumerGroup()) {
      answer.error = ErrorCode::kNonEmptyGroup;
    }
  }
  if (answer.error != ErrorCode::kNone) {
    turns_.After([done = std::move(done), answer] { done(answer); });
    return;
  }
  std::vector<TopicPartition> unused;
  for (const TopicPartition& partition : partitions) {
    const bool used = group->state != GroupState::kEmpty && group->MaySubscribe(partition.topic);
    answer.partitions.push_back(used ? ErrorCode::kGroupSubscribedToTopic : ErrorCode::kNone);
    if (!used) unused.push_back(partition);
  }
  EraseOffsets(*group, unused, {},
               [this, answer = std::move(answer), done = std::move(done)](const Status& stored) {
                 DeleteOffsetsAnswer told = answer;
                 if (!stored.ok()) told.error = StorageError(stored.error());
                 turns_.After([done, told = std::move(told)] { done(told); });
               });
}

void GroupCoordinator::DropOffsets(const std::function<bool(const std::string& topic)>& gone) {
  const Turns::Turn turn(turns_);
  std::vector<std::string> ids;
  for (const auto& [id, group] : groups_) ids.push_back(id);
  for (const std::string& id : ids) DropOffsetsOf(*Find(id), gone);
}

void GroupCoordinator::DropOffsetsOf(Group& group,
                                     const std::function<bool(const std::string&)>& gone) {
  std::vector<TopicPartition> partitions;
  std::vector<TableChange> changes;
  const auto collect = [&](const std::string& key, const std::string&) {
    const Result<TableKey> decoded = DecodeKey(key);
    CHECK(decoded.ok());
    if (!gone(decoded->partition.topic)) return;
    if (decoded->kind == TableKey::Kind::kOffset) {
      partitions.push_back(decoded->partition);
    } else {
      changes.push_back({key, std::nullopt});
    }
  };
  table_.ForEach(OffsetsPrefix(group.id), collect);
  table_.ForEach(PendingOffsetsPrefix(group.id), collect);
  if (partitions.empty() && changes.empty()) return;
  // Should it fail, the next start drops them.
  EraseOffsets(group, partitions, std::move(changes), [](const Status& stored) {
    if (!stored.ok()) (void)StorageError(stored.error());
  });
}

void GroupCoordinator::ExpireOffsets() {
  const Micros now = options_.clock->Now();
  std::vector<std::string> ids;
  for (const auto& [id, group] : groups_) ids.push_back(id);
  for (const std::string& id : ids) ExpireOffsetsOf(*Find(id), now);
}

// An empty group's offsets by the time since it is empty (or since the commit, where nobody ever
// joined); a group's with members only where none of them subscribes to the topic.
void GroupCoordinator::ExpireOffsetsOf(Group& group, Micros now) {
  const bool empty = group.state == GroupState::kEmpty;
  if (!empty && !(group.state == GroupState::kStable && group.IsConsumerGroup())) return;
  std::vector<TopicPartition> expired;
  for (const auto& [partition, committed] : group.offsets) {
    Micros since = committed.committed_at;
    if (empty && !group.protocol_type.empty()) since = std::max(since, group.empty_since);
    if (Later(since, options_.offsets_retention) > now) continue;
    if (!empty && group.MaySubscribe(partition.topic)) continue;
    // Not one that a newer commit or a transaction is about to change.
    const std::string* stored = table_.Find(OffsetKey(group.id, partition));
    if (stored == nullptr || *stored != EncodeOffset(committed)) continue;
    if (table_.Any(PendingOffsetsPrefix(group.id, partition))) continue;
    expired.push_back(partition);
  }
  size_t there = 0;
  table_.ForEach(OffsetsPrefix(group.id), [&](const auto&, const auto&) { ++there; });
  std::vector<TableChange> changes;
  // A group without members and offsets is forgotten.
  if (empty && there == expired.size() && table_.Find(GroupKey(group.id)) != nullptr &&
      !table_.Any(PendingOffsetsPrefix(group.id)))
    changes.push_back({GroupKey(group.id), std::nullopt});
  if (expired.empty() && changes.empty()) return;
  LOG_INFO("offsets of a consumer group expire", "group={} offsets={}", group.id, expired.size());
  EraseOffsets(group, expired, std::move(changes), [](const Status& stored) {
    if (!stored.ok()) (void)StorageError(stored.error());
  });
}

}  // namespace millrace::kafka_groups
