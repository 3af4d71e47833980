#include "runtime/catalog_change.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "base/logging.h"
#include "runtime/recovery.h"

namespace millrace::runtime {

// What to take back when a change fails before it has happened.
struct CatalogChanger::Undo {
  log::Log& log;
  Pipeline& pipeline;
  std::vector<log::TopicId> topics;
  std::vector<catalog::Object> installed;
  bool armed = true;

  ~Undo() {
    if (!armed) return;
    pipeline.ForgetBeginnings();
    for (auto it = installed.rbegin(); it != installed.rend(); ++it) {
      if (Status status = pipeline.Uninstall(*it); !status.ok()) {
        LOG_ERROR("undo of a failed change", "object={} error={}", it->name(),
                  status.error().message());
      }
    }
    for (log::TopicId topic : topics) {
      if (Status status = log.DeleteTopic(topic); !status.ok()) {
        LOG_ERROR("undo of a failed change", "topic={} error={}", topic.value,
                  status.error().message());
      }
    }
  }
};

// Unique for ever, so that state left behind by a change that a crash cut off is never taken for
// another's.
uint64_t CatalogChanger::NextGeneration() {
  last_generation_ =
      std::max<uint64_t>(last_generation_ + 1, static_cast<uint64_t>(clock_.Now().value));
  return last_generation_;
}

namespace {
// Empty where the name itself is free; else an object that had this name before a rename keeps its
// books under it.
std::string FreeIdentity(const catalog::Catalog& catalog, const catalog::Object& object) {
  for (const catalog::Object* other : catalog.InOrder()) {
    if (!other->identity.empty() && other->kind() == object.kind() &&
        rows::EqualNames(other->identity, object.name()))
      return fmt::format("{}.{}", object.name(), object.generation);
  }
  return "";
}

// A name may hold any character, a topic's only some (Kafka's rule).
std::string TopicName(const std::string& name) {
  constexpr size_t kBytesMax = 200;
  std::string topic = name.substr(0, kBytesMax);
  for (char& c : topic) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && c != '-') c = '_';
  }
  return topic == "." || topic == ".." || topic.starts_with("__") ? "t" + topic : topic;
}
}  // namespace

// A topic has more partitions before its stream has.
Status CatalogChanger::GrowTopic(const catalog::Object& object) {
  const auto* stream = std::get_if<catalog::StreamDefinition>(&object.definition);
  if (stream == nullptr) return Ok();
  for (const log::TopicInfo& topic : log_.Topics()) {
    if (topic.id.value != object.topic_id || topic.config.partitions >= stream->partitions)
      continue;
    log::TopicConfig config = topic.config;
    config.partitions = stream->partitions;
    TRY(log_.AlterTopic(topic.id, config).With("topic " + Quoted(object.name())));
  }
  return Ok();
}

Status CatalogChanger::MakeTopics(std::vector<catalog::Change>& changes, Undo& undo) {
  for (catalog::Change& change : changes) {
    if (const auto* alter = std::get_if<catalog::Alter>(&change)) TRY(GrowTopic(alter->object));
    auto* create = std::get_if<catalog::Create>(&change);
    if (create == nullptr) continue;
    catalog::Object& object = create->object;
    if (object.kind() != catalog::Kind::kStream && object.kind() != catalog::Kind::kTable) continue;
    if (catalog::TableOfTopic(object) != nullptr) {  // under which its positions are kept
      object.topic_id = ContentTable(object).value;
      continue;
    }
    if (object.topic_id != 0) {  // it takes over the topic of a stream that goes
      TRY(GrowTopic(object));
      continue;
    }
    const log::TopicConfig config = TopicConfigOf(object);
    // A replaced stream or table of the same name is gone only when the change has happened; until
    // then the new topic has a name of its own.
    std::string name = TopicName(object.name());
    if (name != object.name() || log_.FindTopic(name))
      name = fmt::format("{}.{}", name, object.generation);
    TRY(const log::TopicInfo made,
        log_.CreateTopic(name, config).With("create topic " + Quoted(name)));
    undo.topics.push_back(made.id);
    object.topic_id = made.id.value;
  }
  return Ok();
}

namespace {

// True when nothing that the object reads, directly or not, has any record or row yet. `present`:
// the relations in force; one of another generation than the catalog's is about to be replaced, so
// its rows say nothing.
bool ReadsNothingYet(const catalog::Object& object, const catalog::Catalog& catalog,
                     const NodeState& state, const Relations& present) {
  std::set<std::string> seen;
  std::vector<std::string> open = object.depends_on();
  while (!open.empty()) {
    const std::string name = std::move(open.back());
    open.pop_back();
    const catalog::Object* read = catalog.FindRelation(name);
    if (read == nullptr || !seen.insert(rows::LowerName(name)).second) continue;
    const auto relation = present.Find(name);
    // Else it is about to be made: where it takes over a topic, it reads that from the start.
    const bool there = relation != nullptr && relation->object.generation == read->generation;
    const bool has_records =
        there && std::any_of(state.positions.begin(), state.positions.end(), [&](const auto& item) {
          return read->topic_id != 0 && item.first.topic.value == read->topic_id &&
                 item.second.next.value > 0;
        });
    if (has_records) return false;
    // A view may have rows without any record: constants, aggregates over nothing.
    if (there && relation->content != nullptr && relation->content->row_count() > 0) {
      return false;
    }
    const std::vector<std::string> more = read->depends_on();
    open.insert(open.end(), more.begin(), more.end());
  }
  return true;
}

// Views fail at any time: what was altered meanwhile must not be taken back.
Status CheckUnchanged(const catalog::Catalog& present, const catalog::Alter& alter) {
  const catalog::Object* object = present.Find(alter.kind(), alter.name);
  if (object == nullptr || object->revision == alter.object.revision) return Ok();
  return Error(Code::kConflict, "{} {} was changed meanwhile", catalog::KindName(alter.kind()),
               Quoted(alter.name))
      .Hint("look at it and try again")
      .SqlState("40001");
}

// What the steps have taken so far, the version before the change reads.
void EndVersion(catalog::Object& object, uint64_t generation, const NodeState& state) {
  auto* stream = std::get_if<catalog::StreamDefinition>(&object.definition);
  if (stream == nullptr || stream->earlier.empty() || !stream->earlier.back().ends.empty()) return;
  catalog::StreamVersion& version = stream->earlier.back();
  version.until = generation;
  for (int32_t i = 0; i < stream->partitions; ++i) {
    const auto position = state.positions.find({{object.topic_id}, i});
    version.ends.push_back(position == state.positions.end() ? 0 : position->second.next.value);
  }
}

// A view cannot follow one that stands still.
Status CheckReadsNoHalted(const std::vector<catalog::Change>& changes,
                          const catalog::Catalog& outline) {
  for (const catalog::Change& change : changes) {
    const auto* create = std::get_if<catalog::Create>(&change);
    if (create == nullptr || create->object.kind() != catalog::Kind::kView) continue;
    for (const std::string& read : create->object.depends_on()) {
      const catalog::Object* object = outline.FindRelation(outline.DependencyOf(read));
      if (object == nullptr || !object->halt) continue;
      return Error(Code::kConflict, "view {} reads {}, which {}", Quoted(create->object.name()),
                   Quoted(object->name()),
                   object->halt->why == catalog::Halt::Why::kFailed ? "has failed" : "is paused")
          .Hint(fmt::format("ALTER MATERIALIZED VIEW {} RESUME lets it go on", object->halt->root))
          .SqlState("55000");
    }
  }
  return Ok();
}

// What of `changes` waits until views are built: the views themselves, what stands on them, and
// what those that are replaced stand on as long as they are there. By position.
std::set<size_t> WaitingChanges(const std::vector<catalog::Change>& changes,
                                const catalog::Catalog& before, const catalog::Catalog& outline,
                                const std::set<size_t>& built) {
  std::map<std::string, size_t> numbers;  // by name key
  const auto note = [&](const catalog::Change& change, size_t number) {
    if (const auto* create = std::get_if<catalog::Create>(&change)) {
      numbers[catalog::NameKey(create->object.kind(), create->object.name())] = number;
    } else if (const auto* drop = std::get_if<catalog::Drop>(&change)) {
      numbers.emplace(catalog::NameKey(drop->kind, drop->name), number);
    }
  };
  for (size_t i = 0; i < changes.size(); ++i) note(changes[i], i);
  std::set<size_t> waiting = built;
  const auto dependents_wait = [&](const catalog::Catalog& catalog, catalog::Kind kind,
                                   const std::string& name, std::set<size_t>& out) {
    for (const catalog::Object* object : catalog.DependentObjects(kind, name)) {
      const auto found = numbers.find(catalog::NameKey(object->kind(), object->name()));
      if (found != numbers.end()) out.insert(found->second);
    }
  };
  for (size_t size = 0; size != waiting.size();) {
    size = waiting.size();
    for (const auto& [key, number] : numbers) {
      const auto* create = std::get_if<catalog::Create>(&changes[number]);
      const auto* drop = std::get_if<catalog::Drop>(&changes[number]);
      const catalog::Kind kind = create != nullptr ? create->object.kind() : drop->kind;
      const std::string& name = create != nullptr ? create->object.name() : drop->name;
      std::set<size_t> standing_on;
      if (waiting.contains(number) && create != nullptr) {
        dependents_wait(outline, kind, name, standing_on);
        waiting.insert(standing_on.begin(), standing_on.end());
      } else if (!waiting.contains(number)) {
        // It replaces or drops what a view needs that is only replaced when the build is over.
        dependents_wait(before, kind, name, standing_on);
        const bool needed = std::any_of(standing_on.begin(), standing_on.end(),
                                        [&](size_t other) { return waiting.contains(other); });
        if (needed && before.Find(kind, name) != nullptr) waiting.insert(number);
      }
    }
  }
  return waiting;
}

// The same changes, those that wait as one build.
std::vector<catalog::Change> WithBuild(const std::vector<catalog::Change>& changes,
                                       const std::set<size_t>& waiting) {
  std::vector<catalog::Change> out;
  catalog::StartBuild build;
  for (size_t i = 0; i < changes.size(); ++i) {
    const auto* create = std::get_if<catalog::Create>(&changes[i]);
    const auto* drop = std::get_if<catalog::Drop>(&changes[i]);
    if (!waiting.contains(i) || (create == nullptr && drop == nullptr)) {
      out.push_back(changes[i]);
    } else if (create != nullptr) {
      build.changes.emplace_back(*create);
    } else {
      build.changes.emplace_back(*drop);
    }
  }
  out.emplace_back(std::move(build));
  return out;
}

std::set<size_t> AllOf(const std::vector<catalog::Change>& changes) {
  std::set<size_t> all;
  for (size_t i = 0; i < changes.size(); ++i) all.insert(i);
  return all;
}

}  // namespace

// Retention must not take what a build has yet to read.
Status CatalogChanger::HoldHistory() {
  for (const auto& [partition, offset] : pipeline_.HistoryNeeded(pipeline_.state()))
    TRY(log_.SetFreeFloor(partition, offset));
  return Ok();
}

// The order, and why a crash between any two lines is harmless:
// 1. Topics are made, or get more partitions. Recovery deletes topics that no object owns; a
// partition that no stream knows of stays empty.
// 2. New relations are installed beside the old ones. Nothing of them is on disk yet.
// 3. One frame holds the catalog's record and the journal's: now the change has happened. Recovery
// repeats what follows.
// 4. What was dropped or replaced is removed, the catalog is in force, its first step runs. What is
// a build waits in the catalog: the later steps feed it, each naming its slice of history in the
// journal, so recovery goes on where it was. It ends with a change of its own.
// 5. Topics of dropped objects are deleted, once no step that reads them can be computed again;
// those of altered ones take their new settings. Recovery does it where that is left. What is
// altered keeps its internal name, and with it its state; its topic too.
Result<uint64_t> CatalogChanger::Apply(std::vector<catalog::Change> changes) {
  if (changes.empty()) return 0;
  const catalog::CatalogPtr before = pipeline_.catalog();
  // Objects that start together on empty inputs were fed the same history, so they can share
  // circuits.
  const uint64_t common_generation = NextGeneration();
  for (catalog::Change& change : changes) {
    auto* create = std::get_if<catalog::Create>(&change);
    if (create == nullptr) continue;
    create->object.generation = common_generation;
    create->object.identity = FreeIdentity(*before, create->object);
  }
  for (catalog::Change& change : changes) {
    auto* alter = std::get_if<catalog::Alter>(&change);
    if (alter == nullptr) continue;
    TRY(CheckUnchanged(*before, *alter));
    if (alter->object.halt && alter->object.halt->step == 0)
      alter->object.halt->step = pipeline_.state().step.value;
    EndVersion(alter->object, common_generation, pipeline_.state());
  }
  TRY(const catalog::CatalogPtr outline, before->Apply(changes));
  TRY(CheckReadsNoHalted(changes, *outline));
  const PublishedPtr present = pipeline_.Publishable();
  std::set<size_t> built;
  // What is built together is fed the same history, and joins at the same step.
  uint64_t build_generation = 0;
  for (size_t i = 0; i < changes.size(); ++i) {
    auto* create = std::get_if<catalog::Create>(&changes[i]);
    if (create == nullptr || !HoldsRows(create->object) || create->object.halt ||
        create->object.kind() != catalog::Kind::kView ||
        ReadsNothingYet(create->object, *outline, pipeline_.state(), *present->relations))
      continue;
    const auto& view = std::get<catalog::ViewDefinition>(create->object.definition);
    if (view.history == catalog::ViewDefinition::History::kNone) {
      create->object.generation = NextGeneration();
    } else {
      if (build_generation == 0) build_generation = NextGeneration();
      create->object.generation = build_generation;
    }
    built.insert(i);
  }
  Undo undo{log_, pipeline_, {}, {}};
  // What is flushed says how far a topic was taken in; what takes one over begins anew.
  const auto takes_over = [](const catalog::Change& change) {
    const auto* create = std::get_if<catalog::Create>(&change);
    return create != nullptr && create->object.topic_id != 0;
  };
  if (std::any_of(changes.begin(), changes.end(), takes_over)) TRY(loop_.FlushNow());
  TRY(MakeTopics(changes, undo));
  if (!built.empty()) {
    const std::set<size_t> waiting = WaitingChanges(changes, *before, *outline, built);
    std::vector<catalog::Change> parted = WithBuild(changes, waiting);
    // What cannot be parted happens as a whole when the build is over.
    changes = before->Apply(parted).ok() ? std::move(parted) : WithBuild(changes, AllOf(changes));
  }
  TRY(const catalog::CatalogPtr after, before->Apply(changes));
  TRY(InstallNew(pipeline_, after, Pipeline::Entry::kFresh, &undo.installed));
  TRY(HoldHistory());
  // From here on what happened stays: an error ends the step loop, and recovery goes on from the
  // records.
  undo.armed = false;
  TRY(loop_.CatalogStep(after->version(), catalog::EncodeChanges(after->version(), changes),
                        [&] { return SwitchCatalog(pipeline_, after); }));
  TRY(DeleteOrphans(log_, *after, [&] { return loop_.FlushNow(); }));
  TRY(AlignTopics(log_, *after));
  return built.empty() ? 0 : after->version();
}

Result<std::map<uint64_t, std::string>> CatalogChanger::HaltStopped() {
  const catalog::CatalogPtr catalog = pipeline_.catalog();
  const std::map<std::string, Pipeline::Stopped> stopped = pipeline_.stopped();
  std::map<uint64_t, std::string> given_up;
  std::vector<catalog::Change> changes;
  for (const auto& [number, build] : catalog->builds()) {
    for (const catalog::Object* object : build.created()) {
      const auto found = stopped.find(InternalName(*object));
      if (found == stopped.end() || given_up.contains(number)) continue;
      LOG_ERROR("the build of a view is given up", "view={} reason={}", object->name(),
                found->second.reason);
      given_up[number] = fmt::format("view {}: {}", Quoted(object->name()), found->second.reason);
      changes.emplace_back(catalog::ControlBuild{number, catalog::ControlBuild::What::kCancel,
                                                 found->second.reason});
    }
  }
  const std::map<std::string, std::string> names = UserNames(*catalog);
  for (const catalog::Object* object : catalog->InOrder()) {  // recovery halts in this order
    const auto found = stopped.find(InternalName(*object));
    if (object->kind() != catalog::Kind::kView || found == stopped.end()) continue;
    LOG_ERROR("a view has failed", "view={} reason={}", object->name(), found->second.reason);
    catalog::Alter alter{object->name(), *object};
    alter.object.halt =
        catalog::Halt{catalog::Halt::Why::kFailed, found->second.reason,
                      names.at(found->second.root), pipeline_.state().step.value - 1};
    changes.emplace_back(std::move(alter));
  }
  TRY(Apply(std::move(changes)));
  return given_up;
}

}  // namespace millrace::runtime
