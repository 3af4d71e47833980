// Messages that list, describe and delete consumer groups.
//
// One description for both directions; message.h says how to read it. Field names and versions are
// those of the Kafka protocol: https://kafka.apache.org/protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/message.h"

namespace millrace::kafka {

struct DescribeGroupsRequest {
  static constexpr MessageInfo kInfo{"DescribeGroupsRequest", ApiKey::kDescribeGroups, 5};
  std::vector<std::string> groups;
  bool include_authorized_operations = false;
  template <typename V>
  void Fields(V& v) {
    v("Groups", groups, Since(0));
    v("IncludeAuthorizedOperations", include_authorized_operations, Since(3));
  }
  bool operator==(const DescribeGroupsRequest&) const = default;
};

struct DescribeGroupsResponse {
  static constexpr MessageInfo kInfo{"DescribeGroupsResponse", ApiKey::kDescribeGroups, 5};
  struct DescribedGroup {
    struct DescribedGroupMember {
      std::string member_id;
      std::optional<std::string> group_instance_id;
      std::string client_id;
      std::string client_host;
      Bytes member_metadata;
      Bytes member_assignment;
      template <typename V>
      void Fields(V& v) {
        v("MemberId", member_id, Since(0));
        v("GroupInstanceId", group_instance_id, Since(4).NullSince(4));
        v("ClientId", client_id, Since(0));
        v("ClientHost", client_host, Since(0));
        v("MemberMetadata", member_metadata, Since(0));
        v("MemberAssignment", member_assignment, Since(0));
      }
      bool operator==(const DescribedGroupMember&) const = default;
    };
    ErrorCode error_code = ErrorCode::kNone;
    std::string group_id;
    std::string group_state;
    std::string protocol_type;
    std::string protocol_data;
    std::vector<DescribedGroupMember> members;
    int32_t authorized_operations = INT32_MIN;
    template <typename V>
    void Fields(V& v) {
      v("ErrorCode", error_code, Since(0));
      v("GroupId", group_id, Since(0));
      v("GroupState", group_state, Since(0));
      v("ProtocolType", protocol_type, Since(0));
      v("ProtocolData", protocol_data, Since(0));
      v("Members", members, Since(0));
      v("AuthorizedOperations", authorized_operations, Since(3));
    }
    bool operator==(const DescribedGroup&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<DescribedGroup> groups;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(1));
    v("Groups", groups, Since(0));
  }
  bool operator==(const DescribeGroupsResponse&) const = default;
};

struct ListGroupsRequest {
  static constexpr MessageInfo kInfo{"ListGroupsRequest", ApiKey::kListGroups, 3};
  std::vector<std::string> states_filter;
  std::vector<std::string> types_filter;
  template <typename V>
  void Fields(V& v) {
    v("StatesFilter", states_filter, Since(4));
    v("TypesFilter", types_filter, Since(5));
  }
  bool operator==(const ListGroupsRequest&) const = default;
};

struct ListGroupsResponse {
  static constexpr MessageInfo kInfo{"ListGroupsResponse", ApiKey::kListGroups, 3};
  struct ListedGroup {
    std::string group_id;
    std::string protocol_type;
    std::string group_state;
    std::string group_type;
    template <typename V>
    void Fields(V& v) {
      v("GroupId", group_id, Since(0));
      v("ProtocolType", protocol_type, Since(0));
      v("GroupState", group_state, Since(4));
      v("GroupType", group_type, Since(5));
    }
    bool operator==(const ListedGroup&) const = default;
  };
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<ListedGroup> groups;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(1));
    v("ErrorCode", error_code, Since(0));
    v("Groups", groups, Since(0));
  }
  bool operator==(const ListGroupsResponse&) const = default;
};

struct DeleteGroupsRequest {
  static constexpr MessageInfo kInfo{"DeleteGroupsRequest", ApiKey::kDeleteGroups, 2};
  std::vector<std::string> groups_names;
  template <typename V>
  void Fields(V& v) {
    v("GroupsNames", groups_names, Since(0));
  }
  bool operator==(const DeleteGroupsRequest&) const = default;
};

struct DeleteGroupsResponse {
  static constexpr MessageInfo kInfo{"DeleteGroupsResponse", ApiKey::kDeleteGroups, 2};
  struct DeletableGroupResult {
    std::string group_id;
    ErrorCode error_code = ErrorCode::kNone;
    template <typename V>
    void Fields(V& v) {
      v("GroupId", group_id, Since(0));
      v("ErrorCode", error_code, Since(0));
    }
    bool operator==(const DeletableGroupResult&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<DeletableGroupResult> results;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("Results", results, Since(0));
  }
  bool operator==(const DeleteGroupsResponse&) const = default;
};

}  // namespace millrace::kafka
