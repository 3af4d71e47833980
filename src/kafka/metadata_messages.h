// Messages with which a client finds its way: ApiVersions, Metadata, DescribeCluster,
// FindCoordinator.
//
// One description for both directions; message.h says how to read it. Field names and versions are
// those of the Kafka protocol: https://kafka.apache.org/protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/message.h"

namespace millrace::kafka {

struct ApiVersionsRequest {
  static constexpr MessageInfo kInfo{"ApiVersionsRequest", ApiKey::kApiVersions, 3};
  std::string client_software_name;
  std::string client_software_version;
  template <typename V>
  void Fields(V& v) {
    v("ClientSoftwareName", client_software_name, Since(3));
    v("ClientSoftwareVersion", client_software_version, Since(3));
  }
  bool operator==(const ApiVersionsRequest&) const = default;
};

struct ApiVersionsResponse {
  static constexpr MessageInfo kInfo{"ApiVersionsResponse", ApiKey::kApiVersions, 3};
  struct ApiVersion {
    int16_t api_key = 0;
    int16_t min_version = 0;
    int16_t max_version = 0;
    template <typename V>
    void Fields(V& v) {
      v("ApiKey", api_key, Since(0));
      v("MinVersion", min_version, Since(0));
      v("MaxVersion", max_version, Since(0));
    }
    bool operator==(const ApiVersion&) const = default;
  };
  struct SupportedFeatureKey {
    std::string name;
    int16_t min_version = 0;
    int16_t max_version = 0;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(3));
      v("MinVersion", min_version, Since(3));
      v("MaxVersion", max_version, Since(3));
    }
    bool operator==(const SupportedFeatureKey&) const = default;
  };
  struct FinalizedFeatureKey {
    std::string name;
    int16_t max_version_level = 0;
    int16_t min_version_level = 0;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(3));
      v("MaxVersionLevel", max_version_level, Since(3));
      v("MinVersionLevel", min_version_level, Since(3));
    }
    bool operator==(const FinalizedFeatureKey&) const = default;
  };
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<ApiVersion> api_keys;
  int32_t throttle_time_ms = 0;
  std::vector<SupportedFeatureKey> supported_features;
  int64_t finalized_features_epoch = -1;
  std::vector<FinalizedFeatureKey> finalized_features;
  bool zk_migration_ready = false;
  template <typename V>
  void Fields(V& v) {
    v("ErrorCode", error_code, Since(0));
    v("ApiKeys", api_keys, Since(0));
    v("ThrottleTimeMs", throttle_time_ms, Since(1));
    v("SupportedFeatures", supported_features, Since(3).Tag(0));
    v("FinalizedFeaturesEpoch", finalized_features_epoch, Since(3).Tag(1));
    v("FinalizedFeatures", finalized_features, Since(3).Tag(2));
    v("ZkMigrationReady", zk_migration_ready, Since(3).Tag(3));
  }
  bool operator==(const ApiVersionsResponse&) const = default;
};

struct MetadataRequest {
  static constexpr MessageInfo kInfo{"MetadataRequest", ApiKey::kMetadata, 9};
  struct MetadataRequestTopic {
    Uuid topic_id = {};
    std::optional<std::string> name = std::string();
    template <typename V>
    void Fields(V& v) {
      v("TopicId", topic_id, Since(10));
      v("Name", name, Since(0).NullSince(10));
    }
    bool operator==(const MetadataRequestTopic&) const = default;
  };
  std::optional<std::vector<MetadataRequestTopic>> topics = std::vector<MetadataRequestTopic>();
  bool allow_auto_topic_creation = true;
  bool include_cluster_authorized_operations = false;
  bool include_topic_authorized_operations = false;
  template <typename V>
  void Fields(V& v) {
    v("Topics", topics, Since(0).NullSince(1));
    v("AllowAutoTopicCreation", allow_auto_topic_creation, Since(4));
    v("IncludeClusterAuthorizedOperations", include_cluster_authorized_operations,
      Since(8).Until(10));
    v("IncludeTopicAuthorizedOperations", include_topic_authorized_operations, Since(8));
  }
  bool operator==(const MetadataRequest&) const = default;
};

struct MetadataResponse {
  static constexpr MessageInfo kInfo{"MetadataResponse", ApiKey::kMetadata, 9};
  struct MetadataResponseBroker {
    int32_t node_id = 0;
    std::string host;
    int32_t port = 0;
    std::optional<std::string> rack;
    template <typename V>
    void Fields(V& v) {
      v("NodeId", node_id, Since(0));
      v("Host", host, Since(0));
      v("Port", port, Since(0));
      v("Rack", rack, Since(1).NullSince(1));
    }
    bool operator==(const MetadataResponseBroker&) const = default;
  };
  struct MetadataResponseTopic {
    struct MetadataResponsePartition {
      ErrorCode error_code = ErrorCode::kNone;
      int32_t partition_index = 0;
      int32_t leader_id = 0;
      int32_t leader_epoch = -1;
      std::vector<int32_t> replica_nodes;
      std::vector<int32_t> isr_nodes;
      std::vector<int32_t> offline_replicas;
      template <typename V>
      void Fields(V& v) {
        v("ErrorCode", error_code, Since(0));
        v("PartitionIndex", partition_index, Since(0));
        v("LeaderId", leader_id, Since(0));
        v("LeaderEpoch", leader_epoch, Since(7));
        v("ReplicaNodes", replica_nodes, Since(0));
        v("IsrNodes", isr_nodes, Since(0));
        v("OfflineReplicas", offline_replicas, Since(5));
      }
      bool operator==(const MetadataResponsePartition&) const = default;
    };
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> name = std::string();
    Uuid topic_id = {};
    bool is_internal = false;
    std::vector<MetadataResponsePartition> partitions;
    int32_t topic_authorized_operations = INT32_MIN;
    template <typename V>
    void Fields(V& v) {
      v("ErrorCode", error_code, Since(0));
      v("Name", name, Since(0).NullSince(12));
      v("TopicId", topic_id, Since(10));
      v("IsInternal", is_internal, Since(1));
      v("Partitions", partitions, Since(0));
      v("TopicAuthorizedOperations", topic_authorized_operations, Since(8));
    }
    bool operator==(const MetadataResponseTopic&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<MetadataResponseBroker> brokers;
  std::optional<std::string> cluster_id;
  int32_t controller_id = -1;
  std::vector<MetadataResponseTopic> topics;
  int32_t cluster_authorized_operations = INT32_MIN;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(3));
    v("Brokers", brokers, Since(0));
    v("ClusterId", cluster_id, Since(2).NullSince(2));
    v("ControllerId", controller_id, Since(1));
    v("Topics", topics, Since(0));
    v("ClusterAuthorizedOperations", cluster_authorized_operations, Since(8).Until(10));
  }
  bool operator==(const MetadataResponse&) const = default;
};

struct DescribeClusterRequest {
  static constexpr MessageInfo kInfo{"DescribeClusterRequest", ApiKey::kDescribeCluster, 0};
  bool include_cluster_authorized_operations = false;
  int8_t endpoint_type = 1;
  bool include_fenced_brokers = false;
  template <typename V>
  void Fields(V& v) {
    v("IncludeClusterAuthorizedOperations", include_cluster_authorized_operations, Since(0));
    v("EndpointType", endpoint_type, Since(1));
    v("IncludeFencedBrokers", include_fenced_brokers, Since(2));
  }
  bool operator==(const DescribeClusterRequest&) const = default;
};

struct DescribeClusterResponse {
  static constexpr MessageInfo kInfo{"DescribeClusterResponse", ApiKey::kDescribeCluster, 0};
  struct DescribeClusterBroker {
    int32_t broker_id = 0;
    std::string host;
    int32_t port = 0;
    std::optional<std::string> rack;
    bool is_fenced = false;
    template <typename V>
    void Fields(V& v) {
      v("BrokerId", broker_id, Since(0));
      v("Host", host, Since(0));
      v("Port", port, Since(0));
      v("Rack", rack, Since(0).NullSince(0));
      v("IsFenced", is_fenced, Since(2));
    }
    bool operator==(const DescribeClusterBroker&) const = default;
  };
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  int8_t endpoint_type = 1;
  std::string cluster_id;
  int32_t controller_id = -1;
  std::vector<DescribeClusterBroker> brokers;
  int32_t cluster_authorized_operations = INT32_MIN;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("ErrorCode", error_code, Since(0));
    v("ErrorMessage", error_message, Since(0).NullSince(0));
    v("EndpointType", endpoint_type, Since(1));
    v("ClusterId", cluster_id, Since(0));
    v("ControllerId", controller_id, Since(0));
    v("Brokers", brokers, Since(0));
    v("ClusterAuthorizedOperations", cluster_authorized_operations, Since(0));
  }
  bool operator==(const DescribeClusterResponse&) const = default;
};

struct FindCoordinatorRequest {
  static constexpr MessageInfo kInfo{"FindCoordinatorRequest", ApiKey::kFindCoordinator, 3};
  std::string key;
  int8_t key_type = 0;
  std::vector<std::string> coordinator_keys;
  template <typename V>
  void Fields(V& v) {
    v("Key", key, Since(0).Until(3));
    v("KeyType", key_type, Since(1));
    v("CoordinatorKeys", coordinator_keys, Since(4));
  }
  bool operator==(const FindCoordinatorRequest&) const = default;
};

struct FindCoordinatorResponse {
  static constexpr MessageInfo kInfo{"FindCoordinatorResponse", ApiKey::kFindCoordinator, 3};
  struct Coordinator {
    std::string key;
    int32_t node_id = 0;
    std::string host;
    int32_t port = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = std::string();
    template <typename V>
    void Fields(V& v) {
      v("Key", key, Since(4));
      v("NodeId", node_id, Since(4));
      v("Host", host, Since(4));
      v("Port", port, Since(4));
      v("ErrorCode", error_code, Since(4));
      v("ErrorMessage", error_message, Since(4).NullSince(4));
    }
    bool operator==(const Coordinator&) const = default;
  };
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message = std::string();
  int32_t node_id = 0;
  std::string host;
  int32_t port = 0;
  std::vector<Coordinator> coordinators;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(1));
    v("ErrorCode", error_code, Since(0).Until(3));
    v("ErrorMessage", error_message, Since(1).Until(3).NullSince(1));
    v("NodeId", node_id, Since(0).Until(3));
    v("Host", host, Since(0).Until(3));
    v("Port", port, Since(0).Until(3));
    v("Coordinators", coordinators, Since(4));
  }
  bool operator==(const FindCoordinatorResponse&) const = default;
};

}  // namespace millrace::kafka
