#include "runtime/view_changes.h"

#include <set>

#include "base/clock.h"
#include "base/logging.h"
#include "rows/key.h"
#include "runtime/recovery.h"
#include "runtime/view_topic.h"

namespace millrace::runtime {

namespace {

constexpr std::string_view kPrefix = "__changes.";
constexpr std::chrono::milliseconds kTopicsLook{200};  // for views that come to have a topic
constexpr std::chrono::seconds kStepWait{1};

}  // namespace

ViewChanges::ViewChanges(log::Log& log, Publisher& publisher, Subscribe subscribe)
    : log_(log), publisher_(publisher), subscribe_(std::move(subscribe)) {}

ViewChanges::~ViewChanges() { Stop(); }

void ViewChanges::Start() {
  thread_ = std::thread([this] { Run(); });
}

void ViewChanges::Stop() {
  BeginStop();
  if (thread_.joinable()) thread_.join();
}

void ViewChanges::BeginStop() {
  const std::lock_guard lock(mutex_);
  stop_ = true;
  wake_.notify_all();
}

// Records of another kind, or with another key, are another topic.
std::string ViewChanges::TopicName(const catalog::Object& view) {
  const auto& definition = std::get<catalog::ViewDefinition>(view.definition);
  std::string records = rows::LowerName(view.kept_as());
  for (const std::string& column : definition.key) records += '\n' + column;
  return fmt::format("{}{:016x}", kPrefix,
                     StableHash(records, /*seed=*/static_cast<uint64_t>(definition.changes)));
}

// Topics for the views that have none, and none for those that are gone.
Status ViewChanges::Align(const catalog::Catalog& catalog) {
  std::set<std::string> wanted;
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kView)) {
    if (!catalog::HasChangesTopic(*object)) continue;
    const std::string name = TopicName(*object);
    wanted.insert(name);
    const auto& view = std::get<catalog::ViewDefinition>(object->definition);
    log::TopicConfig config;
    config.compact = view.changes == catalog::ViewDefinition::Changes::kUpsert;
    config.retention_time = InMillis(view.retention);
    if (view.retention_bytes) config.retention_bytes = static_cast<uint64_t>(*view.retention_bytes);
    auto topic = log_.FindTopic(name);
    if (!topic) {
      TRY(topic, log_.CreateTopic(name, config));
    } else if (topic->config != config) {
      TRY(topic, log_.AlterTopic(topic->id, config));
    }
    // Retention must leave the step that is being written: its writer says how far it may go.
    if (config.compact) TRY(log_.SetFreeFloor({topic->id, 0}, log::kOffsetMax));
    auto& writer = topics_[name];
    if (writer == nullptr) writer = std::make_unique<ViewTopic>(log_, topic->id, stop_);
    writer->SetView(*object);
  }
  std::erase_if(topics_, [&](const auto& item) { return !wanted.contains(item.first); });
  for (const log::TopicInfo& topic : log_.Topics()) {
    if (topic.name.starts_with(kPrefix) && !wanted.contains(topic.name))
      TRY(log_.DeleteTopic(topic.id));
  }
  aligned_ = catalog.version();
  return Ok();
}

void ViewChanges::Run() {
  std::map<std::string, std::string> told;  // the error that each has met last; "": Align
  while (!stop_) {
    const PublishedPtr published = publisher_.newest();
    if (published->catalog->version() != aligned_) {
      const Status aligned = Align(*published->catalog);
      const std::string error = aligned.ok() ? "" : aligned.error().ToString();
      if (!error.empty() && !stop_ && told[""] != error)
        LOG_ERROR("topics of views' changes", "error={}", error);
      told[""] = error;
    }
    bool any = false;
    for (auto at = topics_.begin(); at != topics_.end();) {
      const Result<bool> advanced = at->second->Advance(subscribe_);
      if (advanced.ok()) {
        told.erase(at->first);
        any = any || *advanced;
        ++at;
        continue;
      }
      if (stop_) return;
      // The view is gone, or another in its place: the writer begins anew with what the catalog
      // has then. What a failing disk does ends the node by itself.
      const std::string text = advanced.error().ToString();
      if (advanced.error().code() != Code::kNotFound &&
          advanced.error().code() != Code::kConflict && told[at->first] != text)
        LOG_WARNING("the topic of a view's changes waits", "view={} error={}", at->second->view(),
                    text);
      told[at->first] = text;
      at = topics_.erase(at);
      aligned_ = 0;
    }
    if (any) continue;
    if (!topics_.empty()) {
      // The error: no step comes any more.
      if (!publisher_.WaitNewer(published->state.step, kStepWait).ok()) return;
      continue;
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kTopicsLook, [this] { return stop_.load(); });
  }
}

}  // namespace millrace::runtime
