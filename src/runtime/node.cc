#include "runtime/node.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <thread>

#include "base/logging.h"
#include "ingest/token.h"
#include "runtime/backup_source.h"
#include "runtime/delete_records.h"
#include "runtime/endpoint_pages.h"
#include "runtime/model_catalog.h"
#include "runtime/node_impl.h"
#include "runtime/node_metrics.h"
#include "runtime/prepared_lookup.h"
#include "runtime/recovery.h"
#include "runtime/statements.h"
#include "runtime/stream_subjects.h"
#include "runtime/subscription.h"
#include "runtime/trace.h"
#include "runtime/transaction.h"

namespace millrace::runtime {

namespace {

// Shares of the node's memory (docs/operations.md).
constexpr double kMachineShare = 0.7;
constexpr double kStateShare = 0.5;
constexpr double kContentShare = 0.2;  // of the contents of tables and views
constexpr double kQueryShare = 0.25;
constexpr double kResultShare = 0.03;            // of the rows of their answers
constexpr uint64_t kTempBytesMin = 64ull << 20;  // of the disk, whatever is free
// Of each feed (feeds.h).
constexpr double kFeedShare = 1.0 / 16;
// What one view may take, unless it says otherwise.
constexpr double kViewShare = 0.25;
constexpr size_t kViewBytesMin = 256 << 20;
// Records that producers may be ahead of the engine before they are turned away.
constexpr int64_t kLagRecordsMax = 50'000'000;

size_t MachineMemory() {
  struct sysinfo info {};
  if (sysinfo(&info) != 0) return size_t{4} << 30;
  return static_cast<size_t>(info.totalram) * info.mem_unit;
}

Result<std::unique_ptr<FileLock>> LockDirectory(Files& files, const std::string& directory) {
  const std::string path = directory + "/lock";
  auto lock = files.Lock(path);
  if (lock.ok()) {
    TRY(files.Replace(directory + "/holder", std::to_string(::getpid())));
    return lock;
  }
  if (lock.error().code() != Code::kConflict) return lock;
  const auto holder = files.ReadAll(directory + "/holder");
  return Error(Code::kConflict, "data directory {} is held by another millrace{}", directory,
               holder.ok() ? fmt::format(" (process {})", *holder) : "")
      .Hint("stop that one, or give this one a directory of its own with --data");
}

// Before anything queries.
void OpenColumnCache(Node::Impl& node, const std::string& directory) {
  sql::ColumnTables* const tables = node.database->column_tables();
  if (tables == nullptr) {
    if (node.options.column_cache_bytes > 0) return;  // which has been said
    // What an earlier process has left.
    if (const Status cleared = sql::ColumnTables::Clear(directory); !cleared.ok())
      LOG_WARNING("files of the column cache", "error={}", cleared.error().message());
    return;
  }
  node.stream_columns = std::make_unique<StreamColumns>(
      *node.log, node.publisher, [&node] { return node.loop->lag_records(); });
  column_cache::Options options;
  options.directory = directory;
  options.files = &node.files();
  options.bytes_max = node.options.column_cache_bytes;
  options.disk_reserve_bytes = node.options.disk_reserve_bytes;
  node.columns =
      std::make_unique<column_cache::ColumnCache>(*tables, *node.stream_columns, options);
}

}  // namespace

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() { Stop(); }
void Node::Stop() { impl_->Stop(); }

Result<std::unique_ptr<Node>> Node::Start(NodeOptions options) {
  if (sql::Database::DuckDbVersion() != MILLRACE_DUCKDB_VERSION) {
    return Error(Code::kInternal, "built with the headers of DuckDB {}, but the library is {}",
                 MILLRACE_DUCKDB_VERSION, sql::Database::DuckDbVersion());
  }
  if (options.workers <= 0)
    options.workers = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  if (options.memory_bytes == 0)
    options.memory_bytes =
        static_cast<size_t>(static_cast<double>(MachineMemory()) * kMachineShare);
  const auto share = [&](double part) {
    return static_cast<size_t>(static_cast<double>(options.memory_bytes) * part);
  };
  const std::string& directory = options.data_directory;
  Files& files = options.files == nullptr ? Files::System() : *options.files;

  auto impl = std::make_unique<Impl>();
  impl->options = options;
  TRY(files.CreateDirectories(directory).With("open data directory"));
  TRY(impl->lock, LockDirectory(files, directory));
  TRY(runtime::EndBackup(directory));  // of a process that was killed
  log::LogOptions log_options;
  log_options.directory = directory;
  log_options.files = &files;
  log_options.disk_reserve_bytes = options.disk_reserve_bytes;
  if (options.log_segment_bytes != 0) log_options.segment_bytes = options.log_segment_bytes;
  TRY(impl->log, log::Log::Open(log_options));
  TRY(impl->schemas, schemas::Registry::Open(*impl->log));
  state::StoreOptions store_options;
  store_options.directory = directory + "/state";
  store_options.workers = options.workers;
  store_options.memory_bytes = share(kStateShare);
  store_options.env = options.state_env;
  TRY(impl->store, state::Store::Open(store_options));
  sql::DatabaseOptions database_options;
  database_options.threads = std::max(1, options.workers);
  database_options.memory_bytes = share(kQueryShare);
  database_options.result_bytes = share(kResultShare);
  database_options.temp_directory = directory + "/tmp";
  TRY(const DiskSpace space, files.Space(directory));
  database_options.temp_bytes_max = std::max(space.free_bytes / 2, kTempBytesMin);
  database_options.allowed_files = options.allowed_files;
  database_options.closed_files = options.data_directory;
  const std::string column_directory = directory + "/column_cache";
  if (options.column_cache_bytes > 0) database_options.column_directory = column_directory;
  database_options.models = std::make_shared<models::ModelStore>(models::ModelStoreOptions{
      &files, directory + "/models", options.project_directory, options.allowed_files});
  TRY(Files::System().CreateDirectories(database_options.temp_directory));  // DuckDB's own
  TRY(impl->database, sql::Database::Open(database_options));
  TRY(impl->pipeline,
      Pipeline::Make({impl->log.get(),
                      impl->store.get(),
                      impl->database.get(),
                      &impl->publisher,
                      impl->schemas.get(),
                      options.workers,
                      {options.feed_age_max, share(kFeedShare)},
                      {options.view_step_seconds_max, std::max(share(kViewShare), kViewBytesMin)},
                      options.content_bytes != 0 ? options.content_bytes : share(kContentShare)}));

  TRY(const InternalTopics topics, OpenInternalTopics(*impl->log));
  TRY(Recover(*impl->log, *impl->store, topics, *impl->pipeline, impl->publisher));

  Impl* node = impl.get();
  impl->loop = std::make_unique<StepLoop>(StepLoopContext{
      impl->log.get(), impl->store.get(), impl->pipeline.get(), &impl->publisher, &impl->door,
      &Clock::System(), topics.journal, topics.catalog, static_cast<int64_t>(options.step_rows_max),
      [node](uint64_t build) { node->builds->Complete(build); },
      [node] { return node->HaltStopped(); }});
  impl->changer =
      std::make_unique<CatalogChanger>(*impl->log, *impl->pipeline, *impl->loop, Clock::System());
  TRY(impl->ingest,
      ingest::MakeIngest({impl->log.get(), impl->database.get(), &Clock::System(), &impl->door,
                          [node] { return node->publisher.newest()->catalog; },
                          [node] { return node->Admit(); }, impl->schemas.get()}));
  impl->system_tables = MakeSystemTables(
      {[node] { return node->Operators(); }, [node] { return node->log->Topics(); },
       [node] { return node->log->DurableCut(); },
       [node](log::PartitionId id) { return node->log->PartitionBytes(id); },
       impl->pipeline->failures(), [node] { return node->log->damage(); }});
  impl->table_writer =
      std::make_unique<TableWriter>(*impl->log, impl->publisher, *impl->database, Clock::System(),
                                    impl->door, [node] { return node->TakeSnapshot(); });
  impl->table_rows = std::make_unique<TableRows>(*impl->table_writer, Clock::System(),
                                                 [node] { return node->TakeSnapshot(); });
  impl->seeds = std::make_unique<Seeds>(files, directory + "/seeds", options.project_directory,
                                        *impl->database, *impl->table_writer);
  impl->builds =
      std::make_unique<Builds>([node](uint64_t build) { return FinishBuild(*node, build); });
  OpenColumnCache(*impl, column_directory);
  impl->system_tables.Add("millrace.column_cache",
                          ColumnCacheTable(*impl->log, impl->columns.get()));
  impl->system_tables.Add("millrace.models", ModelsTable(impl->database->models()));
  impl->system_tables.Add("millrace.schemas", SchemasTable(*impl->schemas));
  impl->schemas->Attach(StreamsOf(impl->publisher));
  impl->loop->Start();
  {
    const std::lock_guard lock(impl->definition_mutex);
    TRY(impl->loop->AtBoundary([node] {
      return DeleteOrphans(*node->log, *node->pipeline->catalog(),
                           [node] { return node->loop->FlushNow(); });
    }));
    TRY(impl->loop->AtBoundary([node] {
      return RemoveOrphanModels(node->database->models(), *node->pipeline->catalog(),
                                [node] { return node->loop->FlushNow(); });
    }));
    FollowStreams(*impl->schemas, impl->schemas->BeginHold());  // where a crash came between
    TRY(impl->FollowCatalog());
  }
  impl->view_changes = std::make_unique<ViewChanges>(
      *impl->log, impl->publisher, [node](std::string_view view, const SubscribeOptions& from) {
        return node->Subscribe(view, from);
      });
  impl->view_changes->Start();
  impl->ready = true;
  return std::make_unique<Node>(std::move(impl));
}

void Node::Impl::Stop() {
  if (stopped.exchange(true)) return;
  ready = false;
  {
    const std::lock_guard guard(sources_mutex);
    sources.clear();
  }
  if (columns != nullptr) columns->Stop();
  if (view_changes != nullptr) view_changes->BeginStop();
  if (builds != nullptr) builds->Stop();
  if (loop != nullptr) loop->Stop();
  if (view_changes != nullptr) view_changes->Stop();
  if (store != nullptr) {
    // The loop has flushed; what it reports is all there is to say.
    if (const Status health = loop->health(); !health.ok())
      LOG_ERROR("stopped after an error", "error={}", health.error().message());
  }
  pipeline.reset();
  if (log != nullptr) {
    if (Status closed = log->Close(); !closed.ok())
      LOG_ERROR("close of the log", "error={}", closed.error().message());
  }
}

Status Node::Impl::HaltStopped() {
  TRY(const auto given_up, changer->HaltStopped());
  for (const auto& [build, reason] : given_up) builds->GivenUp(build, reason);
  return Ok();
}

Status Node::Impl::AwaitVisible(const ingest::Token& token, std::chrono::milliseconds timeout) {
  log->SyncSoon(token.frame);
  std::promise<Status> visible;
  publisher.WhenVisible(token, timeout,
                        [&](Status status) { visible.set_value(std::move(status)); });
  return visible.get_future().get();
}

Status Node::Impl::Admit() const {
  TRY(loop->health());
  if (loop->lag_records() > kLagRecordsMax) {
    return Error(Code::kOverloaded, "the engine is {} records behind; the limit is {}",
                 loop->lag_records(), kLagRecordsMax)
        .Hint("send again a little later");
  }
  return Ok();
}

std::vector<OperatorFigures> Node::Impl::Operators() {
  std::vector<stream::OperatorStats> stats;
  const Status read = loop->AtBoundary([&]() -> Status {
    stats = pipeline->operator_stats();
    return Ok();
  });
  if (!read.ok()) LOG_WARNING("operator counters", "error={}", read.error().message());
  auto figures = MeasureOnDisk(*store, std::move(stats));
  if (figures.ok()) return *std::move(figures);
  LOG_WARNING("size of the operators' state", "error={}", figures.error().message());
  return {};
}

Status Node::Impl::FollowCatalog() {
  const PublishedPtr published = publisher.newest();
  TRY(auto made, Endpoints::Make(*published->catalog, *published->relations, *database));
  {
    const std::lock_guard guard(endpoints_mutex);
    endpoints = std::move(made);
  }
  TRY(ForgetModels(database->models(), *published->catalog));
  publisher.Tell(/*catalog_changed=*/true);
  const std::lock_guard guard(sources_mutex);
  std::erase_if(sources, [&](const auto& item) {
    const catalog::Object* object = published->catalog->Find(catalog::Kind::kSource, item.first);
    return object == nullptr || object->generation != item.second.first;
  });
  for (const catalog::Object* object : published->catalog->OfKind(catalog::Kind::kSource)) {
    if (sources.contains(object->name())) continue;
    const auto& source = std::get<catalog::SourceDefinition>(object->definition);
    const catalog::StreamDefinition* stream = published->catalog->FindStream(source.into);
    TRY(auto started, connectors::StartSource(source, *stream, *ingest));
    sources[object->name()] = {object->generation, std::move(started)};
  }
  return Ok();
}

bool Node::ready() const { return impl_->ready; }
Status Node::health() const { return impl_->loop->health(); }
ingest::Ingest& Node::ingest() { return *impl_->ingest; }

log::Log& Node::log() { return *impl_->log; }
schemas::Registry& Node::schemas() { return *impl_->schemas; }
Result<std::shared_ptr<const models::Model>> Node::FindModel(std::string_view name) const {
  return runtime::FindModel(impl_->database->models(), *impl_->publisher.newest()->catalog, name);
}
catalog::CatalogPtr Node::catalog() const { return impl_->publisher.newest()->catalog; }
std::vector<std::pair<std::string, rows::Schema>> Node::SystemTableColumns() const {
  std::vector<std::pair<std::string, rows::Schema>> tables;
  for (const std::string& name : impl_->system_tables.names())
    tables.emplace_back(name, impl_->system_tables.Find(name)->schema);
  return tables;
}
void Node::AddSystemTable(const std::string& name, rows::Schema schema,
                          std::function<std::vector<std::vector<duckdb::Value>>()> rows) {
  impl_->system_tables.Add(
      name, {std::move(schema), [rows = std::move(rows)](const Published&) { return rows(); }});
}
int64_t Node::visible_step() const { return impl_->publisher.newest()->state.step.value; }

Result<StatementResult> Node::Execute(std::string_view text, const StatementOptions& options) {
  return ExecuteStatement(*impl_, text, options);
}
std::shared_ptr<const sql::Snapshot> Node::PinSnapshot() const { return impl_->TakeSnapshot(); }
Result<sql::Database::Described> Node::Describe(std::string_view text,
                                                const sql::ParameterTypes& given) {
  return DescribeStatement(*impl_, text, given);
}
std::shared_ptr<const PreparedLookup> Node::RecogniseLookup(const std::string& select) {
  return PreparedLookup::Recognise(*impl_->publisher.newest(), select);
}
Result<std::optional<sql::QueryResult>> Node::AnswerLookup(
    const PreparedLookup& lookup, const std::map<std::string, duckdb::Value>& values) {
  const Publisher::Pin pin = impl_->publisher.PinNewest();
  return lookup.Answer(pin.published(), values);
}
bool Node::IsQuick(const PreparedLookup& lookup) const {
  return lookup.IsQuick(*impl_->publisher.newest());
}
std::unique_ptr<WriteTransaction> Node::BeginWrites() {
  return std::make_unique<WriteTransaction>(*impl_);
}
Result<ProjectPlan> Node::PlanProject(const std::vector<ProjectFile>& files) {
  return PlanProjectFiles(*impl_, files);
}
Result<ProjectPlan> Node::ApplyProject(const std::vector<ProjectFile>& files,
                                       const std::vector<std::string>& allow_drop) {
  return ApplyProjectFiles(*impl_, files, allow_drop);
}

std::optional<EndpointMatch> Node::MatchEndpoint(std::string_view method,
                                                 std::string_view path) const {
  const auto match = impl_->CurrentEndpoints()->Find(method, path);
  if (!match) return std::nullopt;
  return EndpointMatch{match->endpoint->object, match->path_values, match->endpoint};
}
bool Node::EndpointIsFast(const EndpointMatch& match) const {
  const auto& keyed = match.compiled->keyed;
  return keyed.has_value() && runtime::IsQuick(*keyed);
}
int64_t Node::EndpointStep(const EndpointMatch& match) const {
  return LastChangeOf(*match.compiled, *impl_->publisher.newest()).value;
}

namespace {

Result<std::map<std::string, duckdb::Value>> ValuesOf(
    const EndpointMatch& match, std::map<std::string, std::string> parameters) {
  for (const auto& [name, value] : match.path_values) parameters[name] = value;
  return ParseParameters(*match.compiled, parameters);
}

// What stands beside the rows.
void AddState(const Endpoint& endpoint, const Published& published, EndpointAnswer& answer) {
  answer.step = LastChangeOf(endpoint, published).value;
  answer.watermark = WatermarkOf(endpoint, published);
  answer.ordered = endpoint.ordered;
  answer.failed = FailureOf(endpoint, published);
}

}  // namespace

Result<EndpointAnswer> Node::AnswerEndpointPage(
    const EndpointMatch& match, const std::map<std::string, std::string>& parameters,
    const PageRequest& page, const StatementOptions& options) {
  TRY(const auto values, ValuesOf(match, parameters));
  const auto snapshot = impl_->TakeSnapshot();
  TRY(Page found, AnswerPage(*impl_->database, snapshot, match.compiled->definition(), values, page,
                             options.limits()));
  EndpointAnswer answer;
  answer.rows = std::move(found.rows);
  answer.next = std::move(found.next);
  AddState(*match.compiled, snapshot->published(), answer);
  return answer;
}

Result<EndpointAnswer> Node::AnswerEndpoint(const EndpointMatch& match,
                                            const std::map<std::string, std::string>& parameters,
                                            const StatementOptions& options) {
  if (!options.after.empty()) TRY(WaitVisible(options.after, options.timeout));
  const Endpoint& endpoint = *match.compiled;
  TRY(const auto values, ValuesOf(match, parameters));
  const auto snapshot = impl_->TakeSnapshot();
  const Published& published = snapshot->published();
  EndpointAnswer answer;
  const auto go_on = [&, deadline = Tick() + options.timeout]() -> Status {
    if (options.cancel && *options.cancel)
      return Error(Code::kCancelled, "the query was cancelled");
    if (Tick() < deadline) return Ok();
    return Error(Code::kTimeout, "the query took longer than {} ms", options.timeout.count());
  };
  std::optional<sql::QueryResult> keyed;
  if (endpoint.keyed && IsInForce(*endpoint.keyed, published)) {
    TRY(keyed, AnswerKeyed(*endpoint.keyed, values, published.state.step, go_on));
  }
  if (keyed) {
    answer.rows = *std::move(keyed);
  } else {
    TRY(answer.rows, impl_->database->Query(snapshot, endpoint.definition().select, values,
                                            options.answer_limits()));
  }
  AddState(endpoint, published, answer);
  return answer;
}

void Node::OnStep(std::function<void(bool catalog_changed)> told) {
  impl_->publisher.Listen(std::move(told));
}

Status Node::WaitVisible(std::string_view token, std::chrono::milliseconds timeout) {
  std::promise<Status> visible;
  WhenVisible(token, timeout, [&](Status status) { visible.set_value(std::move(status)); });
  return visible.get_future().get();
}

void Node::WhenVisible(std::string_view token, std::chrono::milliseconds timeout,
                       std::function<void(Status)> done) {
  const Result<ingest::Token> decoded = ingest::DecodeToken(token);
  if (!decoded.ok()) return done(decoded.error());
  impl_->log->SyncSoon(decoded->frame);
  impl_->publisher.WhenVisible(*decoded, timeout, std::move(done));
}

DecidedCounts Node::Decided(const std::vector<ingest::Placed>& placed) const {
  const PublishedPtr published = impl_->publisher.newest();
  DecidedCounts counts;
  for (const ingest::Placed& place : placed) {
    const auto relation = std::find_if(
        published->relations->by_name.begin(), published->relations->by_name.end(),
        [&](const auto& item) { return item.second->topic() == place.partition.topic; });
    if (relation == published->relations->by_name.end() || relation->second->exclusions == nullptr)
      continue;
    for (const Exclusions::Item& item : relation->second->exclusions->Read(
             place.partition.partition, place.first, place.first + place.records)) {
      if (item.reason == Reason::kDuplicate) ++counts.duplicates;
      if (item.reason == Reason::kLateKept || item.reason == Reason::kLateDiverted) ++counts.late;
    }
  }
  return counts;
}

Result<RecordTrace> Node::Trace(std::string_view stream, int32_t partition, int64_t offset,
                                const StatementOptions& options) {
  return TraceRecord(*impl_, stream, partition, {offset}, options);
}

Result<Node::BackupSource> Node::BeginBackup() {
  const std::lock_guard lock(impl_->definition_mutex);
  return runtime::BeginBackup(*impl_);
}
Status Node::EndBackup() { return runtime::EndBackup(impl_->options.data_directory); }

std::optional<log::TopicId> Node::ChangesTopicOf(const catalog::Object& view) const {
  const auto topic = impl_->log->FindTopic(ViewChanges::TopicName(view));
  return topic ? std::optional(topic->id) : std::nullopt;
}

Result<log::Appended> Node::AppendToTable(const std::string& table, std::string_view batches) {
  return impl_->table_writer->AppendBatches(table, batches);
}

Result<std::optional<TableRow>> Node::ReadRow(std::string_view table, std::string_view key) const {
  return impl_->table_rows->Read(table, key);
}

Result<RowWritten> Node::WriteRow(std::string_view table, std::string_view key,
                                  std::optional<std::string_view> row,
                                  const TableRows::Condition& condition) {
  return impl_->table_rows->Write(table, key, row, condition);
}

Result<int64_t> Node::DeleteRecords(std::string_view stream, int32_t partition,
                                    std::optional<int64_t> before,
                                    std::chrono::milliseconds timeout) {
  return runtime::DeleteRecords(*impl_, stream, partition, before, timeout);
}

std::vector<LedgerLine> Node::Ledger() const { return LedgerOf(*impl_->publisher.newest()); }
Status Node::CheckBooks() const { return runtime::CheckBooks(*impl_->publisher.newest()); }
std::string Node::Metrics() const { return NodeMetricsText(*impl_); }

}  // namespace millrace::runtime
