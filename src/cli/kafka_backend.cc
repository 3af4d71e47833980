#include "cli/kafka_backend.h"

#include <map>
#include <unordered_map>

namespace millrace::cli {

using kafka::Topic;
using kafka::TopicSettings;

struct KafkaBackend::Index {
  uint64_t version = 0;
  std::map<std::string, Topic, std::less<>> by_name;
  std::unordered_map<log::TopicId, Topic> by_id;
};

std::shared_ptr<const KafkaBackend::Index> KafkaBackend::Topology() const {
  const catalog::CatalogPtr catalog = node_.catalog();
  std::shared_ptr<const Index> known = index_.load();
  if (known != nullptr && known->version == catalog->version()) return known;
  auto made = std::make_shared<Index>();
  made->version = catalog->version();
  for (const catalog::Object* object : catalog->OfKind(catalog::Kind::kStream)) {
    const auto& stream = std::get<catalog::StreamDefinition>(object->definition);
    Topic topic{object->name(), log::TopicId{object->topic_id}, stream.partitions};
    if (stream.retention)
      topic.retention_ms =
          std::chrono::duration_cast<std::chrono::milliseconds>(*stream.retention).count();
    topic.retention_bytes = stream.retention_bytes;
    made->by_name.emplace(topic.name, topic);
    made->by_id.emplace(topic.id, topic);
  }
  index_.store(made);
  return made;
}

std::vector<Topic> KafkaBackend::Topics() const {
  std::vector<Topic> topics;
  for (const auto& [name, topic] : Topology()->by_name) topics.push_back(topic);
  return topics;
}

std::optional<Topic> KafkaBackend::FindTopic(std::string_view name) const {
  const auto index = Topology();
  const auto it = index->by_name.find(name);
  if (it == index->by_name.end()) return std::nullopt;
  return it->second;
}

std::optional<Topic> KafkaBackend::FindTopic(log::TopicId id) const {
  const auto index = Topology();
  const auto it = index->by_id.find(id);
  if (it == index->by_id.end()) return std::nullopt;
  return it->second;
}

Status KafkaBackend::Append(const Topic& topic, int32_t partition, std::string batches,
                            log::AppendDone done) {
  return node_.ingest().AppendBatches({topic.name, partition, std::move(batches), "kafka"},
                                      std::move(done));
}

Status KafkaBackend::CreateTopic(const std::string& name, int32_t, const TopicSettings&, bool) {
  return Error(Code::kNotSupported, "topic {} is to be a stream: CREATE STREAM {} (…) makes it",
               Quoted(name), Quoted(name));
}

Status KafkaBackend::DeleteTopic(const std::string& name) {
  if (!FindTopic(name)) return Error(Code::kNotFound, "there is no topic {}", Quoted(name));
  TRY(node_.Execute("DROP STREAM " + Quoted(name), {}));
  return Ok();
}

}  // namespace millrace::cli
