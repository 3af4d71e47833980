#include "cli/parquet_rows.h"

#include <filesystem>

#include "duckdb.hpp"
#include "rows/encode.h"

namespace millrace::cli {

namespace {

constexpr const char* kMemoryLimit = "512MB";

Error Wrong(const std::string& path, const duckdb::ErrorData& error) {
  return Error(Code::kInvalidArgument, "read {} as Parquet: {}", path, error.RawMessage());
}

}  // namespace

struct ParquetRows::Impl {
  std::string path;
  std::unique_ptr<duckdb::DuckDB> database;
  std::unique_ptr<duckdb::Connection> connection;
  std::unique_ptr<duckdb::QueryResult> rows;
  std::unique_ptr<rows::RowWriter> writer;
  std::vector<std::string> columns;
  uint64_t row_count = 0;

  Status Open();
  // DuckDB gives errors as results and as exceptions.
  Result<std::unique_ptr<duckdb::QueryResult>> Send(const std::string& sql);
};

Result<std::unique_ptr<duckdb::QueryResult>> ParquetRows::Impl::Send(const std::string& sql) {
  std::unique_ptr<duckdb::QueryResult> result = connection->SendQuery(sql);
  if (result->HasError()) return Wrong(path, result->GetErrorObject());
  return result;
}

Status ParquetRows::Impl::Open() {
  duckdb::DBConfig config;
  // One thread: rows in the file's order, whatever the machine.
  config.SetOptionByName("threads", duckdb::Value::BIGINT(1));
  config.SetOptionByName("memory_limit", duckdb::Value(kMemoryLimit));
  config.SetOptionByName("preserve_insertion_order", duckdb::Value::BOOLEAN(true));
  config.SetOptionByName("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
  config.SetOptionByName("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
  database = std::make_unique<duckdb::DuckDB>(nullptr, &config);
  connection = std::make_unique<duckdb::Connection>(*database);
  // A pattern would name other files.
  std::string literal = path;
  if (literal.find_first_of("*?[") != std::string::npos) {
    return Error(Code::kNotSupported, "{}: the name of a Parquet file may not hold *, ? or [",
                 path);
  }
  literal = duckdb::Value(literal).ToSQLString();
  TRY(const auto counted,
      Send(fmt::format("SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata({})", literal)));
  const auto count = counted->Fetch();
  if (counted->HasError()) return Wrong(path, counted->GetErrorObject());
  if (count != nullptr && count->size() == 1) {
    row_count = static_cast<uint64_t>(count->GetValue(0, 0).GetValue<int64_t>());
  }
  TRY(rows,
      Send(fmt::format("SELECT * FROM read_parquet({}, hive_partitioning = false)", literal)));
  columns.assign(rows->names.begin(), rows->names.end());
  writer = std::make_unique<rows::RowWriter>(columns);
  return Ok();
}

ParquetRows::ParquetRows(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ParquetRows::~ParquetRows() = default;

Result<std::unique_ptr<ParquetRows>> ParquetRows::Open(const std::string& path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) {
    return Error(Code::kNotFound, "open {}: no such file", path);
  }
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  try {
    TRY(impl->Open());
  } catch (const std::exception& error) {
    return Wrong(path, duckdb::ErrorData(error));
  }
  return std::unique_ptr<ParquetRows>(new ParquetRows(std::move(impl)));
}

const std::vector<std::string>& ParquetRows::columns() const { return impl_->columns; }
uint64_t ParquetRows::row_count() const { return impl_->row_count; }

Result<std::vector<std::string>> ParquetRows::Next() {
  std::vector<std::string> lines;
  try {
    const auto chunk = impl_->rows->Fetch();
    if (impl_->rows->HasError()) return Wrong(impl_->path, impl_->rows->GetErrorObject());
    if (chunk == nullptr) return lines;
    impl_->writer->Bind(*chunk);
    lines.resize(chunk->size());
    for (size_t i = 0; i < lines.size(); ++i) impl_->writer->JsonObject(i, lines[i]);
  } catch (const std::exception& error) {
    return Wrong(impl_->path, duckdb::ErrorData(error));
  }
  return lines;
}

}  // namespace millrace::cli
