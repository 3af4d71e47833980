#include "kafka/authorization.h"

#include <algorithm>

#include "kafka/messages.h"

namespace millrace::kafka {

namespace {

using auth::Permission;

// Whose answer has one error for all.
template <typename Response>
Result<bool> Refuse(const Request& request, Reply& reply, ErrorCode error) {
  Response response;
  response.error_code = error;
  Answer(request, reply, response);
  return true;
}

// An answer with errors per topic and partition: `Out` is of a topic.
template <typename Out, typename Topics>
std::vector<Out> RefuseAll(const Topics& topics, ErrorCode error) {
  std::vector<Out> all;
  for (const auto& topic : topics) {
    Out& out = all.emplace_back();
    out.name = topic.name;
    for (const auto& partition : topic.partitions)
      out.partitions.push_back({partition.partition_index, error});
  }
  return all;
}

Result<bool> RefuseDescribeGroups(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<DescribeGroupsRequest>(request.body, request.version));
  DescribeGroupsResponse response;
  for (const std::string& name : message.groups) {
    auto& out = response.groups.emplace_back();
    out.group_id = name;
    out.error_code = ErrorCode::kGroupAuthorizationFailed;
  }
  Answer(request, reply, response);
  return true;
}

Result<bool> RefuseDeleteGroups(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<DeleteGroupsRequest>(request.body, request.version));
  DeleteGroupsResponse response;
  for (const std::string& name : message.groups_names)
    response.results.push_back({name, ErrorCode::kGroupAuthorizationFailed});
  Answer(request, reply, response);
  return true;
}

Result<bool> RefuseOffsetFetch(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<OffsetFetchRequest>(request.body, request.version));
  OffsetFetchResponse response;
  response.error_code = ErrorCode::kGroupAuthorizationFailed;
  for (const auto& group : message.groups) {
    auto& out = response.groups.emplace_back();
    out.group_id = group.group_id;
    out.error_code = ErrorCode::kGroupAuthorizationFailed;
  }
  if (message.topics) {
    for (const auto& topic : *message.topics) {
      auto& out = response.topics.emplace_back();
      out.name = topic.name;
      for (const int32_t index : topic.partition_indexes) {
        auto& partition = out.partitions.emplace_back();
        partition.partition_index = index;
        partition.committed_offset = -1;
        partition.error_code = ErrorCode::kGroupAuthorizationFailed;
      }
    }
  }
  Answer(request, reply, response);
  return true;
}

template <typename Q, typename Response>
Result<bool> RefuseCommit(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<Q>(request.body, request.version));
  Response response;
  response.topics = RefuseAll<typename decltype(response.topics)::value_type>(
      message.topics, ErrorCode::kGroupAuthorizationFailed);
  Answer(request, reply, response);
  return true;
}

Result<bool> RefuseAddPartitions(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<AddPartitionsToTxnRequest>(request.body, request.version));
  AddPartitionsToTxnResponse response;
  for (const auto& topic : message.v3_and_below_topics) {
    auto& out = response.results_by_topic_v3_and_below.emplace_back();
    out.name = topic.name;
    for (const int32_t partition : topic.partitions)
      out.results_by_partition.push_back(
          {partition, ErrorCode::kTransactionalIdAuthorizationFailed});
  }
  Answer(request, reply, response);
  return true;
}

Result<bool> RefuseInitProducerId(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<InitProducerIdRequest>(request.body, request.version));
  return Refuse<InitProducerIdResponse>(request, reply,
                                        message.transactional_id
                                            ? ErrorCode::kTransactionalIdAuthorizationFailed
                                            : ErrorCode::kClusterAuthorizationFailed);
}

Result<bool> RefuseCreateTopics(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<CreateTopicsRequest>(request.body, request.version));
  CreateTopicsResponse response;
  for (const auto& topic : message.topics) {
    auto& out = response.topics.emplace_back();
    out.name = topic.name;
    out.error_code = ErrorCode::kTopicAuthorizationFailed;
    out.error_message = "topics are made by who has scope admin";
  }
  Answer(request, reply, response);
  return true;
}

Result<bool> RefuseDeleteTopics(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<DeleteTopicsRequest>(request.body, request.version));
  DeleteTopicsResponse response;
  for (const std::string& name : message.topic_names) {
    auto& out = response.responses.emplace_back();
    out.name = name;
    out.error_code = ErrorCode::kTopicAuthorizationFailed;
  }
  for (const auto& topic : message.topics) {
    auto& out = response.responses.emplace_back();
    out.name = topic.name;
    out.topic_id = topic.topic_id;
    out.error_code = ErrorCode::kTopicAuthorizationFailed;
  }
  Answer(request, reply, response);
  return true;
}

Result<bool> RefuseDeleteRecords(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<DeleteRecordsRequest>(request.body, request.version));
  DeleteRecordsResponse response;
  for (const auto& topic : message.topics) {
    auto& out = response.topics.emplace_back();
    out.name = topic.name;
    for (const auto& partition : topic.partitions)
      out.partitions.push_back(
          {partition.partition_index, -1, ErrorCode::kTopicAuthorizationFailed});
  }
  Answer(request, reply, response);
  return true;
}

Result<bool> RefuseCreatePartitions(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<CreatePartitionsRequest>(request.body, request.version));
  CreatePartitionsResponse response;
  for (const auto& topic : message.topics)
    response.results.push_back({topic.name, ErrorCode::kTopicAuthorizationFailed,
                                "topics are changed by who has scope admin"});
  Answer(request, reply, response);
  return true;
}

// As Apache Kafka does it: nothing is listed, and only version 3 and later can say why.
Result<bool> RefuseDescribeLogDirs(const Request& request, Reply& reply) {
  DescribeLogDirsResponse response;
  response.error_code = ErrorCode::kClusterAuthorizationFailed;
  Answer(request, reply, response);
  return true;
}

template <typename Q, typename R>
Result<bool> RefuseAlterConfigs(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<Q>(request.body, request.version));
  R response;
  for (const auto& resource : message.resources) {
    auto& out = response.responses.emplace_back();
    out.resource_type = resource.resource_type;
    out.resource_name = resource.resource_name;
    out.error_code = ErrorCode::kTopicAuthorizationFailed;
    out.error_message = "settings are changed by who has scope admin";
  }
  Answer(request, reply, response);
  return true;
}

Result<bool> RefuseDescribeConfigs(const Request& request, Reply& reply) {
  TRY(const auto message, Decode<DescribeConfigsRequest>(request.body, request.version));
  constexpr int8_t kOfTopic = 2;
  DescribeConfigsResponse response;
  for (const auto& resource : message.resources) {
    auto& out = response.results.emplace_back();
    out.resource_type = resource.resource_type;
    out.resource_name = resource.resource_name;
    out.error_code = resource.resource_type == kOfTopic ? ErrorCode::kTopicAuthorizationFailed
                                                        : ErrorCode::kClusterAuthorizationFailed;
  }
  Answer(request, reply, response);
  return true;
}

Result<bool> RefuseGroups(const Request& request, Reply& reply) {
  constexpr ErrorCode kDenied = ErrorCode::kGroupAuthorizationFailed;
  switch (request.api->key) {
    case ApiKey::kJoinGroup:
      return Refuse<JoinGroupResponse>(request, reply, kDenied);
    case ApiKey::kSyncGroup:
      return Refuse<SyncGroupResponse>(request, reply, kDenied);
    case ApiKey::kHeartbeat:
      return Refuse<HeartbeatResponse>(request, reply, kDenied);
    case ApiKey::kLeaveGroup:
      return Refuse<LeaveGroupResponse>(request, reply, kDenied);
    case ApiKey::kListGroups:
      return Refuse<ListGroupsResponse>(request, reply, kDenied);
    case ApiKey::kOffsetDelete:
      return Refuse<OffsetDeleteResponse>(request, reply, kDenied);
    case ApiKey::kDescribeGroups:
      return RefuseDescribeGroups(request, reply);
    case ApiKey::kOffsetFetch:
      return RefuseOffsetFetch(request, reply);
    case ApiKey::kOffsetCommit:
      return RefuseCommit<OffsetCommitRequest, OffsetCommitResponse>(request, reply);
    default:
      return RefuseCommit<TxnOffsetCommitRequest, TxnOffsetCommitResponse>(request, reply);
  }
}

Result<bool> RefuseTransactions(const Request& request, Reply& reply) {
  constexpr ErrorCode kDenied = ErrorCode::kTransactionalIdAuthorizationFailed;
  switch (request.api->key) {
    case ApiKey::kInitProducerId:
      return RefuseInitProducerId(request, reply);
    case ApiKey::kAddPartitionsToTxn:
      return RefuseAddPartitions(request, reply);
    case ApiKey::kAddOffsetsToTxn:
      return Refuse<AddOffsetsToTxnResponse>(request, reply, kDenied);
    default:
      return Refuse<EndTxnResponse>(request, reply, kDenied);
  }
}

}  // namespace

Result<bool> AnswerIfDenied(const Request& request, Reply& reply) {
  if (request.May(Permission::kAdmin, "")) return false;
  switch (request.api->key) {
    // Signing in, and finding one's way.
    case ApiKey::kApiVersions:
    case ApiKey::kSaslHandshake:
    case ApiKey::kSaslAuthenticate:
    case ApiKey::kMetadata:
    case ApiKey::kFindCoordinator:
    case ApiKey::kDescribeCluster:
    // Checked topic by topic.
    case ApiKey::kProduce:
    case ApiKey::kFetch:
    case ApiKey::kListOffsets:
    case ApiKey::kOffsetForLeaderEpoch:
      return false;
    case ApiKey::kJoinGroup:
    case ApiKey::kSyncGroup:
    case ApiKey::kHeartbeat:
    case ApiKey::kLeaveGroup:
    case ApiKey::kDescribeGroups:
    case ApiKey::kListGroups:
    case ApiKey::kOffsetCommit:
    case ApiKey::kOffsetFetch:
    case ApiKey::kOffsetDelete:
    case ApiKey::kTxnOffsetCommit:
      if (request.MaySome(Permission::kConsume)) return false;
      return RefuseGroups(request, reply);
    case ApiKey::kInitProducerId:
    case ApiKey::kAddPartitionsToTxn:
    case ApiKey::kAddOffsetsToTxn:
    case ApiKey::kEndTxn:
      if (request.MaySome(Permission::kIngest)) return false;
      return RefuseTransactions(request, reply);
    case ApiKey::kDeleteGroups:
      return RefuseDeleteGroups(request, reply);
    case ApiKey::kCreateTopics:
      return RefuseCreateTopics(request, reply);
    case ApiKey::kDeleteTopics:
      return RefuseDeleteTopics(request, reply);
    case ApiKey::kDeleteRecords:
      return RefuseDeleteRecords(request, reply);
    case ApiKey::kCreatePartitions:
      return RefuseCreatePartitions(request, reply);
    case ApiKey::kDescribeLogDirs:
      return RefuseDescribeLogDirs(request, reply);
    case ApiKey::kDescribeConfigs:
      return RefuseDescribeConfigs(request, reply);
    case ApiKey::kAlterConfigs:
      return RefuseAlterConfigs<AlterConfigsRequest, AlterConfigsResponse>(request, reply);
    case ApiKey::kIncrementalAlterConfigs:
      return RefuseAlterConfigs<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
          request, reply);
    default:
      return Error(Code::kNotSupported, "{} is for who has scope admin, which {} has not",
                   request.api->name, request.principal->ToString());
  }
}

bool MayDescribe(const Request& request, std::string_view topic) {
  return request.May(Permission::kConsume, topic) || request.May(Permission::kIngest, topic);
}

void HideTopics(const Request& request, const MetadataRequest& message,
                MetadataResponse& response) {
  if (request.May(Permission::kAdmin, "")) return;
  // Version 0 has an empty list for "all".
  if (!message.topics || (request.version == 0 && message.topics->empty())) {
    std::erase_if(response.topics, [&](const auto& topic) {
      return !MayDescribe(request, topic.name.value_or(""));
    });
    return;
  }
  for (size_t i = 0; i < response.topics.size(); ++i) {
    auto& topic = response.topics[i];  // in the order of the request
    if (!topic.name || topic.name->empty() || MayDescribe(request, *topic.name)) continue;
    const auto& wanted = (*message.topics)[i];
    const bool by_name = wanted.name && !wanted.name->empty();
    topic = {};
    topic.name = wanted.name;
    topic.topic_id = wanted.topic_id;
    topic.error_code = by_name ? ErrorCode::kTopicAuthorizationFailed : ErrorCode::kUnknownTopicId;
  }
}

}  // namespace millrace::kafka
