#include "sql/database.h"

#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "sql/database_impl.h"
#include "sql/embedded_duckdb.h"
#include "sql/model_names.h"
#include "sql/window_tables.h"

namespace millrace::sql {

Result<std::unique_ptr<Database>> Database::Open(const DatabaseOptions& options) {
  TRY(auto circuits, OpenEmbedded(Purpose::kCircuits, options));
  TRY(auto queries, OpenEmbedded(Purpose::kQueries, options));
  TRY(auto resident, ResidentFunctions::Open(*circuits.database));
  return std::make_unique<Database>(
      std::make_unique<Impl>(options.models, std::move(circuits.database), std::move(queries),
                             std::move(resident), options.result_bytes));
}

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() = default;

std::string Database::DuckDbVersion() { return duckdb::DuckDB::LibraryVersion(); }
duckdb::DuckDB& Database::duckdb() { return *impl_->circuits; }
models::ModelStore& Database::models() { return *impl_->models; }
ColumnTables* Database::column_tables() { return impl_->columns.get(); }

std::shared_ptr<const ColumnCopy> Snapshot::Copied(std::string_view) const { return nullptr; }

Result<std::unique_ptr<RelationScan>> Snapshot::ScanBeyond(std::string_view name,
                                                           const std::vector<size_t>&,
                                                           const ColumnCopy&) const {
  return Error(Code::kInternal, "relation {} has no copy", Quoted(name));
}

rows::Schema SchemaOf(const duckdb::vector<duckdb::string>& names,
                      const duckdb::vector<duckdb::LogicalType>& types) {
  rows::Schema schema;
  for (size_t i = 0; i < names.size(); ++i) {
    rows::Column column;
    column.name = names[i];
    column.type = types[i];
    column.id = static_cast<int>(i);
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

Result<duckdb::unique_ptr<duckdb::SQLStatement>> ParseSelect(const std::string& text,
                                                             SessionForm session_form) {
  duckdb::Parser parser;
  parser.ParseQuery(text);
  if (parser.statements.size() != 1) {
    return Error(Code::kInvalidArgument, "expected one SELECT, found {} statements",
                 parser.statements.size())
        .SqlState("42601");
  }
  const duckdb::StatementType type = parser.statements[0]->type;
  if (type != duckdb::StatementType::SELECT_STATEMENT) {
    return Error(Code::kNotSupported, "a query must be a SELECT, not {}",
                 duckdb::StatementTypeToString(type));
  }
  duckdb::QueryNode& query = *parser.statements[0]->Cast<duckdb::SelectStatement>().node;
  TRY(ReplaceWindowTables(query, session_form));
  NameModels(query);
  return std::move(parser.statements[0]);
}

namespace {

// Whether it is one of DuckDB's storage, rather than of what the query does.
bool MayBeOfCopies(const duckdb::ErrorData& error) {
  switch (error.Type()) {
    case duckdb::ExceptionType::IO:
    case duckdb::ExceptionType::INTERNAL:
    case duckdb::ExceptionType::FATAL:
    case duckdb::ExceptionType::CATALOG:
    case duckdb::ExceptionType::TRANSACTION:
    case duckdb::ExceptionType::SERIALIZATION:
      return true;
    default:
      return false;
  }
}

}  // namespace

Error FromCall(const duckdb::ErrorData& error, const Place& place, QueryContext& context) {
  if (std::optional<Error> scan_error = context.TakeScanError()) return *std::move(scan_error);
  if (std::optional<Error> model_error = std::exchange(context.model_error, std::nullopt))
    return AtPlaceOf(error, place, *std::move(model_error));
  context.copies_failed = context.copies_failed || (context.ReadsCopies() && MayBeOfCopies(error));
  context.met_defect = context.met_defect || IsDefect(error);
  return FromDuckDb(error, place, context.unknown_relation, context.RelationNames());
}

}  // namespace millrace::sql
