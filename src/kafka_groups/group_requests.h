// What consumer groups are asked and answer, free of wire formats: Kafka's classic group protocol
// (https://kafka.apache.org/protocol, JoinGroup, SyncGroup, OffsetCommit, …).
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kafka_groups/error_code.h"

namespace millrace::kafka_groups {

using kafka::ErrorCode;

enum class GroupState : uint8_t {
  kEmpty = 0,                // no members; perhaps offsets. The first Join acts.
  kPreparingRebalance = 1,   // members are asked to join again; they act, or the timeout
  kCompletingRebalance = 2,  // everybody waits for the leader's assignment; the leader acts
  kStable = 3,               // members work; who joins or leaves acts
  kDead = 4,                 // is being deleted, or does not exist
};
// "Empty", "PreparingRebalance", …, as Kafka names them.
std::string_view GroupStateName(GroupState state);

// One way of assigning that a member knows, with what it wants assigned.
struct GroupProtocol {
  std::string name;
  std::string metadata;
  bool operator==(const GroupProtocol&) const = default;
};

struct JoinRequest {
  std::string group;
  std::string member_id;                   // empty: not known yet
  std::optional<std::string> instance_id;  // a static member's name
  std::string client_id;
  std::string client_host;
  std::string protocol_type;
  std::vector<GroupProtocol> protocols;  // in the member's order of preference
  std::chrono::milliseconds session_timeout{0};
  std::chrono::milliseconds rebalance_timeout{0};
  bool require_known_member_id = false;   // JoinGroup version 4 and later
  bool supports_skip_assignment = false;  // JoinGroup version 9 and later
};

struct JoinedMember {
  std::string id;
  std::optional<std::string> instance_id;
  std::string metadata;  // of the protocol chosen
};

struct JoinAnswer {
  ErrorCode error = ErrorCode::kNone;
  int32_t generation = -1;
  std::string protocol_type = {};
  std::string protocol = {};  // empty: none was chosen
  std::string leader = {};
  std::string member_id = {};
  std::vector<JoinedMember> members = {};  // for the leader only
  bool skip_assignment = false;            // the leader goes on with the assignment there is
};
using JoinDone = std::function<void(JoinAnswer)>;

// Who asks, in requests of members.
struct MemberIdentity {
  std::string group;
  int32_t generation = -1;
  std::string member_id = {};
  std::optional<std::string> instance_id = {};
};

struct MemberAssignment {
  std::string member_id;
  std::string assignment;
};

struct SyncRequest {
  MemberIdentity who;
  std::optional<std::string> protocol_type = {};  // SyncGroup version 5 and later
  std::optional<std::string> protocol = {};
  std::vector<MemberAssignment> assignments = {};  // from the leader only
};

struct SyncAnswer {
  ErrorCode error = ErrorCode::kNone;
  std::string protocol_type = {};
  std::string protocol = {};
  std::string assignment = {};
};
using SyncDone = std::function<void(SyncAnswer)>;

struct LeavingMember {
  std::string member_id;  // empty: the static member of this instance id
  std::optional<std::string> instance_id = {};
};
struct LeaveAnswer {
  ErrorCode error = ErrorCode::kNone;
  std::vector<ErrorCode> members = {};  // in the request's order
};

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};

struct CommittedOffset {
  int64_t offset = -1;
  int32_t leader_epoch = -1;
  std::string metadata = {};
  Micros committed_at = {};
  bool operator==(const CommittedOffset&) const = default;
};

struct OffsetToCommit {
  TopicPartition partition;
  int64_t offset = 0;
  int32_t leader_epoch = -1;
  std::string metadata = {};
};

// One producer's transaction. Ids and epochs as Kafka counts them.
struct ProducerIdentity {
  int64_t id = -1;
  int16_t epoch = -1;
  bool operator==(const ProducerIdentity&) const = default;
};

// One error per partition, in the request's order.
using PartitionErrors = std::vector<ErrorCode>;
using CommitDone = std::function<void(PartitionErrors)>;

struct FetchedOffset {
  TopicPartition partition;
  ErrorCode error = ErrorCode::kNone;
  CommittedOffset committed = {};  // offset −1: none was committed
};

struct FetchOffsetsAnswer {
  ErrorCode error = ErrorCode::kNone;
  std::vector<FetchedOffset> offsets = {};
};

struct DeleteOffsetsAnswer {
  ErrorCode error = ErrorCode::kNone;
  PartitionErrors partitions = {};
};

struct GroupListing {
  std::string group;
  std::string protocol_type;
  GroupState state;
};

struct MemberDescription {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  std::string metadata;    // while the group is stable
  std::string assignment;  // while the group is stable
};
struct GroupDescription {
  ErrorCode error = ErrorCode::kNone;
  std::string group = {};
  GroupState state = GroupState::kDead;
  std::string protocol_type = {};
  std::string protocol = {};
  std::vector<MemberDescription> members = {};
};

}  // namespace millrace::kafka_groups
