// How objects of the catalog come into the pipeline and leave it: relations and circuits.
#include <algorithm>

#include "base/coding.h"
#include "catalog/stream_versions.h"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "runtime/pipeline.h"

namespace millrace::runtime {

Status Pipeline::Install(const catalog::Object& object, const catalog::Catalog& catalog,
                         Entry entry, uint64_t build) {
  if (!HoldsRows(object)) return Ok();
  auto relation = std::make_shared<Relation>();
  relation->object = object;
  relation->shape = catalog::ShapeOf(object);
  relation->internal_name = InternalName(object);
  relation->registry = context_.registry;
  if (build != 0) building_[relation->internal_name] = build;
  switch (object.kind()) {
    case catalog::Kind::kStream:
      return InstallStream(relation, catalog, entry);
    case catalog::Kind::kTable:
      return InstallTable(relation, catalog, entry);
    default:
      return InstallView(relation, catalog, entry, build);
  }
}

Status Pipeline::InstallStream(const std::shared_ptr<Relation>& relation,
                               const catalog::Catalog& catalog, Entry entry) {
  relation->exclusions = std::make_shared<Exclusions>(relation->topic(), relation->partitions());
  relation->heat = std::make_shared<Heat>();
  if (entry == Entry::kRestart) TRY(relation->exclusions->Load(*context_.store));
  TRY(auto source, StreamSource::Make(relation, catalog, context_.workers, *context_.database));
  TRY(engine_->Add(StreamPlan(*relation), relation->object.generation));
  relations_[relation->internal_name] = relation;
  stream_sources_[relation->internal_name] = std::move(source);
  if (OtherOf(*relation) != nullptr) return Ok();  // until that one goes
  for (int32_t i = 0; i < relation->partitions(); ++i) AddReader(*relation, i);
  return Ok();
}

// Small contents are in memory from the start.
constexpr size_t kRowsAtStart = 20'000;

Status Pipeline::MakeContent(Relation& relation, std::vector<size_t> key, Entry entry) {
  relation.content = std::make_shared<state::ViewTable>(
      *context_.store, ContentTable(relation.object), relation.shape.schema.types(), std::move(key),
      /*key_is_unique=*/true);
  if (entry != Entry::kRestart) return Ok();
  TRY(relation.content->Load(*context_.store));
  if (HasRoom()) WarmOne(relation, kRowsAtStart);
  return Ok();
}

const Relation* Pipeline::OtherOf(const Relation& relation) const {
  for (const auto& [name, other] : relations_) {
    if (other->topic() == relation.topic() && other->internal_name != relation.internal_name &&
        relation.object.topic_id != 0)
      return other.get();
  }
  return nullptr;
}

// A topic goes with its stream, unless another one takes it over: that reads it from its first
// record. Where the one that was to take it over goes instead, all stays as it was.
void Pipeline::LeaveTopic(const Relation& relation) {
  const Relation* other = OtherOf(relation);
  if (other != nullptr && other->object.generation < relation.object.generation) return;
  const auto cut = context_.log->DurableCut();
  for (int32_t i = 0; i < relation.partitions(); ++i) {
    const log::PartitionId partition{relation.topic(), i};
    readers_.erase(partition);
    state_.positions.erase(partition);
    const log::Cut::End* available = cut->Find(partition);
    if (other != nullptr && available != nullptr)
      state_.positions[partition].next = available->start;
  }
  if (other == nullptr) return;
  for (int32_t i = 0; i < other->partitions(); ++i) AddReader(*other, i);
}

// What came through the door of a stream stays with its topic.
void Pipeline::LeaveDoor(const Relation& relation) {
  const Relation* other = OtherOf(relation);
  const std::string name = relation.object.kept_as();
  if (other != nullptr && rows::EqualNames(other->object.kept_as(), name)) return;
  const bool taken = other != nullptr && other->object.generation > relation.object.generation;
  for (auto it = state_.door.begin(); it != state_.door.end();) {
    const auto edge = it++;
    if (!rows::EqualNames(edge->first.first, name)) continue;
    if (taken) state_.door[{other->object.kept_as(), edge->first.second}] += edge->second;
    state_.door.erase(edge);
  }
}

// A table of a topic reads that from its first record, at a place of its own: the stream that has
// the topic, and other tables of it, do not notice.
Status Pipeline::InstallTable(const std::shared_ptr<Relation>& relation,
                              const catalog::Catalog& catalog, Entry entry) {
  if (const catalog::TableDefinition* table = catalog::TableOfTopic(relation->object)) {
    const catalog::Object* stream = catalog.Find(catalog::Kind::kStream, table->topic);
    if (stream == nullptr)
      return Error(Code::kInternal, "stream {}, whose topic table {} stands on, is gone",
                   Quoted(table->topic), Quoted(table->name));
    relation->fed_by = {stream->topic_id};
    relation->fed_partitions = std::get<catalog::StreamDefinition>(stream->definition).partitions;
    relation->exclusions = std::make_shared<Exclusions>(relation->topic(), relation->partitions());
    if (entry == Entry::kRestart) TRY(relation->exclusions->Load(*context_.store));
  }
  std::vector<size_t> key;
  for (const std::string& column : relation->table()->primary_key)
    key.push_back(*relation->shape.schema.Find(column));
  TRY(MakeContent(*relation, std::move(key), entry));
  TRY(engine_->Add(TablePlan(*relation), relation->object.generation));
  relations_[relation->internal_name] = relation;
  TRY(table_sources_[relation->internal_name],
      TableSource::Make(relation, catalog, *context_.database));
  const auto cut = context_.log->DurableCut();
  for (int32_t i = 0; i < relation->partitions(); ++i) {
    // The topic's first records may be gone.
    const log::Cut::End* available = cut->Find({relation->log_topic(), i});
    if (relation->fed_by.value != 0 && available != nullptr) {
      log::Offset& next = state_.positions[{relation->topic(), i}].next;
      next = std::max(next, available->start);
    }
    AddReader(*relation, i);
  }
  return Ok();
}

// Streams go by their internal names inside the engine.
static Status UseInternalNames(const catalog::Catalog& catalog, stream::TimeBound& bound) {
  for (stream::TimeBound::Term& term : bound.terms) {
    const catalog::Object* object = catalog.FindRelation(term.stream);
    if (object == nullptr)
      return Error(Code::kInternal, "stream {}, whose watermark bounds a view, is gone",
                   Quoted(term.stream));
    term.stream = InternalName(*object);
  }
  return Ok();
}

// Rows of a stream whose columns were altered stand otherwise in the engine than its readers see
// them: picks theirs. A reader of the first version sees them as they stand.
static stream::Plan OnEngineRows(stream::Plan plan, const catalog::Catalog& bound_to) {
  stream::Plan out;
  std::vector<size_t> numbers;
  for (stream::Node& node : plan.nodes) {
    for (size_t& input : node.inputs) input = numbers[input];
    const auto* read = std::get_if<stream::Relation>(&node.op);
    const auto* stream = read == nullptr ? nullptr : bound_to.FindStream(read->name);
    if (stream == nullptr || catalog::EngineLayout(*stream).plain()) {
      numbers.push_back(out.Add(std::move(node)));
      continue;
    }
    const catalog::EngineLayout layout(*stream);
    const rows::Schema schema = layout.schema();
    stream::Project pick;
    for (const size_t position : layout.PositionsOf(stream->schema)) {
      const rows::Column& column = schema.columns[position];
      pick.expressions.push_back(
          std::make_shared<duckdb::BoundReferenceExpression>(column.name, column.type, position));
    }
    const size_t relation = out.Add({node.op, {}, schema.types(), schema.names()});
    numbers.push_back(out.Add({std::move(pick), {relation}, node.types, node.names}));
  }
  return out;
}

Status Pipeline::InstallView(const std::shared_ptr<Relation>& relation,
                             const catalog::Catalog& catalog, Entry entry, uint64_t build) {
  const catalog::ViewDefinition& view = *relation->view();
  const sql::Origin origin{relation->object.file, view.select, 0, view.select.size()};
  const std::optional<catalog::Catalog> as_bound =
      catalog.AsOf(relation->object.bound_generation());
  const catalog::Catalog& bound_to = as_bound ? *as_bound : catalog;
  TRY(sql::ViewPlan planned, context_.database->PlanView(bound_to, view, origin));
  planned.plan = OnEngineRows(std::move(planned.plan), bound_to);
  // Inside the engine, relations go by their internal names.
  std::vector<std::string> reads;
  for (stream::Node& node : planned.plan.nodes) {
    if (auto* read = std::get_if<stream::Relation>(&node.op)) {
      const catalog::Object* object = catalog.FindRelation(read->name);
      if (object == nullptr)
        return Error(Code::kInternal, "view {} reads {}, which is gone", Quoted(view.name),
                     Quoted(read->name));
      read->name = InternalName(*object);
      reads.push_back(read->name);
    } else if (auto* output = std::get_if<stream::Output>(&node.op)) {
      output->name = relation->internal_name;
    }
    if (node.closing) TRY(UseInternalNames(catalog, node.closing->bound));
    if (auto* drop = std::get_if<stream::DropClosed>(&node.op))
      TRY(UseInternalNames(catalog, drop->bound));
  }
  TRY(MakeContent(*relation, planned.key, entry));
  relation->reads = reads;
  if (relation->object.halt) {
    relations_[relation->internal_name] = relation;
    return Ok();
  }
  if (view.history == catalog::ViewDefinition::History::kNone) build = 0;
  stream::Sharing sharing;
  sharing.whole = view.history == catalog::ViewDefinition::History::kFull;
  if (const auto shared = state_.shared.find(relation->internal_name);
      shared != state_.shared.end())
    sharing.generations = shared->second;
  TRY(engine_->Add(planned.plan, relation->object.generation, build, LimitsOf(view), sharing));
  relations_[relation->internal_name] = relation;
  return beginning_.contains(build) ? AddHistory(*relation, build, reads) : Ok();
}

Status Pipeline::Uninstall(const catalog::Object& object) {
  if (!HoldsRows(object)) return Ok();
  const std::string name = InternalName(object);
  const auto it = relations_.find(name);
  CHECK(it != relations_.end()) << "uninstall of " << name;
  const std::shared_ptr<const Relation> relation = it->second;
  if (!relation->object.halt) TRY(engine_->Remove(name));
  if (relation->content != nullptr) {
    relation->content->Retire();
    context_.store->Drop(relation->content->id());
    warm_.erase(relation->content->id());
  }
  feeds_->Drop(name);
  stream_sources_.erase(name);
  table_sources_.erase(name);
  state_.watermarks.erase(name);
  state_.books.erase(name);
  state_.shared.erase(name);
  std::erase_if(state_.reads, [&](const auto& item) {
    return item.first.first == name || item.first.second == name;
  });
  LeaveDoor(*relation);
  if (relation->object.topic_id != 0) LeaveTopic(*relation);
  building_.erase(name);
  relations_.erase(it);
  return Ok();
}

// A view that is halted from now on loses its circuit and keeps its content. Dependents first.
Status Pipeline::RemoveHalted(const catalog::Catalog& catalog) {
  const std::vector<const catalog::Object*> objects = catalog.InOrder();
  for (auto it = objects.rbegin(); it != objects.rend(); ++it) {
    if (!(*it)->halt || !HoldsRows(**it)) continue;
    const std::string name = InternalName(**it);
    if (relations_.at(name)->object.halt) continue;
    TRY(engine_->Remove(name));
    state_.shared.erase(name);
  }
  return Ok();
}

// An altered object keeps its content and its circuit; what judges records is made anew.
Status Pipeline::Adopt(const catalog::Object& object, const catalog::Catalog& catalog) {
  std::shared_ptr<const Relation>& present = relations_.at(InternalName(object));
  if (present->object.revision == object.revision) return Ok();
  auto relation = std::make_shared<Relation>(*present);
  relation->object = object;
  relation->shape = catalog::ShapeOf(object);
  const std::string& name = relation->internal_name;
  if (relation->stream() != nullptr) {
    if (relation->stream()->earlier.size() != present->stream()->earlier.size())
      TRY(engine_->Widen(StreamPlan(*relation)));
    relation->exclusions->Grow(relation->partitions());
    for (int32_t i = present->partitions(); i < relation->partitions(); ++i)
      AddReader(*relation, i);
    TRY(stream_sources_[name],
        StreamSource::Make(relation, catalog, context_.workers, *context_.database));
  } else if (relation->table() != nullptr) {
    TRY(table_sources_[name], TableSource::Make(relation, catalog, *context_.database));
  }
  present = std::move(relation);
  return Ok();
}

Status Pipeline::GrowTablesOfTopics(const catalog::Catalog& catalog) {
  for (auto& [name, present] : relations_) {
    const catalog::TableDefinition* table = catalog::TableOfTopic(present->object);
    const catalog::StreamDefinition* stream =
        table == nullptr ? nullptr : catalog.FindStream(table->topic);
    if (stream == nullptr || stream->partitions <= present->partitions()) continue;
    auto grown = std::make_shared<Relation>(*present);
    grown->fed_partitions = stream->partitions;
    grown->exclusions->Grow(grown->partitions());
    for (int32_t i = present->partitions(); i < grown->partitions(); ++i) AddReader(*grown, i);
    TRY(table_sources_[name], TableSource::Make(grown, catalog, *context_.database));
    present = std::move(grown);
  }
  return Ok();
}

Status Pipeline::SetCatalog(catalog::CatalogPtr catalog) {
  TRY(RemoveHalted(*catalog));
  auto visible = std::make_shared<Relations>();
  for (const catalog::Object* object : catalog->InOrder()) {
    if (HoldsRows(*object)) TRY(Adopt(*object, *catalog));
  }
  TRY(GrowTablesOfTopics(*catalog));
  for (const catalog::Object* object : catalog->InOrder()) {
    if (!HoldsRows(*object)) continue;
    visible->by_name[rows::LowerName(object->name())] = relations_.at(InternalName(*object));
  }
  for (const catalog::Object* object : catalog->OfKind(catalog::Kind::kIndex)) {
    const auto& index = std::get<catalog::IndexDefinition>(object->definition);
    const std::shared_ptr<const Relation> relation = visible->Find(index.relation);
    if (relation == nullptr || relation->content == nullptr) {
      return Error(Code::kInternal, "index {} is on {}, which has no content", Quoted(index.name),
                   Quoted(index.relation));
    }
    std::vector<size_t> columns;
    for (const std::string& column : index.columns)
      columns.push_back(*relation->shape.schema.Find(column));
    TRY(relation->content->AddIndex(std::move(columns)));
  }
  // What a build has made belongs to the catalog now, or is gone.
  const auto over = [&](uint64_t build) { return !catalog->builds().contains(build); };
  std::erase_if(state_.builds, [&](const auto& item) { return over(item.first); });
  std::erase_if(building_, [&](const auto& item) { return over(item.second); });
  std::erase_if(joined_, over);
  // Those that have failed are halted now, or gone with their build.
  stopped_.clear();
  beginning_.clear();
  catalog_ = std::move(catalog);
  visible_relations_ = std::move(visible);
  may_share_ = true;
  return Ok();
}

}  // namespace millrace::runtime
