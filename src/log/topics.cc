// Topics: a change is an entry of a frame, so it is durable and ordered with the appends around it.
// The leader applies it to the table when the frame is durable; the background thread follows on
// disk.
#include <algorithm>

#include "base/coding.h"
#include "log/log_impl.h"
#include "log/topic_name.h"

namespace millrace::log {
namespace {

constexpr int32_t kPartitionsMax = 100'000;
constexpr std::string_view kTopicFile = "/topic";
// '#' is no letter of a topic's name. Folders of this kind are removed at every start.
constexpr std::string_view kAsidePrefix = "#";

std::string LowerCase(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

Status CheckConfig(std::string_view name, const TopicConfig& config) {
  if (config.partitions < 1 || config.partitions > kPartitionsMax) {
    return Error(Code::kInvalidArgument, "topic {}: {} partitions; 1 to {} are allowed",
                 Quoted(name), config.partitions, kPartitionsMax);
  }
  if (config.retention_time && config.retention_time->count() < 0) {
    return Error(Code::kInvalidArgument, "topic {}: retention time is negative", Quoted(name));
  }
  if (config.delete_retention.count() < 0) {
    return Error(Code::kInvalidArgument, "topic {}: delete retention is negative", Quoted(name));
  }
  if (config.sync_delay_max.count() < 0 || config.sync_delay_max > kSyncDelayMax) {
    return Error(Code::kInvalidArgument, "topic {}: a sync delay of {} ms; 0 to {} ms are allowed",
                 Quoted(name), config.sync_delay_max.count(), kSyncDelayMax.count());
  }
  if (config.max_message_bytes && *config.max_message_bytes < kRecordBatchHeaderBytes) {
    return Error(Code::kInvalidArgument,
                 "topic {}: max_message_bytes is {}, and the smallest batch takes more",
                 Quoted(name), *config.max_message_bytes);
  }
  if (config.segment_bytes &&
      (*config.segment_bytes < kSegmentBytesMin || *config.segment_bytes > kSegmentBytesMax)) {
    return Error(Code::kInvalidArgument, "topic {}: segments of {} bytes; {} to {} are allowed",
                 Quoted(name), *config.segment_bytes, kSegmentBytesMin, kSegmentBytesMax);
  }
  if (config.segment_age_max && config.segment_age_max->count() <= 0) {
    return Error(Code::kInvalidArgument, "topic {}: the age of a segment is above 0", Quoted(name));
  }
  return Ok();
}

}  // namespace

std::shared_ptr<Partition> Log::Impl::FindPartition(PartitionId id) const {
  std::shared_lock lock(topics_mutex_);
  const auto topic = topics_.find(id.topic);
  if (topic == topics_.end() || id.partition < 0 ||
      static_cast<size_t>(id.partition) >= topic->second->partitions.size()) {
    return nullptr;
  }
  return topic->second->partitions[static_cast<size_t>(id.partition)];
}

Result<uint64_t> Log::Impl::PartitionBytes(PartitionId id) const {
  const std::shared_ptr<Partition> partition = FindPartition(id);
  if (partition == nullptr) return Error(Code::kNotFound, "there is no partition {}", id.partition);
  return partition->bytes();
}

std::vector<TopicInfo> Log::Impl::Topics() const {
  std::vector<TopicInfo> topics;
  {
    std::shared_lock lock(topics_mutex_);
    for (const auto& [id, topic] : topics_) topics.push_back(topic->info);
  }
  std::sort(topics.begin(), topics.end(),
            [](const TopicInfo& a, const TopicInfo& b) { return a.name < b.name; });
  return topics;
}

std::optional<TopicInfo> Log::Impl::FindTopic(std::string_view name) const {
  std::shared_lock lock(topics_mutex_);
  const auto id = topic_names_.find(LowerCase(name));
  if (id == topic_names_.end()) return std::nullopt;
  const TopicInfo& info = topics_.at(id->second)->info;
  if (info.name != name) return std::nullopt;
  return info;
}

// Waits until the change is durable and applied.
Result<Appended> Log::Impl::Submit(Control control) {
  TRY(CheckWritable());
  auto promise = std::make_shared<std::promise<Result<Appended>>>();
  Request request;
  request.control = std::move(control);
  request.done = [promise](Result<Appended> result) { promise->set_value(std::move(result)); };
  const auto pushed = queue_.TryPush(request, 0, {.waits = true, .always = true});
  if (pushed == CommitQueue<Request>::Push::kClosed) {
    return Error(Code::kUnavailable, "the log is closed");
  }
  return WaitFor(promise->get_future(), pushed);
}

Result<TopicInfo> Log::Impl::CreateTopic(std::string_view name, const TopicConfig& config) {
  TRY(CheckTopicName(name));
  TRY(CheckConfig(name, config));
  std::lock_guard lock(admin_mutex_);
  {
    std::shared_lock topics_lock(topics_mutex_);
    const auto taken = topic_names_.find(LowerCase(name));
    if (taken != topic_names_.end()) {
      return Error(Code::kAlreadyExists, "topic {} exists already",
                   Quoted(topics_.at(taken->second)->info.name));
    }
  }
  TopicInfo info;
  info.name = name;
  info.config = config;
  {
    // Unlike every earlier incarnation: frames' numbers only rise.
    std::lock_guard publish_lock(publish_mutex_);
    std::shared_lock topics_lock(topics_mutex_);
    uint64_t seed = published_.value ^ static_cast<uint64_t>(clock_.Now().value) << 20;
    do {
      info.id.value = StableHash(name, seed++);
    } while (info.id.value == 0 || topics_.contains(info.id));
  }
  TRY(Submit({EntryKind::kCreateTopic, {info.id, 0}, {}, EncodeTopic(info)}));
  return info;
}

Status Log::Impl::DeleteTopic(TopicId id) {
  std::lock_guard lock(admin_mutex_);
  std::string payload;
  {
    std::shared_lock topics_lock(topics_mutex_);
    const auto topic = topics_.find(id);
    if (topic == topics_.end())
      return Error(Code::kNotFound, "topic {:#x} does not exist", id.value);
    payload = EncodeTopic(topic->second->info);
  }
  TRY(Submit({EntryKind::kDeleteTopic, {id, 0}, {}, std::move(payload)}));
  return Ok();
}

Result<TopicInfo> Log::Impl::AlterTopic(TopicId id, const TopicConfig& config) {
  std::lock_guard lock(admin_mutex_);
  TopicInfo info;
  {
    std::shared_lock topics_lock(topics_mutex_);
    const auto topic = topics_.find(id);
    if (topic == topics_.end())
      return Error(Code::kNotFound, "topic {:#x} does not exist", id.value);
    info = topic->second->info;
  }
  TRY(CheckConfig(info.name, config));
  if (config.partitions < info.config.partitions) {
    return Error(Code::kInvalidArgument, "topic {}: partitions cannot be reduced from {} to {}",
                 Quoted(info.name), info.config.partitions, config.partitions);
  }
  info.config = config;
  TRY(Submit({EntryKind::kAlterTopic, {id, 0}, {}, EncodeTopic(info)}));
  return info;
}

Result<Offset> Log::Impl::DeleteRecords(PartitionId id, Offset before) {
  TRY(const auto partition, GetPartition(id));
  const Partition::Range range = partition->range();
  if (before.value < 0 || before > range.end) {
    return Error(
               Code::kInvalidArgument,
               "delete records of topic {} partition {}: offset {} is out of range; the end is {}",
               Quoted(partition->topic()), id.partition, before.value, range.end.value)
        .SqlState("22003");
  }
  if (before > range.start) TRY(Submit({EntryKind::kLogStart, id, before, ""}));
  return partition->range().start;
}

// ---- Applying ----

void Log::Impl::ApplyTopic(const TopicInfo& info) {
  std::unique_lock lock(topics_mutex_);
  auto topic = std::make_shared<Topic>();
  topic->info = info;
  const auto existing = topics_.find(info.id);
  if (existing != topics_.end()) {
    topic->partitions = existing->second->partitions;
    // Replay of an older change over a newer checkpoint: partitions only become more.
    topic->info.config.partitions =
        std::max(info.config.partitions, existing->second->info.config.partitions);
  }
  while (topic->partitions.size() < static_cast<size_t>(topic->info.config.partitions)) {
    const auto number = static_cast<int32_t>(topic->partitions.size());
    topic->partitions.push_back(
        std::make_shared<Partition>(segment_files_, info.name, PartitionId{info.id, number},
                                    TopicDirectory(info.name) + "/" + std::to_string(number)));
  }
  for (const auto& partition : topic->partitions) partition->SetConfig(topic->info.config);
  topic_names_[LowerCase(info.name)] = info.id;
  topics_[info.id] = std::move(topic);
}

void Log::Impl::ApplyDelete(TopicId id) {
  std::unique_lock lock(topics_mutex_);
  const auto topic = topics_.find(id);
  if (topic == topics_.end()) return;
  for (const auto& partition : topic->second->partitions) partition->dropped = true;
  const auto name = topic_names_.find(LowerCase(topic->second->info.name));
  if (name != topic_names_.end() && name->second == id) topic_names_.erase(name);
  topics_.erase(topic);
}

// ---- On disk ----

// What log/<name> belongs to. nullopt: there is no such folder.
Result<std::optional<TopicInfo>> Log::Impl::TopicOnDisk(std::string_view name) const {
  const Result<std::string> bytes = files_.ReadAll(TopicDirectory(name) + std::string(kTopicFile));
  if (!bytes.ok()) {
    if (bytes.error().code() == Code::kNotFound) return std::optional<TopicInfo>();
    return bytes.error();
  }
  Result<TopicInfo> info = DecodeTopic(*bytes);
  if (!info.ok()) return std::move(info).error();
  return std::optional<TopicInfo>(*std::move(info));
}

// The folder appears under its name with its topic file in it, or not at all.
Status Log::Impl::MakeTopicDirectory(const TopicInfo& info) {
  TRY(const auto present, TopicOnDisk(info.name));
  // It may be there by a rename that an earlier run did not come to make durable.
  if (present && present->id == info.id) return files_.SyncDirectory(log_directory_);
  // An earlier incarnation, whose removal a power loss undid.
  if (present) TRY(SetAside(info.name, present->id));
  const std::string fresh =
      TopicDirectory(fmt::format("{}new-{:016x}", kAsidePrefix, info.id.value));
  TRY(files_.RemoveAll(fresh));
  TRY(files_.CreateDirectories(fresh));
  TRY(files_.Replace(fresh + std::string(kTopicFile), EncodeTopic(info)));
  TRY(files_.Rename(fresh, TopicDirectory(info.name)));
  return files_.SyncDirectory(log_directory_);
}

Status Log::Impl::SetAside(std::string_view name, TopicId id) {
  const std::string aside =
      TopicDirectory(fmt::format("{}deleted-{:016x}", kAsidePrefix, id.value));
  TRY(files_.Rename(TopicDirectory(name), aside));
  TRY(files_.SyncDirectory(log_directory_));
  return files_.RemoveAll(aside);
}

Status Log::Impl::RemoveTopicDirectory(const TopicInfo& info) {
  TRY(const auto present, TopicOnDisk(info.name));
  if (!present || present->id != info.id) return files_.SyncDirectory(log_directory_);
  std::erase_if(unsynced_, [&](const auto& entry) { return entry.first.topic == info.id; });
  return SetAside(info.name, info.id);
}

}  // namespace millrace::log
