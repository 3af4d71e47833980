#include "kafka/topic_handlers.h"

#include <algorithm>

#include <fmt/format.h>

#include "kafka/errors.h"
#include "log/topic_name.h"

namespace millrace::kafka {

namespace {

constexpr int16_t kDeleteByIds = 6;  // the first version of DeleteTopics with topic ids
constexpr int8_t kTopicResource = 2;
constexpr int8_t kBrokerResource = 4;
constexpr int8_t kDefaultSource = 5;  // DEFAULT_CONFIG
constexpr int8_t kTopicSource = 1;    // DYNAMIC_TOPIC_CONFIG
constexpr int8_t kBrokerSource = 4;   // STATIC_BROKER_CONFIG
enum ConfigType : int8_t { kBoolean = 1, kString = 2, kInt = 3, kLong = 5, kList = 7 };

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
  const std::string never = std::to_string(INT64_MAX);
  const log::TopicConfig defaults;
  const log::LogOptions options;
  const auto number = [](std::string name, const std::optional<int64_t>& value, auto otherwise,
                         ConfigType type) {
    return Setting{std::move(name), std::to_string(value.value_or(int64_t{otherwise})), type,
                   !value.has_value()};
  };
  const bool deletes = !topic.compact || topic.retention_ms || topic.retention_bytes;
  const std::string policy = topic.compact ? deletes ? "compact,delete" : "compact" : "delete";
  return {{"cleanup.policy", policy, kList, !topic.compact},
          {"compression.type", "producer", kString},
          number("delete.retention.ms", topic.delete_retention_ms,
                 defaults.delete_retention.count(), kLong),
          {"flush.messages", topic.flush_ms ? never : "1", kLong, !topic.flush_ms},
          {"flush.ms", topic.flush_ms ? std::to_string(*topic.flush_ms) : never, kLong,
           !topic.flush_ms},
          number("max.message.bytes", topic.max_message_bytes, kMessageBytesMax, kInt),
          {"message.timestamp.type", topic.append_time ? "LogAppendTime" : "CreateTime", kString,
           !topic.append_time},
          {"min.insync.replicas", "1", kInt},
          {"retention.bytes", or_unlimited(topic.retention_bytes), kLong, !topic.retention_bytes},
          {"retention.ms", or_unlimited(topic.retention_ms), kLong, !topic.retention_ms},
          number("segment.bytes", topic.segment_bytes, static_cast<int64_t>(options.segment_bytes),
                 kInt),
          number("segment.ms", topic.segment_ms,
                 std::chrono::milliseconds(options.segment_age_max).count(), kLong),
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

bool IsChangeable(int8_t resource_type, std::string_view name) {
  const auto& changeable = kChangeableSettings;
  return resource_type == kTopicResource &&
         std::find(changeable.begin(), changeable.end(), name) != changeable.end();
}

// What AlterConfigs and IncrementalAlterConfigs ask of one resource.
struct Alteration {
  TopicSettings set;
  std::vector<std::string> reset;
};

template <typename Out>
void Alter(Service& service, int8_t resource_type, const std::string& name,
           const Alteration& alteration, bool validate_only, Out& out) {
  out.resource_type = resource_type;
  out.resource_name = name;
  out.error_message.reset();
  const Status altered =
      resource_type == kTopicResource
          ? service.backend().AlterTopic(name, alteration.set, alteration.reset, validate_only)
          : Status(
                Error(Code::kInvalidArgument, "the settings of topics can be changed, no others"));
  if (altered.ok()) return;
  out.error_code = altered.error().code() == Code::kInvalidArgument
                       ? ErrorCode::kInvalidConfig
                       : TopicErrorCode(altered.error());
  out.error_message = altered.error().message();
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
    if (const Status named = log::CheckTopicName(wanted.name); !named.ok()) {
      out.error_code = ErrorCode::kInvalidTopicException;
      out.error_message = named.error().message();
      continue;
    }
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
      out.error_code = created.error().code() == Code::kInvalidArgument
                           ? ErrorCode::kInvalidConfig
                           : TopicErrorCode(created.error());
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

DeleteRecordsResponse DeleteRecords(Service& service, const DeleteRecordsRequest& message) {
  constexpr int64_t kAll = -1;
  // It waits on a thread of the pool, of which there are few.
  constexpr int32_t kWaitMax = 10'000;
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::milliseconds(std::clamp(message.timeout_ms, 0, kWaitMax));
  DeleteRecordsResponse response;
  for (const auto& wanted : message.topics) {
    auto& out = response.topics.emplace_back();
    out.name = wanted.name;
    const std::optional<Topic> topic = service.backend().FindTopic(wanted.name);
    for (const auto& partition : wanted.partitions) {
      auto& result = out.partitions.emplace_back();
      result.partition_index = partition.partition_index;
      result.low_watermark = -1;
      if (!topic) {
        result.error_code = ErrorCode::kUnknownTopicOrPartition;
        continue;
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      const auto deleted = service.backend().DeleteRecords(
          *topic, partition.partition_index,
          partition.offset == kAll ? std::nullopt : std::optional<int64_t>(partition.offset), left);
      if (deleted.ok()) {
        result.low_watermark = *deleted;
      } else {
        result.error_code = deleted.error().code() == Code::kInvalidArgument
                                ? ErrorCode::kOffsetOutOfRange
                                : TopicErrorCode(deleted.error());
      }
    }
  }
  return response;
}

CreatePartitionsResponse CreatePartitions(Service& service,
                                          const CreatePartitionsRequest& message) {
  CreatePartitionsResponse response;
  for (const auto& wanted : message.topics) {
    auto& out = response.results.emplace_back();
    out.name = wanted.name;
    const std::optional<Topic> topic = service.backend().FindTopic(wanted.name);
    if (!topic) {
      out.error_code = ErrorCode::kUnknownTopicOrPartition;
    } else if (wanted.count <= topic->partitions) {
      out.error_code = ErrorCode::kInvalidPartitions;
      out.error_message = fmt::format("topic {} has {} partitions, and can only get more",
                                      wanted.name, topic->partitions);
    } else {
      const Status grown =
          service.backend().GrowTopic(wanted.name, wanted.count, message.validate_only);
      if (grown.ok()) continue;
      out.error_code = grown.error().code() == Code::kInvalidArgument
                           ? ErrorCode::kInvalidPartitions
                           : TopicErrorCode(grown.error());
      out.error_message = grown.error().message();
    }
  }
  return response;
}

DescribeLogDirsResponse DescribeLogDirs(Service& service, const DescribeLogDirsRequest& message) {
  DescribeLogDirsResponse response;
  const Result<LogDirectory> directory = service.backend().Directory();
  if (!directory.ok()) {
    response.error_code = TopicErrorCode(directory.error());
    return response;
  }
  auto& out = response.results.emplace_back();
  out.log_dir = directory->path;
  out.total_bytes = static_cast<int64_t>(directory->space.total_bytes);
  out.usable_bytes = static_cast<int64_t>(directory->space.free_bytes);
  const auto describe = [&](const Topic& topic, const std::vector<int32_t>* wanted) {
    auto& shown = out.topics.emplace_back();
    shown.name = topic.name;
    for (int32_t i = 0; i < topic.partitions; ++i) {
      if (wanted != nullptr && std::find(wanted->begin(), wanted->end(), i) == wanted->end())
        continue;
      const auto bytes = service.backend().log().PartitionBytes({topic.id, i});
      if (bytes.ok()) shown.partitions.push_back({i, static_cast<int64_t>(*bytes), 0, false});
    }
  };
  if (!message.topics) {
    for (const Topic& topic : service.backend().Topics()) describe(topic, nullptr);
    return response;
  }
  for (const auto& wanted : *message.topics) {
    if (const auto topic = service.backend().FindTopic(wanted.topic))
      describe(*topic, &wanted.partitions);
  }
  return response;
}

// Sets what is named, and puts back everything else.
AlterConfigsResponse AlterConfigs(Service& service, const AlterConfigsRequest& message) {
  AlterConfigsResponse response;
  for (const auto& resource : message.resources) {
    Alteration alteration;
    alteration.reset.assign(kChangeableSettings.begin(), kChangeableSettings.end());
    for (const auto& config : resource.configs) {
      std::erase(alteration.reset, config.name);
      if (config.value) {
        alteration.set[config.name] = *config.value;
      } else {
        alteration.reset.push_back(config.name);
      }
    }
    Alter(service, resource.resource_type, resource.resource_name, alteration,
          message.validate_only, response.responses.emplace_back());
  }
  return response;
}

IncrementalAlterConfigsResponse IncrementalAlterConfigs(
    Service& service, const IncrementalAlterConfigsRequest& message) {
  enum Operation : int8_t { kSet = 0, kDelete = 1 };
  IncrementalAlterConfigsResponse response;
  for (const auto& resource : message.resources) {
    auto& out = response.responses.emplace_back();
    Alteration alteration;
    for (const auto& config : resource.configs) {
      if (config.config_operation == kDelete) {
        alteration.reset.push_back(config.name);
      } else if (config.config_operation == kSet && config.value) {
        alteration.set[config.name] = *config.value;
      } else {
        out.error_code = ErrorCode::kInvalidConfig;
        out.error_message = config.name + " can be set and deleted, nothing else";
      }
    }
    if (out.error_code != ErrorCode::kNone) {
      out.resource_type = resource.resource_type;
      out.resource_name = resource.resource_name;
      continue;
    }
    Alter(service, resource.resource_type, resource.resource_name, alteration,
          message.validate_only, out);
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
      config.read_only = !IsChangeable(resource.resource_type, setting.name);
      config.config_source = setting.is_default ? kDefaultSource : own_source;
      config.config_type = setting.type;
      config.documentation.reset();
    }
  }
  return response;
}

}  // namespace millrace::kafka
