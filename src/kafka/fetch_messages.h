// Messages of reading: Fetch, ListOffsets, OffsetForLeaderEpoch.
//
// One description for both directions; message.h says how to read it. Field names and versions are
// those of the Kafka protocol: https://kafka.apache.org/protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/message.h"

namespace millrace::kafka {

// Of `isolation_level`.
inline constexpr int8_t kReadCommitted = 1;

struct FetchRequest {
  static constexpr MessageInfo kInfo{"FetchRequest", ApiKey::kFetch, 12};
  struct ReplicaState {
    int32_t replica_id = -1;
    int64_t replica_epoch = -1;
    template <typename V>
    void Fields(V& v) {
      v("ReplicaId", replica_id, Since(15));
      v("ReplicaEpoch", replica_epoch, Since(15));
    }
    bool operator==(const ReplicaState&) const = default;
  };
  struct FetchTopic {
    struct FetchPartition {
      int32_t partition = 0;
      int32_t current_leader_epoch = -1;
      int64_t fetch_offset = 0;
      int32_t last_fetched_epoch = -1;
      int64_t log_start_offset = -1;
      int32_t partition_max_bytes = 0;
      Uuid replica_directory_id = {};
      template <typename V>
      void Fields(V& v) {
        v("Partition", partition, Since(0));
        v("CurrentLeaderEpoch", current_leader_epoch, Since(9));
        v("FetchOffset", fetch_offset, Since(0));
        v("LastFetchedEpoch", last_fetched_epoch, Since(12));
        v("LogStartOffset", log_start_offset, Since(5));
        v("PartitionMaxBytes", partition_max_bytes, Since(0));
        v("ReplicaDirectoryId", replica_directory_id, Since(17).Tag(0));
      }
      bool operator==(const FetchPartition&) const = default;
    };
    std::string topic;
    Uuid topic_id = {};
    std::vector<FetchPartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Topic", topic, Since(0).Until(12));
      v("TopicId", topic_id, Since(13));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const FetchTopic&) const = default;
  };
  struct ForgottenTopic {
    std::string topic;
    Uuid topic_id = {};
    std::vector<int32_t> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Topic", topic, Since(7).Until(12));
      v("TopicId", topic_id, Since(13));
      v("Partitions", partitions, Since(7));
    }
    bool operator==(const ForgottenTopic&) const = default;
  };
  std::optional<std::string> cluster_id;
  int32_t replica_id = -1;
  ReplicaState replica_state;
  int32_t max_wait_ms = 0;
  int32_t min_bytes = 0;
  int32_t max_bytes = INT32_MAX;
  int8_t isolation_level = 0;
  int32_t session_id = 0;
  int32_t session_epoch = -1;
  std::vector<FetchTopic> topics;
  std::vector<ForgottenTopic> forgotten_topics_data;
  std::string rack_id;
  template <typename V>
  void Fields(V& v) {
    v("ClusterId", cluster_id, Since(12).NullSince(12).Tag(0));
    v("ReplicaId", replica_id, Since(0).Until(14));
    v("ReplicaState", replica_state, Since(15).Tag(1));
    v("MaxWaitMs", max_wait_ms, Since(0));
    v("MinBytes", min_bytes, Since(0));
    v("MaxBytes", max_bytes, Since(3));
    v("IsolationLevel", isolation_level, Since(4));
    v("SessionId", session_id, Since(7));
    v("SessionEpoch", session_epoch, Since(7));
    v("Topics", topics, Since(0));
    v("ForgottenTopicsData", forgotten_topics_data, Since(7));
    v("RackId", rack_id, Since(11));
  }
  bool operator==(const FetchRequest&) const = default;
};

struct FetchResponse {
  static constexpr MessageInfo kInfo{"FetchResponse", ApiKey::kFetch, 12};
  struct FetchableTopicResponse {
    struct PartitionData {
      struct EpochEndOffset {
        int32_t epoch = -1;
        int64_t end_offset = -1;
        template <typename V>
        void Fields(V& v) {
          v("Epoch", epoch, Since(12));
          v("EndOffset", end_offset, Since(12));
        }
        bool operator==(const EpochEndOffset&) const = default;
      };
      struct LeaderIdAndEpoch {
        int32_t leader_id = -1;
        int32_t leader_epoch = -1;
        template <typename V>
        void Fields(V& v) {
          v("LeaderId", leader_id, Since(12));
          v("LeaderEpoch", leader_epoch, Since(12));
        }
        bool operator==(const LeaderIdAndEpoch&) const = default;
      };
      struct SnapshotId {
        int64_t end_offset = -1;
        int32_t epoch = -1;
        template <typename V>
        void Fields(V& v) {
          v("EndOffset", end_offset, Since(0));
          v("Epoch", epoch, Since(0));
        }
        bool operator==(const SnapshotId&) const = default;
      };
      struct AbortedTransaction {
        int64_t producer_id = 0;
        int64_t first_offset = 0;
        template <typename V>
        void Fields(V& v) {
          v("ProducerId", producer_id, Since(4));
          v("FirstOffset", first_offset, Since(4));
        }
        bool operator==(const AbortedTransaction&) const = default;
      };
      int32_t partition_index = 0;
      ErrorCode error_code = ErrorCode::kNone;
      int64_t high_watermark = 0;
      int64_t last_stable_offset = -1;
      int64_t log_start_offset = -1;
      EpochEndOffset diverging_epoch;
      LeaderIdAndEpoch current_leader;
      SnapshotId snapshot_id;
      std::optional<std::vector<AbortedTransaction>> aborted_transactions =
          std::vector<AbortedTransaction>();
      int32_t preferred_read_replica = -1;
      Records records;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("ErrorCode", error_code, Since(0));
        v("HighWatermark", high_watermark, Since(0));
        v("LastStableOffset", last_stable_offset, Since(4));
        v("LogStartOffset", log_start_offset, Since(5));
        v("DivergingEpoch", diverging_epoch, Since(12).Tag(0));
        v("CurrentLeader", current_leader, Since(12).Tag(1));
        v("SnapshotId", snapshot_id, Since(12).Tag(2));
        v("AbortedTransactions", aborted_transactions, Since(4).NullSince(4));
        v("PreferredReadReplica", preferred_read_replica, Since(11));
        v("Records", records, Since(0).NullSince(0));
      }
      bool operator==(const PartitionData&) const = default;
    };
    std::string topic;
    Uuid topic_id = {};
    std::vector<PartitionData> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Topic", topic, Since(0).Until(12));
      v("TopicId", topic_id, Since(13));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const FetchableTopicResponse&) const = default;
  };
  struct NodeEndpoint {
    int32_t node_id = 0;
    std::string host;
    int32_t port = 0;
    std::optional<std::string> rack;
    template <typename V>
    void Fields(V& v) {
      v("NodeId", node_id, Since(16));
      v("Host", host, Since(16));
      v("Port", port, Since(16));
      v("Rack", rack, Since(16).NullSince(16));
    }
    bool operator==(const NodeEndpoint&) const = default;
  };
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  int32_t session_id = 0;
  std::vector<FetchableTopicResponse> responses;
  std::vector<NodeEndpoint> node_endpoints;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(1));
    v("ErrorCode", error_code, Since(7));
    v("SessionId", session_id, Since(7));
    v("Responses", responses, Since(0));
    v("NodeEndpoints", node_endpoints, Since(16).Tag(0));
  }
  bool operator==(const FetchResponse&) const = default;
};

struct ListOffsetsRequest {
  static constexpr MessageInfo kInfo{"ListOffsetsRequest", ApiKey::kListOffsets, 6};
  struct ListOffsetsTopic {
    struct ListOffsetsPartition {
      int32_t partition_index = 0;
      int32_t current_leader_epoch = -1;
      int64_t timestamp = 0;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("CurrentLeaderEpoch", current_leader_epoch, Since(4));
        v("Timestamp", timestamp, Since(0));
      }
      bool operator==(const ListOffsetsPartition&) const = default;
    };
    std::string name;
    std::vector<ListOffsetsPartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const ListOffsetsTopic&) const = default;
  };
  int32_t replica_id = 0;
  int8_t isolation_level = 0;
  std::vector<ListOffsetsTopic> topics;
  template <typename V>
  void Fields(V& v) {
    v("ReplicaId", replica_id, Since(0));
    v("IsolationLevel", isolation_level, Since(2));
    v("Topics", topics, Since(0));
  }
  bool operator==(const ListOffsetsRequest&) const = default;
};

struct ListOffsetsResponse {
  static constexpr MessageInfo kInfo{"ListOffsetsResponse", ApiKey::kListOffsets, 6};
  struct ListOffsetsTopicResponse {
    struct ListOffsetsPartitionResponse {
      int32_t partition_index = 0;
      ErrorCode error_code = ErrorCode::kNone;
      int64_t timestamp = -1;
      int64_t offset = -1;
      int32_t leader_epoch = -1;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("ErrorCode", error_code, Since(0));
        v("Timestamp", timestamp, Since(1));
        v("Offset", offset, Since(1));
        v("LeaderEpoch", leader_epoch, Since(4));
      }
      bool operator==(const ListOffsetsPartitionResponse&) const = default;
    };
    std::string name;
    std::vector<ListOffsetsPartitionResponse> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const ListOffsetsTopicResponse&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<ListOffsetsTopicResponse> topics;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(2));
    v("Topics", topics, Since(0));
  }
  bool operator==(const ListOffsetsResponse&) const = default;
};

struct OffsetForLeaderEpochRequest {
  static constexpr MessageInfo kInfo{"OffsetForLeaderEpochRequest", ApiKey::kOffsetForLeaderEpoch,
                                     4};
  struct OffsetForLeaderTopic {
    struct OffsetForLeaderPartition {
      int32_t partition = 0;
      int32_t current_leader_epoch = -1;
      int32_t leader_epoch = 0;
      template <typename V>
      void Fields(V& v) {
        v("Partition", partition, Since(0));
        v("CurrentLeaderEpoch", current_leader_epoch, Since(2));
        v("LeaderEpoch", leader_epoch, Since(0));
      }
      bool operator==(const OffsetForLeaderPartition&) const = default;
    };
    std::string topic;
    std::vector<OffsetForLeaderPartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Topic", topic, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const OffsetForLeaderTopic&) const = default;
  };
  int32_t replica_id = -2;
  std::vector<OffsetForLeaderTopic> topics;
  template <typename V>
  void Fields(V& v) {
    v("ReplicaId", replica_id, Since(3));
    v("Topics", topics, Since(0));
  }
  bool operator==(const OffsetForLeaderEpochRequest&) const = default;
};

struct OffsetForLeaderEpochResponse {
  static constexpr MessageInfo kInfo{"OffsetForLeaderEpochResponse", ApiKey::kOffsetForLeaderEpoch,
                                     4};
  struct OffsetForLeaderTopicResult {
    struct EpochEndOffset {
      ErrorCode error_code = ErrorCode::kNone;
      int32_t partition = 0;
      int32_t leader_epoch = -1;
      int64_t end_offset = -1;
      template <typename V>
      void Fields(V& v) {
        v("ErrorCode", error_code, Since(0));
        v("Partition", partition, Since(0));
        v("LeaderEpoch", leader_epoch, Since(1));
        v("EndOffset", end_offset, Since(0));
      }
      bool operator==(const EpochEndOffset&) const = default;
    };
    std::string topic;
    std::vector<EpochEndOffset> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Topic", topic, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const OffsetForLeaderTopicResult&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<OffsetForLeaderTopicResult> topics;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(2));
    v("Topics", topics, Since(0));
  }
  bool operator==(const OffsetForLeaderEpochResponse&) const = default;
};

}  // namespace millrace::kafka
