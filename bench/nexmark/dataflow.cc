#include "nexmark/dataflow.h"

#include <variant>

#include "nexmark/queries.h"

namespace millrace::nexmark {

namespace {

using duckdb::LogicalType;

// State is flushed when this much working time has passed, as the runtime does.
constexpr double kFlushAfterSeconds = 0.7;
constexpr const char* kView = "result";

catalog::TableDefinition SideInput() {
  catalog::TableDefinition table;
  table.name = kSideInput;
  table.primary_key = {"key"};
  for (const auto& [name, type] : {std::pair<const char*, LogicalType>{"key", LogicalType::BIGINT},
                                   {"value", LogicalType::VARCHAR}}) {
    rows::Column column;
    column.name = name;
    column.type = type;
    column.id = static_cast<int>(table.schema.columns.size());
    table.schema.columns.push_back(std::move(column));
  }
  return table;
}

// Gives a batch, once, to the first worker.
class OneBatch final : public stream::SourceReader {
 public:
  explicit OneBatch(rows::Batch batch) : batch_(std::move(batch)) {}
  Result<rows::Batch> Read(int worker) override { return worker == 0 ? batch_ : rows::Batch(); }

 private:
  rows::Batch batch_;
};

}  // namespace

catalog::CatalogPtr NexmarkCatalog() {
  std::vector<catalog::Change> changes;
  const auto create = [&](catalog::Definition definition) {
    auto& create = std::get<catalog::Create>(changes.emplace_back(catalog::Create{}));
    create.object.definition = std::move(definition);
  };
  for (const Kind kind : kKinds) create(StreamOf(kind));
  create(SideInput());
  auto catalog = catalog::Catalog::Empty()->Apply(changes);
  CHECK(catalog.ok()) << catalog.error().ToString();
  return std::move(*catalog);
}

rows::Batch SideInputRows() {
  rows::BatchBuilder builder({LogicalType::BIGINT, LogicalType::VARCHAR});
  duckdb::DataChunk row;
  row.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::BIGINT, LogicalType::VARCHAR},
                 1);
  for (int64_t key = 0; key < kSideInputRows; ++key) {
    row.Reset();
    row.SetValue(0, 0, duckdb::Value::BIGINT(key));
    row.SetValue(1, 0, duckdb::Value(fmt::format("value {}", key)));
    row.SetCardinality(1);
    builder.AppendRow(row, 0, 1);
  }
  return builder.Finish();
}

Result<std::unique_ptr<Dataflow>> Dataflow::Start(const DataflowOptions& options,
                                                  sql::Database& database,
                                                  const std::string& select) {
  std::unique_ptr<Dataflow> flow(new Dataflow());
  state::StoreOptions store_options;
  store_options.directory = options.directory;
  store_options.workers = options.workers;
  store_options.memory_bytes = options.memory_bytes;
  TRY(flow->store_, state::Store::Open(store_options));
  stream::Engine::Options engine_options;
  engine_options.workers = options.workers;
  TRY(flow->engine_, stream::Engine::Start(engine_options, *flow->store_, database.duckdb()));

  const catalog::CatalogPtr catalog = NexmarkCatalog();
  for (const Kind kind : kKinds) TRY(flow->AddRelation(options, RelationName(kind), *catalog));
  TRY(flow->AddRelation(options, kSideInput, *catalog));
  catalog::ViewDefinition view;
  view.name = kView;
  view.select = select;
  view.emit_on_close = options.emit_on_close;
  TRY(sql::ViewPlan planned,
      database.PlanView(*catalog, view, sql::Origin{"", select, 0, select.size()}));
  std::get<stream::Output>(planned.plan.nodes.back().op).gathered = options.gather;
  flow->plan_ = std::move(planned.plan);
  TRY(flow->engine_->Add(flow->plan_, /*generation=*/1));
  OneBatch side_input(SideInputRows());
  TRY(flow->Step({{kSideInput, &side_input}}));
  return flow;
}

Status Dataflow::AddRelation(const DataflowOptions& options, const std::string& name,
                             const catalog::Catalog& catalog) {
  if (const auto given = options.stream_plans.find(name); given != options.stream_plans.end())
    return engine_->Add(given->second, /*generation=*/1);
  const catalog::RelationShape shape = catalog::ShapeOf(*catalog.FindRelation(name));
  const rows::Types types = shape.schema.types();
  const std::vector<std::string> names = shape.schema.names();
  const bool insert_only = catalog.FindStream(name) != nullptr;
  stream::Plan plan;
  const size_t source = plan.Add({stream::Source{name, insert_only}, {}, types, names});
  plan.Add({stream::Output{name, /*gathered=*/false}, {source}, types, names});
  return engine_->Add(plan, /*generation=*/1);
}

Result<rows::Batch> Dataflow::Step(const std::map<std::string, stream::SourceReader*>& sources,
                                   std::optional<Micros> watermark) {
  stream::StepInput input;
  input.step = {++step_.value};
  input.sources = sources;
  input.watermarks = watermarks_;
  TRY(rows::Batch change, RunStep(input));
  if (watermark) {
    for (const Kind kind : kKinds) watermarks_[RelationName(kind)] = *watermark;
  }
  if (engine_->WouldClose(watermarks_)) {
    input.sources.clear();
    input.watermarks = watermarks_;
    TRY(rows::Batch closed, RunStep(input));
    change.Append(std::move(closed));
  }
  if (store_->wants_flush() ||
      (SecondsSince(last_flush_) >= kFlushAfterSeconds && !store_->flushing())) {
    store_->BeginFlush(step_, {});
    last_flush_ = Tick();
  }
  return change;
}

Result<rows::Batch> Dataflow::RunStep(const stream::StepInput& input) {
  TRY(stream::StepResult result, engine_->Step(input));
  for (const auto& [name, failures] : result.failures) {
    if (!failures.empty())
      return Error(Code::kInvalidArgument, "a row failed: {}", failures.front().message);
  }
  const auto change = result.changes.find(kView);
  return change == result.changes.end() ? rows::Batch() : std::move(change->second);
}

Status Dataflow::Flush() {
  TRY(store_->FinishFlush());
  store_->BeginFlush(step_, {});
  return store_->FinishFlush();
}

int64_t Dataflow::rows_out() const {
  // The Output only names what its input gives: the node that was added before it.
  const size_t last = plan_.nodes.size() - 2;
  const uint64_t fingerprint = stream::Fingerprint(plan_, last, /*generation=*/1);
  for (const stream::OperatorStats& stats : engine_->stats()) {
    if (stats.fingerprint == fingerprint) return static_cast<int64_t>(stats.rows_out);
  }
  return 0;
}

Result<rows::Batch> GeneratedEvents::Read(int worker) {
  const int64_t events = range_.end - range_.begin;
  const auto bound = [&](int64_t share) { return range_.begin + events * share / workers_; };
  return generator_.Rows(kind_, {bound(worker), bound(worker + 1)});
}

}  // namespace millrace::nexmark
