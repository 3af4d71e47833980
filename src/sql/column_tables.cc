#include "sql/column_tables.h"

#include <filesystem>

#include "base/logging.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/table_catalog_entry.hpp"
#include "duckdb/main/appender.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/database_manager.hpp"
#include "duckdb/parser/parsed_data/attach_info.hpp"
#include "duckdb/parser/parsed_data/create_table_info.hpp"
#include "duckdb/storage/storage_manager.hpp"
#include "duckdb/transaction/meta_transaction.hpp"
#include "sql/duckdb_error.h"

namespace millrace::sql {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "columns.duckdb";
// Rows that wait in memory before they go to the table.
constexpr duckdb::idx_t kGatherRows = 16 * STANDARD_VECTOR_SIZE;
constexpr duckdb::idx_t kGatherBytes = 16 << 20;
// What DuckDB may put beside it.
constexpr const char* kFileEndings[] = {"", ".wal", ".wal.checkpoint", ".wal.recovery"};

std::string PathOf(const std::string& directory) {
  return (fs::absolute(directory) / kFile).lexically_normal().string();
}

Error FromDuckDb(const duckdb::ErrorData& error) {
  return sql::FromDuckDb(error, Place::OfWhole(""), "", {});
}

}  // namespace

Status ColumnTables::Clear(const std::string& directory) {
  std::error_code error;
  for (const char* ending : kFileEndings) {
    fs::remove(PathOf(directory) + ending, error);
    if (error)
      return Error(Code::kUnavailable, "remove {}: {}", PathOf(directory) + ending,
                   error.message());
  }
  return Ok();
}

Result<std::unique_ptr<ColumnTables>> ColumnTables::Open(duckdb::DuckDB& database,
                                                         const std::string& directory,
                                                         const std::string& name) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return Error(Code::kUnavailable, "create folder {}: {}", directory, error.message());
  TRY(Clear(directory));
  auto tables = std::unique_ptr<ColumnTables>(new ColumnTables(database, directory, name));
  TRY(tables->Run("open", [&] {
    tables->writer_ = std::make_unique<duckdb::Connection>(database);
    duckdb::ClientContext& client = *tables->writer_->context;
    client.RunFunctionInTransaction([&] {
      duckdb::AttachInfo info;
      info.name = name;
      info.path = PathOf(directory);
      duckdb::AttachOptions options(duckdb::DBConfig::GetConfig(client).options);
      options.access_mode = duckdb::AccessMode::READ_WRITE;
      options.visibility = duckdb::AttachVisibility::HIDDEN;
      options.recovery_mode = duckdb::RecoveryMode::NO_WAL_WRITES;
      options.options["storage_version"] = duckdb::Value("latest");  // for all types
      duckdb::DatabaseManager::Get(client).AttachDatabase(client, info, options);
    });
  }));
  return tables;
}

ColumnTables::ColumnTables(duckdb::DuckDB& database, std::string directory, std::string name)
    : database_(database), directory_(std::move(directory)), name_(std::move(name)) {}

ColumnTables::~ColumnTables() = default;

template <typename Call>
Status ColumnTables::Run(const char* what, Call&& call) {
  return Guard(
      [&]() -> Status {
        call();
        return Ok();
      },
      [&](const duckdb::ErrorData& error) -> Status {
        return FromDuckDb(error).With(fmt::format("{} the column cache", what));
      });
}

Status ColumnTables::Execute(const std::string& statement) {
  return Run("write", [&] {
    const auto result = writer_->Query(statement);
    if (result->HasError()) result->ThrowError();
  });
}

Result<std::string> ColumnTables::Create(const rows::Types& types) {
  const std::string table = fmt::format("copy_{}", ++tables_made_);
  TRY(Run("make a table of", [&] {
    duckdb::ClientContext& client = *writer_->context;
    client.RunFunctionInTransaction([&] {
      auto info = duckdb::make_uniq<duckdb::CreateTableInfo>(name_, DEFAULT_SCHEMA, table);
      for (size_t i = 0; i < types.size(); ++i)
        info->columns.AddColumn(duckdb::ColumnDefinition(fmt::format("c{}", i), types[i]));
      info->columns.AddColumn(duckdb::ColumnDefinition(kChunkColumn, duckdb::LogicalType::BIGINT));
      duckdb::Catalog& catalog = duckdb::Catalog::GetCatalog(client, name_);
      duckdb::MetaTransaction::Get(client).ModifyDatabase(
          catalog.GetAttached(), duckdb::DatabaseModificationType::CREATE_CATALOG_ENTRY);
      catalog.CreateTable(client, std::move(info));
    });
  }));
  return table;
}

// Appends on the calling thread: an INSERT would take DuckDB's own, which nobody holds back.
class ColumnTables::Transaction final : public Append {
 public:
  Transaction(ColumnTables& tables, const rows::Types& types, int64_t chunk)
      : tables_(tables), chunk_(duckdb::Value::BIGINT(chunk)) {
    duckdb::vector<duckdb::LogicalType> all(types.begin(), types.end());
    all.push_back(duckdb::LogicalType::BIGINT);
    with_chunk_.InitializeEmpty(all);
  }
  ~Transaction() override {
    if (open_) (void)tables_.Run("roll back", [&] { Abandon(); });
  }

  Status Start(const std::string& table) {
    return tables_.Run("write", [&] {
      duckdb::Connection& writer = *tables_.writer_;
      writer.BeginTransaction();
      open_ = true;
      auto& entry = duckdb::Catalog::GetEntry<duckdb::TableCatalogEntry>(
          *writer.context, tables_.name_, DEFAULT_SCHEMA, table);
      duckdb::MetaTransaction::Get(*writer.context)
          .ModifyDatabase(entry.ParentCatalog().GetAttached(),
                          duckdb::DatabaseModificationType::INSERT_DATA);
      appender_ = std::make_unique<duckdb::InternalAppender>(*writer.context, entry, kGatherRows,
                                                             kGatherBytes);
    });
  }

  Status Add(duckdb::DataChunk& rows) override {
    return tables_.Run("write", [&] {
      const size_t columns = rows.ColumnCount();
      for (size_t i = 0; i < columns; ++i) with_chunk_.data[i].Reference(rows.data[i]);
      with_chunk_.data[columns].Reference(chunk_);
      with_chunk_.SetCardinality(rows.size());
      appender_->AppendDataChunk(with_chunk_);
    });
  }

  Status Commit() override {
    return tables_.Run("write", [&] {
      appender_->Close();
      appender_.reset();
      tables_.writer_->Commit();
      open_ = false;
    });
  }

 private:
  void Abandon() {
    if (appender_) appender_->Clear();
    appender_.reset();
    tables_.writer_->Rollback();
  }

  ColumnTables& tables_;
  const duckdb::Value chunk_;
  std::unique_ptr<duckdb::InternalAppender> appender_;
  duckdb::DataChunk with_chunk_;
  bool open_ = false;
};

Result<std::unique_ptr<ColumnTables::Append>> ColumnTables::Begin(const std::string& table,
                                                                  const rows::Types& types,
                                                                  int64_t chunk) {
  auto transaction = std::make_unique<Transaction>(*this, types, chunk);
  TRY(transaction->Start(table));
  return std::unique_ptr<Append>(std::move(transaction));
}

Status ColumnTables::Trim(const std::string& table, size_t partition_column, int32_t partition,
                          int64_t below) {
  return Execute(fmt::format("DELETE FROM {}.main.{} WHERE c{} = {} AND c{} < {}", name_, table,
                             partition_column, partition, partition_column + 1, below));
}

Status ColumnTables::Drop(const std::string& table) {
  return Execute(fmt::format("DROP TABLE {}.main.{}", name_, table));
}

Status ColumnTables::Checkpoint() { return Execute(fmt::format("CHECKPOINT {}", name_)); }

uint64_t ColumnTables::bytes() const {
  if (closed_) return 0;
  const auto attached = duckdb::DatabaseManager::Get(*database_.instance).GetDatabase(name_);
  if (!attached) return 0;
  const duckdb::DatabaseSize size = attached->GetStorageManager().GetDatabaseSize();
  return size.used_blocks * size.block_size;
}

void ColumnTables::Fail(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!failed_) failed_ = error;
}

std::optional<Error> ColumnTables::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

void ColumnTables::Close() {
  if (closed_.exchange(true)) return;
  // What cannot be detached is gone with the process; its file is not needed for that.
  if (const Status detached = Execute(fmt::format("DETACH {}", name_)); !detached.ok())
    LOG_WARNING("column cache is not closed", "error={}", detached.error().message());
  writer_.reset();
  if (const Status removed = Clear(directory_); !removed.ok())
    LOG_WARNING("file of the column cache", "error={}", removed.error().message());
}

}  // namespace millrace::sql
