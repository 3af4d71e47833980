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

Status CatalogChanger::CreateTopics(std::vector<catalog::Change>& changes, Undo& undo) {
  for (catalog::Change& change : changes) {
    auto* create = std::get_if<catalog::Create>(&change);
    if (create == nullptr) continue;
    catalog::Object& object = create->object;
    if (object.kind() != catalog::Kind::kStream && object.kind() != catalog::Kind::kTable) continue;
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
    const bool has_records =
        std::any_of(state.positions.begin(), state.positions.end(), [&](const auto& item) {
          return read->topic_id != 0 && item.first.topic.value == read->topic_id &&
                 item.second.next.value > 0;
        });
    if (has_records) return false;
    // A view may have rows without any record: constants, aggregates over nothing.
    const auto relation = present.Find(name);
    if (relation != nullptr && relation->object.generation == read->generation &&
        relation->content != nullptr && relation->content->row_count() > 0) {
      return false;
    }
    const std::vector<std::string> more = read->depends_on();
    open.insert(open.end(), more.begin(), more.end());
  }
  return true;
}

}  // namespace

// The order, and why a crash between any two lines is harmless:
// 1. Topics are made. Recovery deletes topics that no object owns.
// 2. New relations are installed beside the old ones, views over existing rows are built from
// history.
// 3. If any were built, everything is flushed. State of a generation that no catalog record names
// is never read.
// 4. One frame holds the catalog's record and the journal's: now the change has happened. Recovery
// repeats what follows.
// 5. What was dropped or replaced is removed, the catalog is in force, its first step runs.
// 6. Topics of dropped objects are deleted, once no step that reads them can be computed again;
// those of altered ones take their new retention. Recovery does it where that is left. What is
// altered keeps its internal name, and with it its state; its topic too.
Status CatalogChanger::Apply(std::vector<catalog::Change> changes) {
  if (changes.empty()) return Ok();
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
  TRY(const catalog::CatalogPtr outline, before->Apply(changes));
  const PublishedPtr present = pipeline_.Publishable();
  for (catalog::Change& change : changes) {
    auto* create = std::get_if<catalog::Create>(&change);
    if (create != nullptr &&
        !ReadsNothingYet(create->object, *outline, pipeline_.state(), *present->relations)) {
      create->object.generation = NextGeneration();
    }
  }
  Undo undo{log_, pipeline_, {}, {}};
  TRY(CreateTopics(changes, undo));
  TRY(const catalog::CatalogPtr after, before->Apply(changes));

  bool built = false;
  const std::set<std::string> had = InternalNames(*before);
  const std::set<std::string> has = InternalNames(*after);
  for (const catalog::Object* object : after->InOrder()) {
    if (!HoldsRows(*object) || had.contains(InternalName(*object))) continue;
    const bool fresh = object->generation == common_generation;
    built = built || !fresh;
    TRY(pipeline_.Install(*object, *after,
                          fresh ? Pipeline::Entry::kFresh : Pipeline::Entry::kBackfill));
    undo.installed.push_back(*object);
  }
  if (built) TRY(loop_.FlushNow());
  // From here on what happened stays: an error ends the step loop, and recovery goes on from the
  // records.
  undo.armed = false;
  TRY(loop_.CatalogStep(after->version(), catalog::EncodeChanges(after->version(), changes),
                        [&]() -> Status {
                          const std::vector<const catalog::Object*> old_objects = before->InOrder();
                          for (auto it = old_objects.rbegin(); it != old_objects.rend(); ++it) {
                            if (!has.contains(InternalName(**it))) TRY(pipeline_.Uninstall(**it));
                          }
                          return pipeline_.SetCatalog(after);
                        }));
  TRY(DeleteOrphans(log_, *after, [&] { return loop_.FlushNow(); }));
  return AlignTopics(log_, *after);
}

}  // namespace millrace::runtime
