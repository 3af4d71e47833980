// Messages of membership in a consumer group.
//
// One description for both directions; message.h says how to read it. Field names and versions are
// those of the Kafka protocol: https://kafka.apache.org/protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/message.h"

namespace millrace::kafka {

struct JoinGroupRequest {
  static constexpr MessageInfo kInfo{"JoinGroupRequest", ApiKey::kJoinGroup, 6};
  struct JoinGroupRequestProtocol {
    std::string name;
    Bytes metadata;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Metadata", metadata, Since(0));
    }
    bool operator==(const JoinGroupRequestProtocol&) const = default;
  };
  std::string group_id;
  int32_t session_timeout_ms = 0;
  int32_t rebalance_timeout_ms = -1;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::string protocol_type;
  std::vector<JoinGroupRequestProtocol> protocols;
  std::optional<std::string> reason;
  template <typename V>
  void Fields(V& v) {
    v("GroupId", group_id, Since(0));
    v("SessionTimeoutMs", session_timeout_ms, Since(0));
    v("RebalanceTimeoutMs", rebalance_timeout_ms, Since(1));
    v("MemberId", member_id, Since(0));
    v("GroupInstanceId", group_instance_id, Since(5).NullSince(5));
    v("ProtocolType", protocol_type, Since(0));
    v("Protocols", protocols, Since(0));
    v("Reason", reason, Since(8).NullSince(8));
  }
  bool operator==(const JoinGroupRequest&) const = default;
};

struct JoinGroupResponse {
  static constexpr MessageInfo kInfo{"JoinGroupResponse", ApiKey::kJoinGroup, 6};
  struct JoinGroupResponseMember {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    Bytes metadata;
    template <typename V>
    void Fields(V& v) {
      v("MemberId", member_id, Since(0));
      v("GroupInstanceId", group_instance_id, Since(5).NullSince(5));
      v("Metadata", metadata, Since(0));
    }
    bool operator==(const JoinGroupResponseMember&) const = default;
  };
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  int32_t generation_id = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name = std::string();
  std::string leader;
  bool skip_assignment = false;
  std::string member_id;
  std::vector<JoinGroupResponseMember> members;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(2));
    v("ErrorCode", error_code, Since(0));
    v("GenerationId", generation_id, Since(0));
    v("ProtocolType", protocol_type, Since(7).NullSince(7));
    v("ProtocolName", protocol_name, Since(0).NullSince(7));
    v("Leader", leader, Since(0));
    v("SkipAssignment", skip_assignment, Since(9));
    v("MemberId", member_id, Since(0));
    v("Members", members, Since(0));
  }
  bool operator==(const JoinGroupResponse&) const = default;
};

struct SyncGroupRequest {
  static constexpr MessageInfo kInfo{"SyncGroupRequest", ApiKey::kSyncGroup, 4};
  struct SyncGroupRequestAssignment {
    std::string member_id;
    Bytes assignment;
    template <typename V>
    void Fields(V& v) {
      v("MemberId", member_id, Since(0));
      v("Assignment", assignment, Since(0));
    }
    bool operator==(const SyncGroupRequestAssignment&) const = default;
  };
  std::string group_id;
  int32_t generation_id = 0;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::vector<SyncGroupRequestAssignment> assignments;
  template <typename V>
  void Fields(V& v) {
    v("GroupId", group_id, Since(0));
    v("GenerationId", generation_id, Since(0));
    v("MemberId", member_id, Since(0));
    v("GroupInstanceId", group_instance_id, Since(3).NullSince(3));
    v("ProtocolType", protocol_type, Since(5).NullSince(5));
    v("ProtocolName", protocol_name, Since(5).NullSince(5));
    v("Assignments", assignments, Since(0));
  }
  bool operator==(const SyncGroupRequest&) const = default;
};

struct SyncGroupResponse {
  static constexpr MessageInfo kInfo{"SyncGroupResponse", ApiKey::kSyncGroup, 4};
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  Bytes assignment;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(1));
    v("ErrorCode", error_code, Since(0));
    v("ProtocolType", protocol_type, Since(5).NullSince(5));
    v("ProtocolName", protocol_name, Since(5).NullSince(5));
    v("Assignment", assignment, Since(0));
  }
  bool operator==(const SyncGroupResponse&) const = default;
};

struct HeartbeatRequest {
  static constexpr MessageInfo kInfo{"HeartbeatRequest", ApiKey::kHeartbeat, 4};
  std::string group_id;
  int32_t generation_id = 0;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  template <typename V>
  void Fields(V& v) {
    v("GroupId", group_id, Since(0));
    v("GenerationId", generation_id, Since(0));
    v("MemberId", member_id, Since(0));
    v("GroupInstanceId", group_instance_id, Since(3).NullSince(3));
  }
  bool operator==(const HeartbeatRequest&) const = default;
};

struct HeartbeatResponse {
  static constexpr MessageInfo kInfo{"HeartbeatResponse", ApiKey::kHeartbeat, 4};
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(1));
    v("ErrorCode", error_code, Since(0));
  }
  bool operator==(const HeartbeatResponse&) const = default;
};

struct LeaveGroupRequest {
  static constexpr MessageInfo kInfo{"LeaveGroupRequest", ApiKey::kLeaveGroup, 4};
  struct MemberIdentity {
    std::string member_id;
    std::optional<std::string> group_instance_id;
    std::optional<std::string> reason;
    template <typename V>
    void Fields(V& v) {
      v("MemberId", member_id, Since(3));
      v("GroupInstanceId", group_instance_id, Since(3).NullSince(3));
      v("Reason", reason, Since(5).NullSince(5));
    }
    bool operator==(const MemberIdentity&) const = default;
  };
  std::string group_id;
  std::string member_id;
  std::vector<MemberIdentity> members;
  template <typename V>
  void Fields(V& v) {
    v("GroupId", group_id, Since(0));
    v("MemberId", member_id, Since(0).Until(2));
    v("Members", members, Since(3));
  }
  bool operator==(const LeaveGroupRequest&) const = default;
};

struct LeaveGroupResponse {
  static constexpr MessageInfo kInfo{"LeaveGroupResponse", ApiKey::kLeaveGroup, 4};
  struct MemberResponse {
    std::string member_id;
    std::optional<std::string> group_instance_id = std::string();
    ErrorCode error_code = ErrorCode::kNone;
    template <typename V>
    void Fields(V& v) {
      v("MemberId", member_id, Since(3));
      v("GroupInstanceId", group_instance_id, Since(3).NullSince(3));
      v("ErrorCode", error_code, Since(3));
    }
    bool operator==(const MemberResponse&) const = default;
  };
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<MemberResponse> members;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(1));
    v("ErrorCode", error_code, Since(0));
    v("Members", members, Since(3));
  }
  bool operator==(const LeaveGroupResponse&) const = default;
};

}  // namespace millrace::kafka
