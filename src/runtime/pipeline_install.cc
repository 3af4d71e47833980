// How objects of the catalog come into the pipeline and leave it: relations, circuits, backfill.
#include <algorithm>
#include <atomic>

#include "base/coding.h"
#include "base/logging.h"
#include "runtime/pipeline.h"
#include "runtime/stream_history.h"

namespace millrace::runtime {

namespace {

// Rows that a step of the backfill takes.
constexpr size_t kBackfillChunks = 64;

class StreamHistoryReader final : public stream::SourceReader {
 public:
  StreamHistoryReader(const log::Log& log, const std::shared_ptr<const Relation>& relation,
                      const NodeState& until, int workers) {
    std::vector<size_t> columns(relation->shape.schema.columns.size());
    for (size_t i = 0; i < columns.size(); ++i) columns[i] = i;
    for (int i = 0; i < workers; ++i) {
      shares_.push_back(
          {std::make_unique<StreamHistory>(log, relation, columns, until, i, workers), false});
    }
  }
  Result<rows::Batch> Read(int worker) override {
    reads_.fetch_add(1, std::memory_order_relaxed);
    Share& share = shares_[static_cast<size_t>(worker)];
    rows::Batch out;
    while (!share.ended && out.parts.size() < kBackfillChunks) {
      TRY(auto chunk, share.history->Next());
      if (chunk == nullptr) {
        share.ended = true;
      } else {
        out.parts.push_back({std::move(chunk), {}});
      }
    }
    return out;
  }
  uint64_t reads() const { return reads_.load(std::memory_order_relaxed); }
  // REQUIRES: ended().
  std::vector<std::string> lost() const {
    std::vector<std::string> out;
    for (const Share& share : shares_)
      out.insert(out.end(), share.history->lost().begin(), share.history->lost().end());
    return out;
  }
  bool ended() const {
    return std::all_of(shares_.begin(), shares_.end(),
                       [](const Share& share) { return share.ended; });
  }

 private:
  struct Share {
    std::unique_ptr<StreamHistory> history;
    bool ended;
  };
  std::vector<Share> shares_;
  std::atomic<uint64_t> reads_{0};
};

class ContentReader final : public stream::SourceReader {
 public:
  ContentReader(const state::ViewTable& content, state::Step step)
      : content_(content), step_(step) {}
  Result<rows::Batch> Read(int worker) override {
    reads_.fetch_add(1, std::memory_order_relaxed);
    rows::Batch out;
    if (worker != 0) return out;
    rows::RowDecoder decoder(content_.types());
    while (position_ != state::ViewTable::kEnd && out.parts.size() < kBackfillChunks) {
      std::vector<std::string_view>
          encoded;  // stays where it is: nothing is applied while a step reads
      position_ = content_.Scan(step_, position_, STANDARD_VECTOR_SIZE,
                                [&](std::string_view row, rows::Weight weight) {
                                  // As often as it stands: operators take an insert-only input as
                                  // rows of weight 1.
                                  encoded.insert(encoded.end(), static_cast<size_t>(weight), row);
                                });
      for (size_t begin = 0; begin < encoded.size(); begin += STANDARD_VECTOR_SIZE) {
        const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, encoded.size() - begin);
        auto chunk = std::make_shared<duckdb::DataChunk>();
        chunk->Initialize(duckdb::Allocator::DefaultAllocator(), content_.types());
        TRY(decoder.Decode(std::span(encoded).subspan(begin, count), *chunk, 0));
        chunk->SetCardinality(count);
        out.parts.push_back({std::move(chunk), {}});
      }
    }
    return out;
  }
  uint64_t reads() const { return reads_.load(std::memory_order_relaxed); }
  bool ended() const { return position_ == state::ViewTable::kEnd; }

 private:
  const state::ViewTable& content_;
  const state::Step step_;
  size_t position_ = 0;
  std::atomic<uint64_t> reads_{0};
};

}  // namespace

Status Pipeline::Install(const catalog::Object& object, const catalog::Catalog& catalog,
                         Entry entry) {
  if (!HoldsRows(object)) return Ok();
  auto relation = std::make_shared<Relation>();
  relation->object = object;
  relation->shape = catalog::ShapeOf(object);
  relation->internal_name = InternalName(object);
  switch (object.kind()) {
    case catalog::Kind::kStream:
      return InstallStream(relation, catalog, entry);
    case catalog::Kind::kTable:
      return InstallTable(relation, entry);
    default:
      return InstallView(relation, catalog, entry);
  }
}

Status Pipeline::InstallStream(const std::shared_ptr<Relation>& relation,
                               const catalog::Catalog& catalog, Entry entry) {
  relation->exclusions = std::make_shared<Exclusions>(relation->topic(), relation->partitions());
  if (entry == Entry::kRestart) TRY(relation->exclusions->Load(*context_.store));
  TRY(auto source, StreamSource::Make(relation, catalog, context_.workers, *context_.database));
  TRY(engine_->Add(StreamPlan(*relation), relation->object.generation, /*from_history=*/false));
  relations_[relation->internal_name] = relation;
  stream_sources_[relation->internal_name] = std::move(source);
  for (int32_t i = 0; i < relation->partitions(); ++i) AddReader({relation->topic(), i});
  return Ok();
}

Status Pipeline::InstallTable(const std::shared_ptr<Relation>& relation, Entry entry) {
  relation->content = std::make_shared<state::ViewTable>(ContentTable(relation->object),
                                                         relation->shape.schema.types());
  if (entry == Entry::kRestart) TRY(relation->content->Load(*context_.store));
  std::vector<size_t> key;
  for (const std::string& column : relation->table()->primary_key)
    key.push_back(*relation->shape.schema.Find(column));
  if (!key.empty()) relation->content->AddIndex(std::move(key));
  TRY(engine_->Add(TablePlan(*relation), relation->object.generation, /*from_history=*/false));
  relations_[relation->internal_name] = relation;
  table_sources_[relation->internal_name] = std::make_unique<TableSource>(relation);
  AddReader({relation->topic(), 0});
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

Status Pipeline::InstallView(const std::shared_ptr<Relation>& relation,
                             const catalog::Catalog& catalog, Entry entry) {
  const catalog::ViewDefinition& view = *relation->view();
  const sql::Origin origin{relation->object.file, view.select, 0, view.select.size()};
  TRY(sql::ViewPlan planned, context_.database->PlanView(catalog, view, origin));
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
  relation->content = std::make_shared<state::ViewTable>(ContentTable(relation->object),
                                                         relation->shape.schema.types());
  if (entry == Entry::kRestart) TRY(relation->content->Load(*context_.store));
  if (!planned.key.empty()) relation->content->AddIndex(planned.key);
  TRY(engine_->Add(planned.plan, relation->object.generation, entry == Entry::kBackfill));
  relations_[relation->internal_name] = relation;
  if (entry != Entry::kBackfill) return Ok();
  std::sort(reads.begin(), reads.end());
  reads.erase(std::unique(reads.begin(), reads.end()), reads.end());
  TRY(Backfill(*relation, reads).With("build view " + Quoted(view.name)));
  engine_->Join(relation->object.generation);
  return Ok();
}

// Feeds the view one input after the other; the engine's laws make the sum right in any order.
Status Pipeline::Backfill(const Relation& view, const std::vector<std::string>& reads) {
  const auto start = Tick();
  stream::StepInput input;
  input.step = {state_.step.value + 1};
  input.clock = state_.clock;
  const auto step = [&]() -> Status {
    TRY(const stream::StepResult result, engine_->Step(input));
    TRY(ApplyChanges(input.step, result));
    CountReads(result);
    return ApplyFailures(input.step, result);
  };
  // Steps until the reader is through. A reader that nobody asks would never be.
  const auto feed = [&](const std::string& name, auto& reader) -> Status {
    input.history = {{name, &reader}};
    while (!reader.ended()) {
      const uint64_t before = reader.reads();
      TRY(step());
      if (reader.reads() == before)
        return Error(Code::kInternal, "no operator reads the history of {}", Quoted(name));
    }
    return Ok();
  };
  TRY(step());  // what stands without any input: constants, aggregates over nothing
  for (const std::string& name : reads) {
    const std::shared_ptr<const Relation> read = relations_.at(name);
    if (read->stream() != nullptr) {
      StreamHistoryReader reader(*context_.log, read, state_, context_.workers);
      TRY(feed(name, reader));
      for (const std::string& lost : reader.lost())
        LOG_ERROR("view built without lost records", "view={} {}", view.object.name(), lost);
    } else {
      ContentReader reader(*read->content, input.step);
      TRY(feed(name, reader));
    }
  }
  // All that came so far is in: what the watermarks close goes now, and only of this view.
  input.history.clear();
  input.watermarks = state_.watermarks;
  input.closes_only = view.object.generation;
  TRY(step());
  LOG_INFO("view built from history", "view={} rows={} seconds={:.3f}", view.object.name(),
           view.content->row_count(), SecondsSince(start));
  return Ok();
}

Status Pipeline::Uninstall(const catalog::Object& object) {
  if (!HoldsRows(object)) return Ok();
  const std::string name = InternalName(object);
  const auto it = relations_.find(name);
  CHECK(it != relations_.end()) << "uninstall of " << name;
  TRY(engine_->Remove(name));
  const std::shared_ptr<const Relation> relation = it->second;
  if (relation->content != nullptr) context_.store->Drop(relation->content->id());
  stream_sources_.erase(name);
  table_sources_.erase(name);
  state_.watermarks.erase(name);
  state_.books.erase(name);
  std::erase_if(state_.reads, [&](const auto& item) {
    return item.first.first == name || item.first.second == name;
  });
  std::erase_if(state_.door, [&](const auto& item) {
    return rows::EqualNames(item.first.first, object.kept_as());
  });
  if (relation->object.topic_id != 0) {
    for (int32_t i = 0; i < relation->partitions(); ++i) {
      readers_.erase({relation->topic(), i});
      state_.positions.erase({relation->topic(), i});
    }
  }
  relations_.erase(it);
  return Ok();
}

// An altered object keeps its content and its circuit; what judges records is made anew.
Status Pipeline::Adopt(const catalog::Object& object, const catalog::Catalog& catalog) {
  std::shared_ptr<const Relation>& present = relations_.at(InternalName(object));
  if (present->object.revision == object.revision) return Ok();
  auto relation = std::make_shared<Relation>(*present);
  relation->object = object;
  const std::string& name = relation->internal_name;
  if (relation->stream() != nullptr) {
    TRY(stream_sources_[name],
        StreamSource::Make(relation, catalog, context_.workers, *context_.database));
  } else if (relation->table() != nullptr) {
    table_sources_[name] = std::make_unique<TableSource>(relation);
  }
  present = std::move(relation);
  return Ok();
}

Status Pipeline::SetCatalog(catalog::CatalogPtr catalog) {
  auto visible = std::make_shared<Relations>();
  for (const catalog::Object* object : catalog->InOrder()) {
    if (!HoldsRows(*object)) continue;
    TRY(Adopt(*object, *catalog));
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
    relation->content->AddIndex(std::move(columns));
  }
  catalog_ = std::move(catalog);
  visible_relations_ = std::move(visible);
  return Ok();
}

}  // namespace millrace::runtime
