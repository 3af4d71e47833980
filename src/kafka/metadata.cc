#include "kafka/metadata.h"

namespace millrace::kafka {

namespace {

constexpr int16_t kFirstVersionWithNullTopics = 1;
constexpr int16_t kFirstVersionWithKeys = 4;  // of FindCoordinator: several keys at once

using TopicOut = MetadataResponse::MetadataResponseTopic;

TopicOut Describe(const Topic& topic) {
  TopicOut out;
  out.name = topic.name;
  out.topic_id = UuidOf(topic.id);
  out.is_internal = topic.name.starts_with("__");
  for (int32_t i = 0; i < topic.partitions; ++i) {
    auto& partition = out.partitions.emplace_back();
    partition.partition_index = i;
    partition.leader_id = kNodeId;
    partition.replica_nodes = {kNodeId};
    partition.isr_nodes = {kNodeId};
  }
  return out;
}

bool WantsAll(const Request& request, const MetadataRequest& message) {
  if (request.version < kFirstVersionWithNullTopics)
    return !message.topics || message.topics->empty();
  return !message.topics;
}

}  // namespace

void AnswerApiVersions(const Request& request, Reply& reply) {
  ApiVersionsResponse response;
  for (const Api& api : Apis()) {
    response.api_keys.push_back({static_cast<int16_t>(api.key), api.version_min, api.version_max});
  }
  if (request.version <= request.api->version_max) return Answer(request, reply, response);
  response.error_code = ErrorCode::kUnsupportedVersion;
  Request oldest = request;
  oldest.version = 0;
  Answer(oldest, reply, response);
}

std::vector<std::string> MissingTopics(const Service& service, const Request& request,
                                       const MetadataRequest& message) {
  std::vector<std::string> missing;
  if (!message.allow_auto_topic_creation || !service.options().auto_create_topics ||
      WantsAll(request, message))
    return missing;
  for (const auto& wanted : *message.topics) {
    if (wanted.name && !wanted.name->empty() && !service.backend().FindTopic(*wanted.name))
      missing.push_back(*wanted.name);
  }
  return missing;
}

MetadataResponse DescribeTopics(Service& service, const Request& request,
                                const MetadataRequest& message) {
  const Backend& backend = service.backend();
  MetadataResponse response;
  if (const auto reached = service.advertised())
    response.brokers.push_back({kNodeId, reached->host, reached->port, {}});
  response.cluster_id = backend.cluster_id();
  response.controller_id = kNodeId;
  if (WantsAll(request, message)) {
    for (const Topic& topic : backend.Topics()) response.topics.push_back(Describe(topic));
    return response;
  }
  for (const auto& wanted : *message.topics) {
    const bool by_name = wanted.name && !wanted.name->empty();
    const std::optional<log::TopicId> id = TopicIdOf(wanted.topic_id);
    const std::optional<Topic> topic = by_name ? backend.FindTopic(*wanted.name)
                                       : id    ? backend.FindTopic(*id)
                                               : std::nullopt;
    if (topic) {
      response.topics.push_back(Describe(*topic));
      continue;
    }
    TopicOut& out = response.topics.emplace_back();
    out.name = wanted.name;
    out.topic_id = wanted.topic_id;
    out.error_code = by_name ? ErrorCode::kUnknownTopicOrPartition : ErrorCode::kUnknownTopicId;
  }
  return response;
}

DescribeClusterResponse DescribeCluster(Service& service, const DescribeClusterRequest& message) {
  DescribeClusterResponse response;
  response.endpoint_type = message.endpoint_type;
  constexpr int8_t kBrokers = 1;
  if (message.endpoint_type != kBrokers) {
    response.error_code = ErrorCode::kUnsupportedEndpointType;
    response.error_message = "there are no controllers to talk to: ask for brokers";
    return response;
  }
  response.cluster_id = service.backend().cluster_id();
  response.controller_id = kNodeId;
  if (const auto reached = service.advertised()) {
    auto& broker = response.brokers.emplace_back();
    broker.broker_id = kNodeId;
    broker.host = reached->host;
    broker.port = reached->port;
  }
  return response;
}

FindCoordinatorResponse FindCoordinator(Service& service, const Request& request,
                                        const FindCoordinatorRequest& message) {
  FindCoordinatorResponse response;
  const auto reached = service.advertised();
  constexpr int8_t kTypeMax = 1;  // groups and transactions
  const ErrorCode error = message.key_type > kTypeMax ? ErrorCode::kInvalidRequest
                          : reached == nullptr        ? ErrorCode::kCoordinatorNotAvailable
                                                      : ErrorCode::kNone;
  const Advertised at = reached == nullptr ? Advertised{} : *reached;
  if (request.version < kFirstVersionWithKeys) {
    response.error_code = error;
    response.node_id = kNodeId;
    response.host = at.host;
    response.port = at.port;
    return response;
  }
  for (const std::string& key : message.coordinator_keys) {
    response.coordinators.push_back({key, kNodeId, at.host, at.port, error, std::nullopt});
  }
  return response;
}

}  // namespace millrace::kafka
