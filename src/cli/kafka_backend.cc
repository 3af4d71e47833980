#include "cli/kafka_backend.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "cli/kafka_topic_settings.h"

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
    SetSettings(stream, topic);
    made->by_name.emplace(topic.name, topic);
    made->by_id.emplace(topic.id, topic);
  }
  for (const catalog::Object* object : catalog->OfKind(catalog::Kind::kTable)) {
    if (catalog::TableOfTopic(*object) != nullptr) continue;  // its topic is the stream's
    Topic topic{object->name(), log::TopicId{object->topic_id}};
    topic.kind = Topic::Kind::kTable;
    topic.compact = true;
    made->by_name.emplace(topic.name, topic);
    made->by_id.emplace(topic.id, topic);
  }
  index_.store(made);
  return made;
}

// The node makes and deletes these topics by itself, a little behind the catalog.
std::optional<Topic> KafkaBackend::ChangesOf(const catalog::Object& object) const {
  const auto& view = std::get<catalog::ViewDefinition>(object.definition);
  const std::optional<log::TopicId> id = node_.ChangesTopicOf(object);
  if (!id) return std::nullopt;
  Topic topic{catalog::ChangesTopic(view.name), *id};
  topic.kind = Topic::Kind::kChanges;
  SetSettings(view, topic);
  return topic;
}

std::vector<Topic> KafkaBackend::ChangesTopics() const {
  std::vector<Topic> topics;
  const catalog::CatalogPtr catalog = node_.catalog();
  for (const catalog::Object* object : catalog->OfKind(catalog::Kind::kView)) {
    if (!catalog::HasChangesTopic(*object)) continue;
    if (auto topic = ChangesOf(*object)) topics.push_back(*std::move(topic));
  }
  return topics;
}

std::vector<Topic> KafkaBackend::Topics() const {
  std::vector<Topic> topics = ChangesTopics();
  for (const auto& [name, topic] : Topology()->by_name) topics.push_back(topic);
  std::sort(topics.begin(), topics.end(),
            [](const Topic& a, const Topic& b) { return a.name < b.name; });
  return topics;
}

std::optional<Topic> KafkaBackend::FindTopic(std::string_view name) const {
  const auto index = Topology();
  const auto it = index->by_name.find(name);
  if (it != index->by_name.end()) return it->second;
  const catalog::CatalogPtr catalog = node_.catalog();
  const catalog::Object* view = catalog->FindChangesTopic(name);
  // Names of topics compare with case.
  if (view == nullptr || catalog::ChangesTopic(view->name()) != name) return std::nullopt;
  return ChangesOf(*view);
}

std::optional<Topic> KafkaBackend::FindTopic(log::TopicId id) const {
  const auto index = Topology();
  const auto it = index->by_id.find(id);
  if (it != index->by_id.end()) return it->second;
  for (Topic& topic : ChangesTopics()) {
    if (topic.id == id) return std::move(topic);
  }
  return std::nullopt;
}

Result<int64_t> KafkaBackend::DeleteRecords(const Topic& topic, int32_t partition,
                                            std::optional<int64_t> before,
                                            std::chrono::milliseconds timeout) {
  TRY(CheckIsStream(topic.name));
  return node_.DeleteRecords(topic.name, partition, before, timeout);
}

Status KafkaBackend::Append(const Topic& topic, int32_t partition, std::string batches,
                            log::AppendDone done) {
  if (topic.kind == Topic::Kind::kChanges)
    return Error(Code::kNotSupported, "{} is written by the node", Quoted(topic.name));
  if (topic.kind == Topic::Kind::kTable) {
    TRY(log::Appended appended, node_.AppendToTable(topic.name, batches));
    done(std::move(appended));
    return Ok();
  }
  return node_.ingest().AppendBatches({topic.name, partition, std::move(batches), "kafka"},
                                      std::move(done));
}

Status KafkaBackend::CheckIsStream(const std::string& name) const {
  const std::optional<Topic> topic = FindTopic(name);
  if (!topic) return Error(Code::kNotFound, "there is no topic {}", Quoted(name));
  if (topic->kind == Topic::Kind::kTable)
    return Error(Code::kInvalidArgument,
                 "{} is the changelog of a table: it has one partition and no settings, keeps the "
                 "newest record of each key, and goes by DROP TABLE",
                 Quoted(name));
  if (topic->kind == Topic::Kind::kChanges)
    return Error(Code::kInvalidArgument,
                 "{} holds the changes of a view: it has one partition, and goes with the view",
                 Quoted(name));
  return Ok();
}

// A topic that a client makes is a stream of raw records.
Status KafkaBackend::CreateTopic(const std::string& name, int32_t partitions,
                                 const TopicSettings& settings, bool validate_only) {
  if (name.starts_with("__"))
    return Error(Code::kNotSupported, "{}: names that begin with __ are the node's own",
                 Quoted(name));
  TRY(const OptionChanges options, OptionsFrom(settings));
  // Streams, tables and views share one name space.
  if (const catalog::Object* taken = node_.catalog()->FindRelation(name))
    return Error(Code::kAlreadyExists, "{} is the name of a {}", Quoted(name),
                 catalog::KindName(taken->kind()));
  if (validate_only) return Ok();
  std::string with = "format = 'raw'";
  for (const auto& [option, value] : options.set) with += fmt::format(", {} = '{}'", option, value);
  TRY(node_.Execute(
      fmt::format("CREATE STREAM {} INTO {} PARTITIONS WITH ({})", Quoted(name), partitions, with),
      {}));
  return Ok();
}

Status KafkaBackend::GrowTopic(const std::string& name, int32_t partitions, bool validate_only) {
  TRY(CheckIsStream(name));
  const std::string grow =
      fmt::format("ALTER STREAM {} INTO {} PARTITIONS", Quoted(name), partitions);
  TRY(sql::Parse(grow));  // how many there may be
  if (!validate_only) TRY(node_.Execute(grow, {}));
  return Ok();
}

Result<kafka::LogDirectory> KafkaBackend::Directory() const {
  TRY(const DiskSpace space, Files::System().Space(log_directory_));
  return kafka::LogDirectory{log_directory_, space};
}

Status KafkaBackend::AlterTopic(const std::string& name, const TopicSettings& settings,
                                const std::vector<std::string>& reset, bool validate_only) {
  const catalog::CatalogPtr catalog = node_.catalog();
  const catalog::Object* view = catalog->FindChangesTopic(name);
  if (view == nullptr) TRY(CheckIsStream(name));
  if (view != nullptr && std::get<catalog::ViewDefinition>(view->definition).changes ==
                             catalog::ViewDefinition::Changes::kUpsert)
    return Error(Code::kInvalidArgument,
                 "{} is compacted: it keeps the newest record of each row, and has no settings",
                 Quoted(name));
  TRY(OptionChanges options, OptionsFrom(settings, reset));
  if (validate_only) return Ok();
  std::string list;
  for (const auto& [option, value] : options.set)
    list += fmt::format("{}{} = '{}'", list.empty() ? "" : ", ", option, value);
  const std::string alter = view == nullptr ? "ALTER STREAM " + Quoted(name)
                                            : "ALTER MATERIALIZED VIEW " + Quoted(view->name());
  if (!list.empty()) TRY(node_.Execute(fmt::format("{} SET ({})", alter, list), {}));
  if (!options.reset.empty())
    TRY(node_.Execute(fmt::format("{} RESET ({})", alter, fmt::join(options.reset, ", ")), {}));
  return Ok();
}

Status KafkaBackend::DeleteTopic(const std::string& name) {
  TRY(CheckIsStream(name));
  TRY(node_.Execute("DROP STREAM " + Quoted(name), {}));
  return Ok();
}

}  // namespace millrace::cli
