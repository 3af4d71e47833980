#include "columnar/parquet_encoder.h"

#include "columnar/duck_call.h"
#include "columnar/types.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/copy_function_catalog_entry.hpp"
#include "duckdb/execution/execution_context.hpp"
#include "duckdb/parallel/thread_context.hpp"

namespace millrace::columnar {
namespace {

constexpr uint64_t kRowGroupBytes = uint64_t{64} << 20;  // of what DuckDB holds

class ParquetEncoder final : public Encoder {
 public:
  ParquetEncoder(std::unique_ptr<duckdb::Connection> connection, PieceFiles& files,
                 const rows::Schema& schema)
      : connection_(std::move(connection)),
        file_(files),
        cast_(*connection_->context, Format::kParquet, schema) {
    connection_->BeginTransaction();
    duckdb::ClientContext& context = *connection_->context;
    function_ = duckdb::Catalog::GetSystemCatalog(context)
                    .GetEntry<duckdb::CopyFunctionCatalogEntry>(context, DEFAULT_SCHEMA, "parquet")
                    .function;
    duckdb::CopyInfo info;
    info.format = "parquet";
    info.file_path = file_.path();
    info.options["compression"] = {duckdb::Value("zstd")};
    info.options["row_group_size_bytes"] = {duckdb::Value::UBIGINT(kRowGroupBytes)};
    duckdb::CopyFunctionBindInput input(info, function_.function_info);
    duckdb::vector<duckdb::string> names;
    for (const rows::Column& column : schema.columns) names.push_back(column.name);
    duckdb::QueryResult::DeduplicateColumns(names);
    bound_ = function_.copy_to_bind(context, input, names, cast_.types());
    thread_ = std::make_unique<duckdb::ThreadContext>(context);
    execution_ = std::make_unique<duckdb::ExecutionContext>(context, *thread_, nullptr);
    global_ = function_.copy_to_initialize_global(context, *bound_, file_.path());
    local_ = function_.copy_to_initialize_local(*execution_, *bound_);
  }

  Status Append(duckdb::DataChunk& rows) override {
    return Guarded([&]() -> Status {
      TRY(duckdb::DataChunk * cast, cast_.Cast(rows));
      function_.copy_to_sink(*execution_, *bound_, *global_, *local_, *cast);
      return Ok();
    });
  }

  Status Finish() override {
    return Guarded([&]() -> Status {
      function_.copy_to_combine(*execution_, *bound_, *global_, *local_);
      function_.copy_to_finalize(*connection_->context, *bound_, *global_);
      return Ok();
    });
  }

  std::string Take() override { return file_.Take(); }

 private:
  std::unique_ptr<duckdb::Connection> connection_;
  PieceFiles::File file_;
  FormatCast cast_;
  duckdb::CopyFunction function_{"parquet"};
  duckdb::unique_ptr<duckdb::FunctionData> bound_;
  std::unique_ptr<duckdb::ThreadContext> thread_;
  std::unique_ptr<duckdb::ExecutionContext> execution_;
  duckdb::unique_ptr<duckdb::GlobalFunctionData> global_;
  duckdb::unique_ptr<duckdb::LocalFunctionData> local_;
};

}  // namespace

std::unique_ptr<Encoder> MakeParquetEncoder(std::unique_ptr<duckdb::Connection> connection,
                                            PieceFiles& files, const rows::Schema& schema) {
  return std::make_unique<ParquetEncoder>(std::move(connection), files, schema);
}

}  // namespace millrace::columnar
