#include "kafka/topic_handlers.h"

#include <algorithm>

#include "kafka/errors.h"

namespace millrace::kafka {

namespace {

constexpr int16_t kDeleteByIds = 6;  // the first version of DeleteTopics with topic ids
constexpr int8_t kTopicResource = 2;
constexpr int8_t kBrokerResource = 4;
constexpr int8_t kDefaultSource = 5;  // DEFAULT_CONFIG
constexpr int8_t kTopicSource = 1;    // DYNAMIC_TOPIC_CONFIG
constexpr int8_t kBrokerSource = 4;   // STATIC_BROKER_CONFIG
enum ConfigType : int8_t { kBoolean = 1, kString = 2, kInt = 3, kLong = 5 };

struct Setting {
  std::string name;
  std::string value;
  ConfigType type;
  bool is_default = true;
};

std::vector<Setting> SettingsOf(const Topic& topic) {
  const auto or_unlimited = [](const std::optional<int64_t>& value) {
    return std::to_string(value.value_or(-1));
  };
  return {{"cleanup.policy", "delete", kString},
          {"compression.type", "producer", kString},
          {"max.message.bytes", std::to_string(kMessageBytesMax), kInt},
          {"message.timestamp.type", "CreateTime", kString},
          {"min.insync.replicas", "1", kInt},
          {"retention.bytes", or_unlimited(topic.retention_bytes), kLong, !topic.retention_bytes},
          {"retention.ms", or_unlimited(topic.retention_ms), kLong, !topic.retention_ms},
          {"unclean.leader.election.enable", "false", kBoolean}};
}

std::vector<Setting> BrokerSettings(const Service& service) {
  return {{"auto.create.topics.enable", service.options().auto_create_topics ? "true" : "false",
           kBoolean},
          {"default.replication.factor", "1", kInt},
          {"log.cleanup.policy", "delete", kString},
          {"log.retention.ms", "-1", kLong},
          {"message.max.bytes", std::to_string(kMessageBytesMax), kInt},
          {"num.partitions", "1", kInt}};
}

bool IsWanted(const DescribeConfigsRequest::DescribeConfigsResource& resource,
              const std::string& name) {
  const auto& keys = resource.configuration_keys;
  return !keys || std::find(keys->begin(), keys->end(), name) != keys->end();
}

}  // namespace

CreateTopicsResponse CreateTopics(Service& service, const CreateTopicsRequest& message) {
  CreateTopicsResponse response;
  for (const auto& wanted : message.topics) {
    auto& out = response.topics.emplace_back();
    out.name = wanted.name;
    TopicSettings settings;
    for (const auto& config : wanted.configs) settings[config.name] = config.value.value_or("");
    // A list of replicas says how many partitions there are; where they are is not for choosing.
    const int32_t partitions = !wanted.assignments.empty()
                                   ? static_cast<int32_t>(wanted.assignments.size())
                                   : std::max(wanted.num_partitions, -1);
    if (wanted.num_partitions == 0 && wanted.assignments.empty()) {
      out.error_code = ErrorCode::kInvalidPartitions;
      out.error_message = "a topic has at least one partition";
      continue;
    }
    if (wanted.replication_factor > 1) {
      out.error_code = ErrorCode::kInvalidReplicationFactor;
      out.error_message = "there is one broker, so the replication factor is 1";
      continue;
    }
    const Status created = service.backend().CreateTopic(
        wanted.name, partitions == -1 ? 1 : partitions, settings, message.validate_only);
    if (!created.ok()) {
      out.error_code = TopicErrorCode(created.error());
      out.error_message = created.error().message();
      continue;
    }
    out.error_message.reset();
    out.num_partitions = partitions == -1 ? 1 : partitions;
    out.replication_factor = 1;
    if (const auto topic = service.backend().FindTopic(wanted.name)) {
      out.topic_id = UuidOf(topic->id);
      for (const Setting& setting : SettingsOf(*topic)) {
        out.configs->push_back({setting.name, setting.value, false,
                                setting.is_default ? kDefaultSource : kTopicSource, false});
      }
    }
  }
  return response;
}

DeleteTopicsResponse DeleteTopics(Service& service, const Request& request,
                                  const DeleteTopicsRequest& message) {
  DeleteTopicsResponse response;
  std::vector<DeleteTopicsRequest::DeleteTopicState> wanted = message.topics;
  if (request.version < kDeleteByIds) {
    for (const std::string& name : message.topic_names) wanted.push_back({name, {}});
  }
  for (const auto& state : wanted) {
    auto& out = response.responses.emplace_back();
    out.name = state.name;
    out.topic_id = state.topic_id;
    const std::optional<log::TopicId> id = TopicIdOf(state.topic_id);
    const std::optional<Topic> topic = state.name ? service.backend().FindTopic(*state.name)
                                       : id       ? service.backend().FindTopic(*id)
                                                  : std::nullopt;
    if (!topic) {
      out.error_code =
          state.name ? ErrorCode::kUnknownTopicOrPartition : ErrorCode::kUnknownTopicId;
      continue;
    }
    out.name = topic->name;
    out.topic_id = UuidOf(topic->id);
    const Status deleted = service.backend().DeleteTopic(topic->name);
    if (deleted.ok()) {
      service.groups().DropOffsets([&](const std::string& name) { return name == topic->name; });
      continue;
    }
    out.error_code = TopicErrorCode(deleted.error());
    out.error_message = deleted.error().message();
  }
  return response;
}

DescribeConfigsResponse DescribeConfigs(Service& service, const DescribeConfigsRequest& message) {
  DescribeConfigsResponse response;
  for (const auto& resource : message.resources) {
    auto& out = response.results.emplace_back();
    out.error_message.reset();
    out.resource_type = resource.resource_type;
    out.resource_name = resource.resource_name;
    std::vector<Setting> settings;
    int8_t own_source = kTopicSource;
    if (resource.resource_type == kTopicResource) {
      const std::optional<Topic> topic = service.backend().FindTopic(resource.resource_name);
      if (!topic) {
        out.error_code = ErrorCode::kUnknownTopicOrPartition;
        continue;
      }
      settings = SettingsOf(*topic);
    } else if (resource.resource_type == kBrokerResource) {
      settings = BrokerSettings(service);
      own_source = kBrokerSource;
    } else {
      out.error_code = ErrorCode::kInvalidRequest;
      out.error_message = "topics and brokers have settings";
      continue;
    }
    for (const Setting& setting : settings) {
      if (!IsWanted(resource, setting.name)) continue;
      auto& config = out.configs.emplace_back();
      config.name = setting.name;
      config.value = setting.value;
      config.read_only = true;  // they follow from the stream: ALTER STREAM changes it
      config.config_source = setting.is_default ? kDefaultSource : own_source;
      config.config_type = setting.type;
      config.documentation.reset();
    }
  }
  return response;
}

}  // namespace millrace::kafka
