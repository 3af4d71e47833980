// Messages of the offsets that consumer groups commit.
//
// One description for both directions; message.h says how to read it. Field names and versions are
// those of the Kafka protocol: https://kafka.apache.org/protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/message.h"

namespace millrace::kafka {

struct OffsetCommitRequest {
  static constexpr MessageInfo kInfo{"OffsetCommitRequest", ApiKey::kOffsetCommit, 8};
  struct OffsetCommitRequestTopic {
    struct OffsetCommitRequestPartition {
      int32_t partition_index = 0;
      int64_t committed_offset = 0;
      int32_t committed_leader_epoch = -1;
      std::optional<std::string> committed_metadata = std::string();
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("CommittedOffset", committed_offset, Since(0));
        v("CommittedLeaderEpoch", committed_leader_epoch, Since(6));
        v("CommittedMetadata", committed_metadata, Since(0).NullSince(0));
      }
      bool operator==(const OffsetCommitRequestPartition&) const = default;
    };
    std::string name;
    std::vector<OffsetCommitRequestPartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const OffsetCommitRequestTopic&) const = default;
  };
  std::string group_id;
  int32_t generation_id_or_member_epoch = -1;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  int64_t retention_time_ms = -1;
  std::vector<OffsetCommitRequestTopic> topics;
  template <typename V>
  void Fields(V& v) {
    v("GroupId", group_id, Since(0));
    v("GenerationIdOrMemberEpoch", generation_id_or_member_epoch, Since(1));
    v("MemberId", member_id, Since(1));
    v("GroupInstanceId", group_instance_id, Since(7).NullSince(7));
    v("RetentionTimeMs", retention_time_ms, Since(2).Until(4));
    v("Topics", topics, Since(0));
  }
  bool operator==(const OffsetCommitRequest&) const = default;
};

struct OffsetCommitResponse {
  static constexpr MessageInfo kInfo{"OffsetCommitResponse", ApiKey::kOffsetCommit, 8};
  struct OffsetCommitResponseTopic {
    struct OffsetCommitResponsePartition {
      int32_t partition_index = 0;
      ErrorCode error_code = ErrorCode::kNone;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("ErrorCode", error_code, Since(0));
      }
      bool operator==(const OffsetCommitResponsePartition&) const = default;
    };
    std::string name;
    std::vector<OffsetCommitResponsePartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const OffsetCommitResponseTopic&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<OffsetCommitResponseTopic> topics;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(3));
    v("Topics", topics, Since(0));
  }
  bool operator==(const OffsetCommitResponse&) const = default;
};

struct OffsetFetchRequest {
  static constexpr MessageInfo kInfo{"OffsetFetchRequest", ApiKey::kOffsetFetch, 6};
  struct OffsetFetchRequestTopic {
    std::string name;
    std::vector<int32_t> partition_indexes;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0).Until(7));
      v("PartitionIndexes", partition_indexes, Since(0).Until(7));
    }
    bool operator==(const OffsetFetchRequestTopic&) const = default;
  };
  struct OffsetFetchRequestGroup {
    struct OffsetFetchRequestTopics {
      std::string name;
      std::vector<int32_t> partition_indexes;
      template <typename V>
      void Fields(V& v) {
        v("Name", name, Since(8));
        v("PartitionIndexes", partition_indexes, Since(8));
      }
      bool operator==(const OffsetFetchRequestTopics&) const = default;
    };
    std::string group_id;
    std::optional<std::string> member_id;
    int32_t member_epoch = -1;
    std::optional<std::vector<OffsetFetchRequestTopics>> topics =
        std::vector<OffsetFetchRequestTopics>();
    template <typename V>
    void Fields(V& v) {
      v("GroupId", group_id, Since(8));
      v("MemberId", member_id, Since(9).NullSince(9));
      v("MemberEpoch", member_epoch, Since(9));
      v("Topics", topics, Since(8).NullSince(8));
    }
    bool operator==(const OffsetFetchRequestGroup&) const = default;
  };
  std::string group_id;
  std::optional<std::vector<OffsetFetchRequestTopic>> topics =
      std::vector<OffsetFetchRequestTopic>();
  std::vector<OffsetFetchRequestGroup> groups;
  bool require_stable = false;
  template <typename V>
  void Fields(V& v) {
    v("GroupId", group_id, Since(0).Until(7));
    v("Topics", topics, Since(0).Until(7).NullSince(2));
    v("Groups", groups, Since(8));
    v("RequireStable", require_stable, Since(7));
  }
  bool operator==(const OffsetFetchRequest&) const = default;
};

struct OffsetFetchResponse {
  static constexpr MessageInfo kInfo{"OffsetFetchResponse", ApiKey::kOffsetFetch, 6};
  struct OffsetFetchResponseTopic {
    struct OffsetFetchResponsePartition {
      int32_t partition_index = 0;
      int64_t committed_offset = 0;
      int32_t committed_leader_epoch = -1;
      std::optional<std::string> metadata = std::string();
      ErrorCode error_code = ErrorCode::kNone;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0).Until(7));
        v("CommittedOffset", committed_offset, Since(0).Until(7));
        v("CommittedLeaderEpoch", committed_leader_epoch, Since(5).Until(7));
        v("Metadata", metadata, Since(0).Until(7).NullSince(0));
        v("ErrorCode", error_code, Since(0).Until(7));
      }
      bool operator==(const OffsetFetchResponsePartition&) const = default;
    };
    std::string name;
    std::vector<OffsetFetchResponsePartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0).Until(7));
      v("Partitions", partitions, Since(0).Until(7));
    }
    bool operator==(const OffsetFetchResponseTopic&) const = default;
  };
  struct OffsetFetchResponseGroup {
    struct OffsetFetchResponseTopics {
      struct OffsetFetchResponsePartitions {
        int32_t partition_index = 0;
        int64_t committed_offset = 0;
        int32_t committed_leader_epoch = -1;
        std::optional<std::string> metadata = std::string();
        ErrorCode error_code = ErrorCode::kNone;
        template <typename V>
        void Fields(V& v) {
          v("PartitionIndex", partition_index, Since(8));
          v("CommittedOffset", committed_offset, Since(8));
          v("CommittedLeaderEpoch", committed_leader_epoch, Since(8));
          v("Metadata", metadata, Since(8).NullSince(8));
          v("ErrorCode", error_code, Since(8));
        }
        bool operator==(const OffsetFetchResponsePartitions&) const = default;
      };
      std::string name;
      std::vector<OffsetFetchResponsePartitions> partitions;
      template <typename V>
      void Fields(V& v) {
        v("Name", name, Since(8));
        v("Partitions", partitions, Since(8));
      }
      bool operator==(const OffsetFetchResponseTopics&) const = default;
    };
    std::string group_id;
    std::vector<OffsetFetchResponseTopics> topics;
    ErrorCode error_code = ErrorCode::kNone;
    template <typename V>
    void Fields(V& v) {
      v("GroupId", group_id, Since(8));
      v("Topics", topics, Since(8));
      v("ErrorCode", error_code, Since(8));
    }
    bool operator==(const OffsetFetchResponseGroup&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<OffsetFetchResponseTopic> topics;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<OffsetFetchResponseGroup> groups;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(3));
    v("Topics", topics, Since(0).Until(7));
    v("ErrorCode", error_code, Since(2).Until(7));
    v("Groups", groups, Since(8));
  }
  bool operator==(const OffsetFetchResponse&) const = default;
};

struct OffsetDeleteRequest {
  static constexpr MessageInfo kInfo{"OffsetDeleteRequest", ApiKey::kOffsetDelete, kNeverFlexible};
  struct OffsetDeleteRequestTopic {
    struct OffsetDeleteRequestPartition {
      int32_t partition_index = 0;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
      }
      bool operator==(const OffsetDeleteRequestPartition&) const = default;
    };
    std::string name;
    std::vector<OffsetDeleteRequestPartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const OffsetDeleteRequestTopic&) const = default;
  };
  std::string group_id;
  std::vector<OffsetDeleteRequestTopic> topics;
  template <typename V>
  void Fields(V& v) {
    v("GroupId", group_id, Since(0));
    v("Topics", topics, Since(0));
  }
  bool operator==(const OffsetDeleteRequest&) const = default;
};

struct OffsetDeleteResponse {
  static constexpr MessageInfo kInfo{"OffsetDeleteResponse", ApiKey::kOffsetDelete, kNeverFlexible};
  struct OffsetDeleteResponseTopic {
    struct OffsetDeleteResponsePartition {
      int32_t partition_index = 0;
      ErrorCode error_code = ErrorCode::kNone;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("ErrorCode", error_code, Since(0));
      }
      bool operator==(const OffsetDeleteResponsePartition&) const = default;
    };
    std::string name;
    std::vector<OffsetDeleteResponsePartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const OffsetDeleteResponseTopic&) const = default;
  };
  ErrorCode error_code = ErrorCode::kNone;
  int32_t throttle_time_ms = 0;
  std::vector<OffsetDeleteResponseTopic> topics;
  template <typename V>
  void Fields(V& v) {
    v("ErrorCode", error_code, Since(0));
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("Topics", topics, Since(0));
  }
  bool operator==(const OffsetDeleteResponse&) const = default;
};

}  // namespace millrace::kafka
