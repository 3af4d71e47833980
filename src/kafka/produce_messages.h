// Messages of Produce and of the producers' ids.
//
// One description for both directions; message.h says how to read it. Field names and versions are
// those of the Kafka protocol: https://kafka.apache.org/protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/message.h"

namespace millrace::kafka {

struct ProduceRequest {
  static constexpr MessageInfo kInfo{"ProduceRequest", ApiKey::kProduce, 9};
  struct TopicProduceData {
    struct PartitionProduceData {
      int32_t index = 0;
      Records records;
      template <typename V>
      void Fields(V& v) {
        v("Index", index, Since(0));
        v("Records", records, Since(0).NullSince(0));
      }
      bool operator==(const PartitionProduceData&) const = default;
    };
    std::string name;
    std::vector<PartitionProduceData> partition_data;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("PartitionData", partition_data, Since(0));
    }
    bool operator==(const TopicProduceData&) const = default;
  };
  std::optional<std::string> transactional_id;
  int16_t acks = 0;
  int32_t timeout_ms = 0;
  std::vector<TopicProduceData> topic_data;
  template <typename V>
  void Fields(V& v) {
    v("TransactionalId", transactional_id, Since(3).NullSince(3));
    v("Acks", acks, Since(0));
    v("TimeoutMs", timeout_ms, Since(0));
    v("TopicData", topic_data, Since(0));
  }
  bool operator==(const ProduceRequest&) const = default;
};

struct ProduceResponse {
  static constexpr MessageInfo kInfo{"ProduceResponse", ApiKey::kProduce, 9};
  struct TopicProduceResponse {
    struct PartitionProduceResponse {
      struct BatchIndexAndErrorMessage {
        int32_t batch_index = 0;
        std::optional<std::string> batch_index_error_message;
        template <typename V>
        void Fields(V& v) {
          v("BatchIndex", batch_index, Since(8));
          v("BatchIndexErrorMessage", batch_index_error_message, Since(8).NullSince(8));
        }
        bool operator==(const BatchIndexAndErrorMessage&) const = default;
      };
      struct LeaderIdAndEpoch {
        int32_t leader_id = -1;
        int32_t leader_epoch = -1;
        template <typename V>
        void Fields(V& v) {
          v("LeaderId", leader_id, Since(10));
          v("LeaderEpoch", leader_epoch, Since(10));
        }
        bool operator==(const LeaderIdAndEpoch&) const = default;
      };
      int32_t index = 0;
      ErrorCode error_code = ErrorCode::kNone;
      int64_t base_offset = 0;
      int64_t log_append_time_ms = -1;
      int64_t log_start_offset = -1;
      std::vector<BatchIndexAndErrorMessage> record_errors;
      std::optional<std::string> error_message;
      LeaderIdAndEpoch current_leader;
      template <typename V>
      void Fields(V& v) {
        v("Index", index, Since(0));
        v("ErrorCode", error_code, Since(0));
        v("BaseOffset", base_offset, Since(0));
        v("LogAppendTimeMs", log_append_time_ms, Since(2));
        v("LogStartOffset", log_start_offset, Since(5));
        v("RecordErrors", record_errors, Since(8));
        v("ErrorMessage", error_message, Since(8).NullSince(8));
        v("CurrentLeader", current_leader, Since(10).Tag(0));
      }
      bool operator==(const PartitionProduceResponse&) const = default;
    };
    std::string name;
    std::vector<PartitionProduceResponse> partition_responses;
    template <typename V>
    void Fields(V& v) {
      v("Name", name, Since(0));
      v("PartitionResponses", partition_responses, Since(0));
    }
    bool operator==(const TopicProduceResponse&) const = default;
  };
  struct NodeEndpoint {
    int32_t node_id = 0;
    std::string host;
    int32_t port = 0;
    std::optional<std::string> rack;
    template <typename V>
    void Fields(V& v) {
      v("NodeId", node_id, Since(10));
      v("Host", host, Since(10));
      v("Port", port, Since(10));
      v("Rack", rack, Since(10).NullSince(10));
    }
    bool operator==(const NodeEndpoint&) const = default;
  };
  std::vector<TopicProduceResponse> responses;
  int32_t throttle_time_ms = 0;
  std::vector<NodeEndpoint> node_endpoints;
  template <typename V>
  void Fields(V& v) {
    v("Responses", responses, Since(0));
    v("ThrottleTimeMs", throttle_time_ms, Since(1));
    v("NodeEndpoints", node_endpoints, Since(10).Tag(0));
  }
  bool operator==(const ProduceResponse&) const = default;
};

struct InitProducerIdRequest {
  static constexpr MessageInfo kInfo{"InitProducerIdRequest", ApiKey::kInitProducerId, 2};
  std::optional<std::string> transactional_id = std::string();
  int32_t transaction_timeout_ms = 0;
  int64_t producer_id = -1;
  int16_t producer_epoch = -1;
  template <typename V>
  void Fields(V& v) {
    v("TransactionalId", transactional_id, Since(0).NullSince(0));
    v("TransactionTimeoutMs", transaction_timeout_ms, Since(0));
    v("ProducerId", producer_id, Since(3));
    v("ProducerEpoch", producer_epoch, Since(3));
  }
  bool operator==(const InitProducerIdRequest&) const = default;
};

struct InitProducerIdResponse {
  static constexpr MessageInfo kInfo{"InitProducerIdResponse", ApiKey::kInitProducerId, 2};
  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  int64_t producer_id = -1;
  int16_t producer_epoch = 0;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("ErrorCode", error_code, Since(0));
    v("ProducerId", producer_id, Since(0));
    v("ProducerEpoch", producer_epoch, Since(0));
  }
  bool operator==(const InitProducerIdResponse&) const = default;
};

}  // namespace millrace::kafka
