// Messages of transactions.
//
// One description for both directions; message.h says how to read it. Field names and versions are
// those of the Kafka protocol: https://kafka.apache.org/protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/message.h"

namespace millrace::kafka {

struct AddPartitionsToTxnRequest {
  static constexpr MessageInfo kInfo{"AddPartitionsToTxnRequest", ApiKey::kAddPartitionsToTxn, 3};
  struct AddPartitionsToTxnTopic {
    std::string name;
    std::vector<int32_t> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const AddPartitionsToTxnTopic&) const = default;
  };
  std::string v3_and_below_transactional_id;
  int64_t v3_and_below_producer_id = 0;
  int16_t v3_and_below_producer_epoch = 0;
  std::vector<AddPartitionsToTxnTopic> v3_and_below_topics;
  template <typename V>
  void Fields(V& v) {
    v("V3AndBelowTransactionalId", v3_and_below_transactional_id, Since(0).Until(3));
    v("V3AndBelowProducerId", v3_and_below_producer_id, Since(0).Until(3));
    v("V3AndBelowProducerEpoch", v3_and_below_producer_epoch, Since(0).Until(3));
    v("V3AndBelowTopics", v3_and_below_topics, Since(0).Until(3));
  }
  bool operator==(const AddPartitionsToTxnRequest&) const = default;
};

struct AddPartitionsToTxnResponse {
  static constexpr MessageInfo kInfo{"AddPartitionsToTxnResponse", ApiKey::kAddPartitionsToTxn, 3};
  struct AddPartitionsToTxnTopicResult {
    struct AddPartitionsToTxnPartitionResult {
      int32_t partition_index = 0;
      ErrorCode partition_error_code = ErrorCode::kNone;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("PartitionErrorCode", partition_error_code, Since(0));
      }
      bool operator==(const AddPartitionsToTxnPartitionResult&) const = default;
    };
    std::string name;
    std::vector<AddPartitionsToTxnPartitionResult> results_by_partition;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("ResultsByPartition", results_by_partition, Since(0));
    }
    bool operator==(const AddPartitionsToTxnTopicResult&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<AddPartitionsToTxnTopicResult> results_by_topic_v3_and_below;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("ResultsByTopicV3AndBelow", results_by_topic_v3_and_below, Since(0).Until(3));
  }
  bool operator==(const AddPartitionsToTxnResponse&) const = default;
};

struct AddOffsetsToTxnRequest {
  static constexpr MessageInfo kInfo{"AddOffsetsToTxnRequest", ApiKey::kAddOffsetsToTxn, 3};
  std::string transactional_id;
  int64_t producer_id = 0;
  int16_t producer_epoch = 0;
  std::string group_id;
  template <typename V>
  void Fields(V& v) {
    v("TransactionalId", transactional_id, Since(0));
    v("ProducerId", producer_id, Since(0));
    v("ProducerEpoch", producer_epoch, Since(0));
    v("GroupId", group_id, Since(0));
  }
  bool operator==(const AddOffsetsToTxnRequest&) const = default;
};

struct AddOffsetsToTxnResponse {
  static constexpr MessageInfo kInfo{"AddOffsetsToTxnResponse", ApiKey::kAddOffsetsToTxn, 3};
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("ErrorCode", error_code, Since(0));
  }
  bool operator==(const AddOffsetsToTxnResponse&) const = default;
};

struct EndTxnRequest {
  static constexpr MessageInfo kInfo{"EndTxnRequest", ApiKey::kEndTxn, 3};
  std::string transactional_id;
  int64_t producer_id = 0;
  int16_t producer_epoch = 0;
  bool committed = false;
  template <typename V>
  void Fields(V& v) {
    v("TransactionalId", transactional_id, Since(0));
    v("ProducerId", producer_id, Since(0));
    v("ProducerEpoch", producer_epoch, Since(0));
    v("Committed", committed, Since(0));
  }
  bool operator==(const EndTxnRequest&) const = default;
};

struct EndTxnResponse {
  static constexpr MessageInfo kInfo{"EndTxnResponse", ApiKey::kEndTxn, 3};
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("ErrorCode", error_code, Since(0));
  }
  bool operator==(const EndTxnResponse&) const = default;
};

struct TxnOffsetCommitRequest {
  static constexpr MessageInfo kInfo{"TxnOffsetCommitRequest", ApiKey::kTxnOffsetCommit, 3};
  struct TxnOffsetCommitRequestTopic {
    struct TxnOffsetCommitRequestPartition {
      int32_t partition_index = 0;
      int64_t committed_offset = 0;
      int32_t committed_leader_epoch = -1;
      std::optional<std::string> committed_metadata = std::string();
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("CommittedOffset", committed_offset, Since(0));
        v("CommittedLeaderEpoch", committed_leader_epoch, Since(2));
        v("CommittedMetadata", committed_metadata, Since(0).NullSince(0));
      }
      bool operator==(const TxnOffsetCommitRequestPartition&) const = default;
    };
    std::string name;
    std::vector<TxnOffsetCommitRequestPartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const TxnOffsetCommitRequestTopic&) const = default;
  };
  std::string transactional_id;
  std::string group_id;
  int64_t producer_id = 0;
  int16_t producer_epoch = 0;
  int32_t generation_id = -1;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::vector<TxnOffsetCommitRequestTopic> topics;
  template <typename V>
  void Fields(V& v) {
    v("TransactionalId", transactional_id, Since(0));
    v("GroupId", group_id, Since(0));
    v("ProducerId", producer_id, Since(0));
    v("ProducerEpoch", producer_epoch, Since(0));
    v("GenerationId", generation_id, Since(3));
    v("MemberId", member_id, Since(3));
    v("GroupInstanceId", group_instance_id, Since(3).NullSince(3));
    v("Topics", topics, Since(0));
  }
  bool operator==(const TxnOffsetCommitRequest&) const = default;
};

struct TxnOffsetCommitResponse {
  static constexpr MessageInfo kInfo{"TxnOffsetCommitResponse", ApiKey::kTxnOffsetCommit, 3};
  struct TxnOffsetCommitResponseTopic {
    struct TxnOffsetCommitResponsePartition {
      int32_t partition_index = 0;
      ErrorCode error_code = ErrorCode::kNone;
      template <typename V>
      void Fields(V& v) {
        v("PartitionIndex", partition_index, Since(0));
        v("ErrorCode", error_code, Since(0));
      }
      bool operator==(const TxnOffsetCommitResponsePartition&) const = default;
    };
    std::string name;
    std::vector<TxnOffsetCommitResponsePartition> partitions;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("Partitions", partitions, Since(0));
    }
    bool operator==(const TxnOffsetCommitResponseTopic&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<TxnOffsetCommitResponseTopic> topics;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("Topics", topics, Since(0));
  }
  bool operator==(const TxnOffsetCommitResponse&) const = default;
};

}  // namespace millrace::kafka
