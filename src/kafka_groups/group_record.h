// How groups and offsets stand in the table of `__consumer_offsets`
// (docs/formats/consumer_offsets.md): keys that keep what belongs to a group together, and values.
//
// Decoding fails with kCorruption or kNotSupported (a newer version).
#pragma once

#include "base/result.h"
#include "kafka_groups/group.h"

namespace millrace::kafka_groups {

// ---- Keys ----

std::string GroupKey(const std::string& group);
std::string OffsetKey(const std::string& group, const TopicPartition& partition);
// An offset committed within a transaction that is not decided.
std::string PendingOffsetKey(const std::string& group, const TopicPartition& partition,
                             int64_t producer_id);
// Prefixes of the keys above.
std::string OffsetsPrefix(const std::string& group);
std::string PendingOffsetsPrefix(const std::string& group);
std::string PendingOffsetsPrefix(const std::string& group, const TopicPartition& partition);

struct TableKey {
  enum class Kind { kGroup, kOffset, kPendingOffset };
  Kind kind = Kind::kGroup;
  std::string group = {};
  TopicPartition partition = {};
  int64_t producer_id = -1;
};
Result<TableKey> DecodeKey(std::string_view key);

// ---- Values ----

// What survives of a group: generation, protocol, members with their assignments. Waiting requests,
// timers, and ids given out to nobody yet do not.
// `state`: what a start is to find.
std::string EncodeGroup(const Group& group, GroupState state);
// Into a new group. Its deadlines are left to the caller.
Status DecodeGroup(std::string_view bytes, Group& group);

std::string EncodeOffset(const CommittedOffset& offset);
Result<CommittedOffset> DecodeOffset(std::string_view bytes);

}  // namespace millrace::kafka_groups
