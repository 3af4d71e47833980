#include "runtime/recovery.h"

#include <algorithm>
#include <deque>
#include <set>

#include "base/clock.h"
#include "base/logging.h"
#include "runtime/journal.h"
#include "runtime/standing.h"
#include "runtime/tables.h"

namespace millrace::runtime {

namespace {

// The journal keeps about this much below the flushed step's floor.
constexpr uint64_t kJournalRetentionBytes = 64 << 20;

struct CatalogRecord {
  uint64_t version_after;
  std::vector<catalog::Change> changes;
};

Result<std::deque<CatalogRecord>> ReadCatalogRecords(const log::Log& log, log::TopicId topic) {
  std::deque<CatalogRecord> out;
  const log::PartitionId partition{topic, 0};
  const auto cut = log.DurableCut();
  const log::Cut::End* end = cut->Find(partition);
  if (end == nullptr) return out;
  for (log::Offset at = end->start; at < end->end;) {
    TRY(const log::ReadResult read, log.Read(partition, {.from = at, .until = end->end}));
    if (!read.damaged.empty()) {
      return Error(Code::kCorruption, "catalog: records {} to {} are damaged: {}",
                   read.damaged[0].first.value, read.damaged[0].last.value, read.damaged[0].reason);
    }
    for (const log::ReadBatch& batch : read.batches) {
      log::RecordCursor records = batch.view().records();
      while (records.Next()) {
        if (!records.record().value) continue;
        auto decoded = catalog::DecodeChanges(*records.record().value);
        TRY(auto changes, std::move(decoded).With(
                              fmt::format("catalog record {}", records.record().offset.value)));
        out.push_back({changes.first, std::move(changes.second)});
      }
    }
    at = read.next;
  }
  return out;
}

Result<log::TopicId> FindOrCreate(log::Log& log, const char* name, const log::TopicConfig& config) {
  if (const auto found = log.FindTopic(name)) return found->id;
  TRY(const log::TopicInfo made, log.CreateTopic(name, config));
  return made.id;
}

// The views that failed in the step when it ran first, as the next record of the catalog tells.
// What made them fail need not come about again (time, for one).
Status HaltWhatFailed(Pipeline& pipeline, const std::deque<CatalogRecord>& later,
                      state::Step step) {
  if (later.empty()) return Ok();
  std::vector<std::string> failed;
  for (const catalog::Change& change : later.front().changes) {
    const auto* alter = std::get_if<catalog::Alter>(&change);
    if (alter == nullptr || !alter->object.halt) continue;
    const catalog::Halt& halt = *alter->object.halt;
    if (halt.why == catalog::Halt::Why::kFailed && halt.step == step.value - 1)
      failed.push_back(InternalName(alter->object));
  }
  return pipeline.Halt(failed);
}

}  // namespace

std::optional<std::chrono::milliseconds> InMillis(
    const std::optional<std::chrono::microseconds>& time) {
  if (!time) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(*time);
}

namespace {

void SetStorage(const catalog::Storage& storage, log::TopicConfig& config) {
  using catalog::Storage;
  static_assert(Storage::kMessageBytesMin >= log::kRecordBatchHeaderBytes);
  static_assert(Storage::kSegmentBytesMin >= log::kSegmentBytesMin);
  static_assert(Storage::kSegmentBytesMax <= log::kSegmentBytesMax);
  config.append_time = storage.timestamps == Storage::Timestamps::kBroker;
  config.compact = storage.compact;
  if (const auto retention = InMillis(storage.delete_retention))
    config.delete_retention = *retention;
  if (storage.max_message_bytes)
    config.max_message_bytes = static_cast<uint32_t>(*storage.max_message_bytes);
  if (storage.segment_bytes) config.segment_bytes = static_cast<uint64_t>(*storage.segment_bytes);
  config.segment_age_max = InMillis(storage.segment_age);
}

}  // namespace

log::TopicConfig TopicConfigOf(const catalog::Object& object) {
  log::TopicConfig config;
  const auto* stream = std::get_if<catalog::StreamDefinition>(&object.definition);
  config.compact = stream == nullptr;  // a table's: its newest rows are all that it is made of
  if (stream == nullptr) return config;
  config.partitions = stream->partitions;
  config.retention_time = InMillis(stream->retention);
  if (stream->retention_bytes)
    config.retention_bytes = static_cast<uint64_t>(*stream->retention_bytes);
  static_assert(catalog::Durability::kIntervalMax <= log::kSyncDelayMax);
  config.sync_delay_max = stream->durability.sync_delay_max();
  SetStorage(stream->storage, config);
  return config;
}

Status DeleteOrphans(log::Log& log, const catalog::Catalog& catalog,
                     const std::function<Status()>& flush) {
  std::set<uint64_t> known;
  for (const catalog::Object* object : catalog.InOrder()) known.insert(object->topic_id);
  for (const auto& [number, build] : catalog.builds()) {
    for (const catalog::Object* object : build.created()) known.insert(object->topic_id);
  }
  bool flushed = false;
  for (const log::TopicInfo& topic : log.Topics()) {
    if (topic.name.starts_with("__") || known.contains(topic.id.value)) continue;
    if (!flushed) TRY(flush());
    flushed = true;
    LOG_INFO("a topic that no object of the catalog owns is deleted", "topic={}", topic.name);
    TRY(log.DeleteTopic(topic.id));
  }
  return Ok();
}

Status AlignTopics(log::Log& log, const catalog::Catalog& catalog) {
  const std::vector<log::TopicInfo> topics = log.Topics();
  for (const catalog::Object* object : catalog.InOrder()) {
    if (object->topic_id == 0) continue;
    log::TopicConfig config = TopicConfigOf(*object);
    for (const log::TopicInfo& topic : topics) {
      if (topic.id.value != object->topic_id) continue;
      // It grows before its stream does, which then may not have happened.
      config.partitions = std::max(config.partitions, topic.config.partitions);
      if (!(topic.config == config)) TRY(log.AlterTopic(topic.id, config));
    }
  }
  return Ok();
}

Result<InternalTopics> OpenInternalTopics(log::Log& log) {
  InternalTopics topics;
  log::TopicConfig journal;
  journal.retention_bytes = kJournalRetentionBytes;
  TRY(topics.journal, FindOrCreate(log, kJournalTopic, journal));
  TRY(topics.catalog, FindOrCreate(log, kCatalogTopic, {}));
  return topics;
}

Result<catalog::CatalogPtr> ReadCatalog(const log::Log& log) {
  catalog::CatalogPtr catalog = catalog::Catalog::Empty();
  const auto topic = log.FindTopic(kCatalogTopic);
  if (!topic) return catalog;
  TRY(const std::deque<CatalogRecord> records, ReadCatalogRecords(log, topic->id));
  for (const CatalogRecord& record : records) {
    TRY(catalog, catalog->Apply(record.changes));
    if (catalog->version() == record.version_after) continue;
    return Error(Code::kCorruption, "catalog record of version {} gives version {}",
                 record.version_after, catalog->version());
  }
  return catalog;
}

Status SwitchCatalog(Pipeline& pipeline, const catalog::CatalogPtr& after) {
  TRY(pipeline.BeforeSwitch(*after));
  TRY(const std::vector<Standing> before, AllStanding(pipeline.catalog()));
  TRY(const std::vector<Standing> standing, AllStanding(after));
  const std::set<std::string> has = InternalNames(standing);
  for (auto it = before.rbegin(); it != before.rend(); ++it) {
    if (HoldsRows(*it->object) && !has.contains(InternalName(*it->object)))
      TRY(pipeline.Uninstall(*it->object));
  }
  return pipeline.SetCatalog(after);
}

Status InstallNew(Pipeline& pipeline, const catalog::CatalogPtr& after, Pipeline::Entry entry,
                  std::vector<catalog::Object>* installed) {
  TRY(const std::vector<Standing> before, AllStanding(pipeline.catalog()));
  TRY(const std::vector<Standing> standing, AllStanding(after));
  const std::set<std::string> had = InternalNames(before);
  for (const auto& [number, build] : after->builds()) {
    if (!pipeline.state().builds.contains(number)) pipeline.BeginBuild(number);
  }
  for (const Standing& item : standing) {
    if (!HoldsRows(*item.object) || had.contains(InternalName(*item.object))) continue;
    TRY(pipeline.Install(*item.object, *item.catalog, entry, item.build));
    if (installed != nullptr) installed->push_back(*item.object);
  }
  return Ok();
}

Status Recover(log::Log& log, const state::Store& store, const InternalTopics& topics,
               Pipeline& pipeline, Publisher& publisher) {
  const auto start = Tick();
  NodeState state;
  TRY(const auto saved, store.Get(kNodeStateTable, kNodeStateKey));
  if (saved) {
    auto decoded = DecodeNodeState(*saved);
    TRY(state, std::move(decoded).With("read the node's state"));
  }
  if (state.step != store.flushed_step()) {
    return Error(Code::kCorruption, "the state is of step {}, the node's part of it of step {}",
                 store.flushed_step().value, state.step.value);
  }
  TRY(std::deque<CatalogRecord> records, ReadCatalogRecords(log, topics.catalog));
  catalog::CatalogPtr catalog = catalog::Catalog::Empty();
  const auto advance_to = [&](uint64_t version) -> Status {
    while (catalog->version() < version) {
      if (records.empty())
        return Error(Code::kCorruption, "the catalog's record of version {} is missing", version);
      TRY(catalog, catalog->Apply(records.front().changes));
      if (catalog->version() != records.front().version_after) {
        return Error(Code::kCorruption, "catalog record of version {} gives version {}",
                     records.front().version_after, catalog->version());
      }
      records.pop_front();
    }
    return Ok();
  };
  TRY(advance_to(state.catalog_version));
  pipeline.SetState(state);
  const auto install = [&]() -> Status {
    TRY(InstallNew(pipeline, catalog, Pipeline::Entry::kRestart));
    return SwitchCatalog(pipeline, catalog);
  };
  TRY(install());
  // Builds whose history was all in at the flush went on as one with the rest from that step on.
  pipeline.JoinComplete();

  int64_t replayed = 0;
  const auto replay = [&](const StepRecord& record, double limit_factor) -> Status {
    if (record.catalog_version != catalog->version()) {
      TRY(advance_to(record.catalog_version));
      TRY(install());
    }
    TRY(HaltWhatFailed(pipeline, records, record.step));
    std::vector<PartitionSlice> slices;
    for (const auto& [partition, end] : record.ends) {
      const auto reader = pipeline.readers().find(partition);
      if (reader == pipeline.readers().end()) continue;  // of a stream that was dropped since
      TRY(reader->second.Fill(end, SIZE_MAX, INT64_MAX));
      slices.push_back(reader->second.Take({UINT64_MAX}, end));
    }
    ++replayed;
    return pipeline.Run(record, std::move(slices), limit_factor);
  };
  // A step that another follows was computed to its end. Whether the last one was shown is not
  // known: limits hold again, wide enough that no view fails by a hair that did not.
  std::optional<StepRecord> last;
  TRY(ReadJournal(log, topics.journal, JournalOffset(state.step) + 1,
                  [&](log::Offset offset, StepRecord record) -> Status {
                    if (last) TRY(replay(*last, /*limit_factor=*/0));
                    if (offset != JournalOffset(record.step) ||
                        record.step.value != pipeline.state().step.value + 1) {
                      return Error(Code::kCorruption,
                                   "journal: step {} stands at offset {} after step {}",
                                   record.step.value, offset.value, pipeline.state().step.value);
                    }
                    last = std::move(record);
                    return Ok();
                  }));
  if (last) TRY(replay(*last, /*limit_factor=*/2));
  TRY(AlignTopics(log, *catalog));
  publisher.Publish(pipeline.Publishable());
  LOG_INFO("recovered", "flushed_step={} replayed_steps={} seconds={:.3f}", state.step.value,
           replayed, SecondsSince(start));
  return Ok();
}

}  // namespace millrace::runtime
