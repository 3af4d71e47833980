#include "runtime/offline_plan.h"

#include <filesystem>

#include "base/overlay_files.h"
#include "base/shared_lock.h"
#include "models/model_store.h"
#include "runtime/journal.h"
#include "runtime/node_state.h"
#include "runtime/project_plan.h"
#include "runtime/recovery.h"
#include "runtime/relation.h"
#include "runtime/tables.h"

namespace millrace::runtime {

namespace {

constexpr size_t kStateMemoryBytes = 64 << 20;

// What a data directory holds, opened for looking. Members in the order in which they depend on
// each other.
struct StillDirectory {
  std::unique_ptr<FileLock> lock;
  OverlayFiles files{Files::System()};
  std::unique_ptr<log::Log> log;
  std::unique_ptr<state::Store> store;  // null: nothing was flushed yet
  catalog::CatalogPtr catalog;
  NodeState state;

  Result<RelationSize> SizeOf(const catalog::Object& object) const;
  // Steps that the journal has and the state has not.
  int64_t StepsBehind() const;
};

Result<RelationSize> StillDirectory::SizeOf(const catalog::Object& object) const {
  RelationSize size;
  if (object.kind() == catalog::Kind::kStream) {
    const auto books = state.books.find(InternalName(object));
    if (books != state.books.end()) size.rows = books->second.rows;
    size.bytes = StreamBytes(*log, {object.topic_id});
    return size;
  }
  if (store == nullptr) return size;
  const state::TableId table = ContentTable(object);
  TRY(const auto meta, state::ContentDisk(store->disk(), table).ReadMeta());
  if (meta) {
    size.rows = meta->rows;
    TRY(const size_t bytes, store->DiskBytes(table));
    size.bytes = static_cast<int64_t>(bytes);
    return size;
  }
  state::ViewTable content(*store, table, catalog::ShapeOf(object).schema.types());
  TRY(content.Load(*store).With("count the rows of " + Quoted(object.name())));
  size.rows = static_cast<int64_t>(content.row_count());
  size.bytes = static_cast<int64_t>(content.memory_bytes());
  return size;
}

int64_t StillDirectory::StepsBehind() const {
  const auto journal = log->FindTopic(kJournalTopic);
  if (!journal) return 0;
  const auto cut = log->DurableCut();
  const log::Cut::End* end = cut->Find({journal->id, 0});
  return end == nullptr ? 0 : end->end.value - state.step.value;
}

Result<std::unique_ptr<FileLock>> LockForLooking(const std::string& directory) {
  auto lock = LockShared(directory + "/lock");
  if (lock.ok() || lock.error().code() != Code::kNotFound) return lock;
  return std::unique_ptr<FileLock>();  // no node was ever here, or it was copied without
}

Result<std::unique_ptr<StillDirectory>> Open(const std::string& directory) {
  auto still = std::make_unique<StillDirectory>();
  TRY(still->lock, LockForLooking(directory));
  still->catalog = catalog::Catalog::Empty();
  TRY(const bool has_log, Files::System().Exists(directory + "/wal/frames"));
  if (!has_log) return still;
  log::LogOptions options;
  options.files = &still->files;
  options.directory = directory;
  options.manual = true;
  TRY(still->log, log::Log::Open(options));
  TRY(still->catalog, ReadCatalog(*still->log));
  TRY(const bool has_state, Files::System().Exists(directory + "/state/CURRENT"));
  if (!has_state) return still;
  state::StoreOptions store_options;
  store_options.directory = directory + "/state";
  store_options.memory_bytes = kStateMemoryBytes;
  store_options.read_only = true;
  TRY(still->store, state::Store::Open(store_options));
  TRY(const auto saved, still->store->Get(kNodeStateTable, kNodeStateKey));
  if (saved) {
    TRY(still->state, DecodeNodeState(*saved));
  }
  return still;
}

}  // namespace

Result<ProjectPlan> PlanOffline(const NodeOptions& options, const std::vector<ProjectFile>& files) {
  auto opened = Open(options.data_directory);
  TRY(const auto still, std::move(opened).With("look into " + options.data_directory));
  sql::DatabaseOptions database_options;
  database_options.temp_directory =
      (std::filesystem::temp_directory_path() / "millrace-plan").string();
  database_options.allowed_files = options.allowed_files;
  database_options.models = std::make_shared<models::ModelStore>(
      models::ModelStoreOptions{nullptr, options.data_directory + "/models",
                                options.project_directory, options.allowed_files});
  TRY(const auto database, sql::Database::Open(database_options));
  const auto size_of = [&](const catalog::Object& object) { return still->SizeOf(object); };
  TRY(PlannedProject planned, PlanProject(*database, *still->catalog, size_of, files));
  if (still->log != nullptr && still->StepsBehind() > 0) {
    planned.plan.notices.push_back(
        fmt::format("rows are counted as of step {}; the next start counts {} later steps",
                    still->state.step.value, still->StepsBehind()));
  }
  return std::move(planned.plan);
}

}  // namespace millrace::runtime
