// Messages that create and delete topics, and their records.
//
// One description for both directions; message.h says how to read it. Field names and versions are
// those of the Kafka protocol: https://kafka.apache.org/protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/message.h"

namespace millrace::kafka {

struct CreateTopicsRequest {
  static constexpr MessageInfo kInfo{"CreateTopicsRequest", ApiKey::kCreateTopics, 5};
  struct CreatableTopic {
    struct CreatableReplicaAssignment {
      int32_t partition_index = 0;
      std::vector<int32_t> broker_ids;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("BrokerIds", broker_ids, Since(0));
      }
      bool operator==(const CreatableReplicaAssignment&) const = default;
    };
    struct CreatableTopicConfig {
      std::string name;
      std::optional<std::string> value = std::string();
      template <typename V>
      void Fields(V& v) {
        v("Name", name, Since(0));
        v("Value", value, Since(0).NullSince(0));
      }
      bool operator==(const CreatableTopicConfig&) const = default;
    };
    std::string name;
    int32_t num_partitions = 0;
    int16_t replication_factor = 0;
    std::vector<CreatableReplicaAssignment> assignments;
    std::vector<CreatableTopicConfig> configs;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("NumPartitions", num_partitions, Since(0));
      v("ReplicationFactor", replication_factor, Since(0));
      v("Assignments", assignments, Since(0));
      v("Configs", configs, Since(0));
    }
    bool operator==(const CreatableTopic&) const = default;
  };
  std::vector<CreatableTopic> topics;
  int32_t timeout_ms = 60000;
  bool validate_only = false;
  template <typename V>
  void Fields(V& v) {
    v("Topics", topics, Since(0));
    v("timeoutMs", timeout_ms, Since(0));
    v("validateOnly", validate_only, Since(1));
  }
  bool operator==(const CreateTopicsRequest&) const = default;
};

struct CreateTopicsResponse {
  static constexpr MessageInfo kInfo{"CreateTopicsResponse", ApiKey::kCreateTopics, 5};
  struct CreatableTopicResult {
    struct CreatableTopicConfigs {
      std::string name;
      std::optional<std::string> value = std::string();
      bool read_only = false;
      int8_t config_source = -1;
      bool is_sensitive = false;
      template <typename V>
      void Fields(V& v) {
        v("Name", name, Since(5));
        v("Value", value, Since(5).NullSince(5));
        v("ReadOnly", read_only, Since(5));
        v("ConfigSource", config_source, Since(5));
        v("IsSensitive", is_sensitive, Since(5));
      }
      bool operator==(const CreatableTopicConfigs&) const = default;
    };
    std::string name;
    Uuid topic_id = {};
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = std::string();
    ErrorCode topic_config_error_code = ErrorCode::kNone;
    int32_t num_partitions = -1;
    int16_t replication_factor = -1;
    std::optional<std::vector<CreatableTopicConfigs>> configs =
        std::vector<CreatableTopicConfigs>();
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("TopicId", topic_id, Since(7));
      v("ErrorCode", error_code, Since(0));
      v("ErrorMessage", error_message, Since(1).NullSince(0));
      v("TopicConfigErrorCode", topic_config_error_code, Since(5).Tag(0));
      v("NumPartitions", num_partitions, Since(5));
      v("ReplicationFactor", replication_factor, Since(5));
      v("Configs", configs, Since(5).NullSince(5));
    }
    bool operator==(const CreatableTopicResult&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<CreatableTopicResult> topics;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(2));
    v("Topics", topics, Since(0));
  }
  bool operator==(const CreateTopicsResponse&) const = default;
};

struct DeleteTopicsRequest {
  static constexpr MessageInfo kInfo{"DeleteTopicsRequest", ApiKey::kDeleteTopics, 4};
  struct DeleteTopicState {
    std::optional<std::string> name;
    Uuid topic_id = {};
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(6).NullSince(6));
      v("TopicId", topic_id, Since(6));
    }
    bool operator==(const DeleteTopicState&) const = default;
  };
  std::vector<DeleteTopicState> topics;
  std::vector<std::string> topic_names;
  int32_t timeout_ms = 0;
  template <typename V>
  void Fields(V& v) {
    v("Topics", topics, Since(6));
    v("TopicNames", topic_names, Since(0).Until(5));
    v("TimeoutMs", timeout_ms, Since(0));
  }
  bool operator==(const DeleteTopicsRequest&) const = default;
};

struct DeleteTopicsResponse {
  static constexpr MessageInfo kInfo{"DeleteTopicsResponse", ApiKey::kDeleteTopics, 4};
  struct DeletableTopicResult {
    std::optional<std::string> name = std::string();
    Uuid topic_id = {};
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0).NullSince(6));
      v("TopicId", topic_id, Since(6));
      v("ErrorCode", error_code, Since(0));
      v("ErrorMessage", error_message, Since(5).NullSince(5));
    }
    bool operator==(const DeletableTopicResult&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<DeletableTopicResult> responses;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(1));
    v("Responses", responses, Since(0));
  }
  bool operator==(const DeleteTopicsResponse&) const = default;
};

struct DeleteRecordsRequest {
  static constexpr MessageInfo kInfo{"DeleteRecordsRequest", ApiKey::kDeleteRecords, 2};
  struct DeleteRecordsTopic {
    struct DeleteRecordsPartition {
      int32_t partition_index = 0;
      int64_t offset = 0;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("Offset", offset, Since(0));
      }
      bool operator==(const DeleteRecordsPartition&) const = default;
    };
    std::string name;
    std::vector<DeleteRecordsPartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const DeleteRecordsTopic&) const = default;
  };
  std::vector<DeleteRecordsTopic> topics;
  int32_t timeout_ms = 0;
  template <typename V>
  void Fields(V& v) {
    v("Topics", topics, Since(0));
    v("TimeoutMs", timeout_ms, Since(0));
  }
  bool operator==(const DeleteRecordsRequest&) const = default;
};

struct DeleteRecordsResponse {
  static constexpr MessageInfo kInfo{"DeleteRecordsResponse", ApiKey::kDeleteRecords, 2};
  struct DeleteRecordsTopicResult {
    struct DeleteRecordsPartitionResult {
      int32_t partition_index = 0;
      int64_t low_watermark = 0;
      ErrorCode error_code = ErrorCode::kNone;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("LowWatermark", low_watermark, Since(0));
        v("ErrorCode", error_code, Since(0));
      }
      bool operator==(const DeleteRecordsPartitionResult&) const = default;
    };
    std::string name;
    std::vector<DeleteRecordsPartitionResult> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const DeleteRecordsTopicResult&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<DeleteRecordsTopicResult> topics;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("Topics", topics, Since(0));
  }
  bool operator==(const DeleteRecordsResponse&) const = default;
};

struct CreatePartitionsRequest {
  static constexpr MessageInfo kInfo{"CreatePartitionsRequest", ApiKey::kCreatePartitions, 2};
  struct CreatePartitionsTopic {
    struct CreatePartitionsAssignment {
      std::vector<int32_t> broker_ids;
      template <typename V>
      void Fields(V& v) {
        v("BrokerIds", broker_ids, Since(0));
      }
      bool operator==(const CreatePartitionsAssignment&) const = default;
    };
    std::string name;
    int32_t count = 0;
    std::optional<std::vector<CreatePartitionsAssignment>> assignments;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Count", count, Since(0));
      v("Assignments", assignments, Since(0).NullSince(0));
    }
    bool operator==(const CreatePartitionsTopic&) const = default;
  };
  std::vector<CreatePartitionsTopic> topics;
  int32_t timeout_ms = 0;
  bool validate_only = false;
  template <typename V>
  void Fields(V& v) {
    v("Topics", topics, Since(0));
    v("TimeoutMs", timeout_ms, Since(0));
    v("ValidateOnly", validate_only, Since(0));
  }
  bool operator==(const CreatePartitionsRequest&) const = default;
};

struct CreatePartitionsResponse {
  static constexpr MessageInfo kInfo{"CreatePartitionsResponse", ApiKey::kCreatePartitions, 2};
  struct CreatePartitionsTopicResult {
    std::string name;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("ErrorCode", error_code, Since(0));
      v("ErrorMessage", error_message, Since(0).NullSince(0));
    }
    bool operator==(const CreatePartitionsTopicResult&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<CreatePartitionsTopicResult> results;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("Results", results, Since(0));
  }
  bool operator==(const CreatePartitionsResponse&) const = default;
};

struct DescribeLogDirsRequest {
  static constexpr MessageInfo kInfo{"DescribeLogDirsRequest", ApiKey::kDescribeLogDirs, 2};
  struct DescribableLogDirTopic {
    std::string topic;
    std::vector<int32_t> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Topic", topic, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const DescribableLogDirTopic&) const = default;
  };
  std::optional<std::vector<DescribableLogDirTopic>> topics;
  template <typename V>
  void Fields(V& v) {
    v("Topics", topics, Since(0).NullSince(0));
  }
  bool operator==(const DescribeLogDirsRequest&) const = default;
};

struct DescribeLogDirsResponse {
  static constexpr MessageInfo kInfo{"DescribeLogDirsResponse", ApiKey::kDescribeLogDirs, 2};
  struct DescribeLogDirsResult {
    struct DescribeLogDirsTopic {
      struct DescribeLogDirsPartition {
        int32_t partition_index = 0;
        int64_t partition_size = 0;
        int64_t offset_lag = 0;
        bool is_future_key = false;
        template <typename V>
        void Fields(V& v) {
          v("PartitionIndex", partition_index, Since(0));
          v("PartitionSize", partition_size, Since(0));
          v("OffsetLag", offset_lag, Since(0));
          v("IsFutureKey", is_future_key, Since(0));
        }
        bool operator==(const DescribeLogDirsPartition&) const = default;
      };
      std::string name;
      std::vector<DescribeLogDirsPartition> partitions;
      template <typename V>
      void Fields(V& v) {
        v("Name", name, Since(0));
        v("Partitions", partitions, Since(0));
      }
      bool operator==(const DescribeLogDirsTopic&) const = default;
    };
    ErrorCode error_code = ErrorCode::kNone;
    std::string log_dir;
    std::vector<DescribeLogDirsTopic> topics;
    int64_t total_bytes = -1;
    int64_t usable_bytes = -1;
    template <typename V>
    void Fields(V& v) {
      v("ErrorCode", error_code, Since(0));
      v("LogDir", log_dir, Since(0));
      v("Topics", topics, Since(0));
      v("TotalBytes", total_bytes, Since(4));
      v("UsableBytes", usable_bytes, Since(4));
    }
    bool operator==(const DescribeLogDirsResult&) const = default;
  };
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<DescribeLogDirsResult> results;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("ErrorCode", error_code, Since(3));
    v("Results", results, Since(0));
  }
  bool operator==(const DescribeLogDirsResponse&) const = default;
};

}  // namespace millrace::kafka
