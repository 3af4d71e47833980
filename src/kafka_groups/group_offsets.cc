// GroupCoordinator: committed offsets.
//
// The table holds what was appended, Group::offsets what is durable. Every change of the latter is
// made when its record is durable, so in the order of the records. Pending offsets of transactions
// stand in the table alone: they count from the moment they are appended (UNSTABLE_OFFSET_COMMIT).
#include "base/logging.h"
#include "kafka_groups/group_coordinator.h"
#include "kafka_groups/group_record.h"

namespace millrace::kafka_groups {

namespace {
// A transaction whose offsets take more changes the group in several steps.
constexpr size_t kSettleBytesMax = 4 << 20;

using Offsets = std::vector<std::pair<TopicPartition, CommittedOffset>>;
}  // namespace

// ---- Committing ----

ErrorCode GroupCoordinator::CheckCommit(const Group& group, const MemberIdentity& who,
                                        bool in_transaction) {
  if (group.state == GroupState::kDead) return ErrorCode::kCoordinatorNotAvailable;
  if (who.generation < 0 && group.state == GroupState::kEmpty) return ErrorCode::kNone;
  const bool names_member = who.generation >= 0 || !who.member_id.empty() || who.instance_id;
  if (!names_member) {
    // While there are members only they commit. Transactions of older clients do not name them.
    return in_transaction ? ErrorCode::kNone : ErrorCode::kUnknownMemberId;
  }
  const ErrorCode unknown = group.CheckMember(who.member_id, who.instance_id);
  if (unknown != ErrorCode::kNone) return unknown;
  if (who.generation != group.generation) return ErrorCode::kIllegalGeneration;
  // The member knows its generation and not yet its share.
  if (!in_transaction && group.state == GroupState::kCompletingRebalance)
    return ErrorCode::kRebalanceInProgress;
  return ErrorCode::kNone;
}

// Stores them, or answers why not.
void GroupCoordinator::CommitChecked(const CommitRequest& request,
                                     std::optional<int64_t> producer_id, CommitDone done) {
  Group* group = Find(request.who.group);
  ErrorCode error = ErrorCode::kIllegalGeneration;
  if (group == nullptr && request.who.generation < 0) {
    group = FindOrCreate(request.who.group);
    error = ErrorCode::kPolicyViolation;  // groups_max
  }
  if (group != nullptr) error = CheckCommit(*group, request.who, producer_id.has_value());
  if (error != ErrorCode::kNone) {
    RefuseCommit(request, error, std::move(done));
    return;
  }
  const auto member = group->members.find(request.who.member_id);
  if (member != group->members.end()) KeepAlive(*group, member->second);
  StoreOffsets(*group, request.offsets, producer_id, std::move(done));
}

void GroupCoordinator::RefuseCommit(const CommitRequest& request, ErrorCode error,
                                    CommitDone done) {
  turns_.After([done = std::move(done), errors = PartitionErrors(request.offsets.size(), error)] {
    done(errors);
  });
}

void GroupCoordinator::Commit(const CommitRequest& request, CommitDone done) {
  const Turns::Turn turn(turns_);
  const ErrorCode invalid = CheckGroupId(request.who.group, /*may_be_empty=*/true);
  if (invalid != ErrorCode::kNone) return RefuseCommit(request, invalid, std::move(done));
  CommitChecked(request, std::nullopt, std::move(done));
}

void GroupCoordinator::StoreOffsets(Group& group, const std::vector<OffsetToCommit>& offsets,
                                    std::optional<int64_t> producer_id, CommitDone done) {
  PartitionErrors errors(offsets.size(), ErrorCode::kNone);
  std::vector<TableChange> changes;
  Offsets durable_then;
  for (size_t i = 0; i < offsets.size(); ++i) {
    const OffsetToCommit& commit = offsets[i];
    if (commit.metadata.size() > options_.offset_metadata_bytes_max) {
      errors[i] = ErrorCode::kOffsetMetadataTooLarge;
      continue;
    }
    CommittedOffset committed{commit.offset, commit.leader_epoch, commit.metadata,
                              options_.clock->Now()};
    changes.push_back({producer_id ? PendingOffsetKey(group.id, commit.partition, *producer_id)
                                   : OffsetKey(group.id, commit.partition),
                       EncodeOffset(committed)});
    if (!producer_id) durable_then.emplace_back(commit.partition, std::move(committed));
  }
  const auto finish = [this, id = group.id, incarnation = group.incarnation,
                       durable_then = std::move(durable_then), errors,
                       done = std::move(done)](const Status& stored) {
    PartitionErrors answer = errors;
    if (!stored.ok()) {
      ErrorCode error = StorageError(stored.error());
      if (stored.error().code() == Code::kTooLarge) error = ErrorCode::kInvalidCommitOffsetSize;
      for (ErrorCode& one : answer) {
        if (one == ErrorCode::kNone) one = error;
      }
    } else if (Group* found = Find(id, incarnation)) {
      for (const auto& [partition, committed] : durable_then) found->offsets[partition] = committed;
    }
    turns_.After([done, answer = std::move(answer)] { done(answer); });
    DropIfUnused(id);
  };
  if (changes.empty()) return finish(Ok());
  const Status queued = table_.Apply(changes, finish);
  if (!queued.ok()) finish(queued);
}

// ---- Fetching ----

FetchOffsetsAnswer GroupCoordinator::Fetch(
    const std::string& id, const std::optional<std::vector<TopicPartition>>& partitions,
    bool require_stable) const {
  const Turns::Turn turn(turns_);
  FetchOffsetsAnswer answer;
  answer.error = CheckGroupId(id, /*may_be_empty=*/true);
  if (answer.error != ErrorCode::kNone) return answer;
  const Group* group = Find(id);
  const auto fetch = [&](const TopicPartition& partition) {
    FetchedOffset fetched{partition};
    if (group == nullptr || group->state == GroupState::kDead) return fetched;
    if (require_stable && (group->offsets_settling.contains(partition) ||
                           table_.Any(PendingOffsetsPrefix(id, partition)))) {
      fetched.error = ErrorCode::kUnstableOffsetCommit;
      return fetched;
    }
    const auto at = group->offsets.find(partition);
    if (at != group->offsets.end()) fetched.committed = at->second;
    return fetched;
  };
  if (partitions) {
    for (const TopicPartition& partition : *partitions) answer.offsets.push_back(fetch(partition));
  } else if (group != nullptr && group->state != GroupState::kDead) {
    for (const auto& [partition, committed] : group->offsets)
      answer.offsets.push_back(fetch(partition));
  }
  return answer;
}

// ---- Transactions ----

void GroupCoordinator::BeginTransaction(const std::string& group, ProducerIdentity producer) {
  const Turns::Turn turn(turns_);
  transactions_[{group, producer.id}] = producer.epoch;
}

void GroupCoordinator::CommitInTransaction(const CommitRequest& request, ProducerIdentity producer,
                                           CommitDone done) {
  const Turns::Turn turn(turns_);
  const ErrorCode invalid = CheckGroupId(request.who.group);
  if (invalid != ErrorCode::kNone) return RefuseCommit(request, invalid, std::move(done));
  const auto begun = transactions_.find({request.who.group, producer.id});
  // A commit that comes after the end would never be decided.
  if (begun == transactions_.end())
    return RefuseCommit(request, ErrorCode::kInvalidTxnState, std::move(done));
  if (begun->second != producer.epoch)
    return RefuseCommit(request, ErrorCode::kInvalidProducerEpoch, std::move(done));
  CommitChecked(request, producer.id, std::move(done));
}

void GroupCoordinator::EndTransaction(const std::string& id, int64_t producer_id, bool commit,
                                      std::function<void(Status)> done) {
  const Turns::Turn turn(turns_);
  transactions_.erase({id, producer_id});
  Offsets pending;
  table_.ForEach(PendingOffsetsPrefix(id), [&](const std::string& key, const std::string& value) {
    Result<TableKey> decoded = DecodeKey(key);
    Result<CommittedOffset> offset = DecodeOffset(value);
    CHECK(decoded.ok() && offset.ok()) << "the table holds what was written or looked at by Load";
    if (decoded->producer_id == producer_id)
      pending.emplace_back(decoded->partition, *std::move(offset));
  });
  size_t at = 0;
  do {
    Offsets settled;
    std::vector<TableChange> changes;
    for (size_t bytes = 0; at < pending.size() && bytes < kSettleBytesMax; ++at) {
      auto& [partition, offset] = pending[at];
      changes.push_back({PendingOffsetKey(id, partition, producer_id), std::nullopt});
      bytes += changes.back().key.size();
      if (!commit) continue;
      changes.push_back({OffsetKey(id, partition), EncodeOffset(offset)});
      bytes += changes.back().key.size() + changes.back().value->size();
      settled.emplace_back(partition, std::move(offset));
    }
    const bool last = at == pending.size();
    const Status queued = Settle(id, changes, std::move(settled), last ? done : nullptr);
    if (!queued.ok()) {
      turns_.After([done, queued] { done(queued); });
      return;
    }
  } while (at < pending.size());
}

Status GroupCoordinator::Settle(const std::string& id, const std::vector<TableChange>& changes,
                                Offsets settled, std::function<void(Status)> done) {
  if (changes.empty()) {
    turns_.After([done = std::move(done)] { done(Ok()); });
    return Ok();
  }
  Group* group = Find(id);
  CHECK(group != nullptr) << "a group with pending offsets is there";
  TRY(table_.Apply(changes, [this, id, incarnation = group->incarnation, settled,
                             done = std::move(done)](const Status& stored) {
    if (Group* found = Find(id, incarnation)) {
      for (const auto& [partition, offset] : settled) {
        if (stored.ok()) found->offsets[partition] = offset;
        if (--found->offsets_settling[partition] == 0) found->offsets_settling.erase(partition);
      }
    }
    if (done) turns_.After([done, stored] { done(stored); });
    DropIfUnused(id);
  }));
  for (const auto& [partition, offset] : settled) ++group->offsets_settling[partition];
  return Ok();
}

}  // namespace millrace::kafka_groups
