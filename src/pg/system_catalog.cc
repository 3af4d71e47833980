#include "pg/system_catalog.h"

#include <algorithm>

#include "base/logging.h"
#include "duckdb.hpp"
#include "duckdb/main/appender.hpp"
#include "duckdb/main/prepared_statement_data.hpp"
#include "pg/catalog_rewrite.h"
#include "pg/catalog_rows.h"
#include "pg/catalog_sql.h"
#include "pg/time_zone_rules.h"
#include "sql/time_zone.h"
#include "stream/watchdog.h"

namespace millrace::pg {

namespace {

constexpr size_t kUnansweredMax = 1'000;
constexpr size_t kQueryBytesKept = 4'000;
constexpr int64_t kMemoryBytes = 512 << 20;
constexpr size_t kRowsMax = 1'000'000;

void Execute(duckdb::Connection& connection, const std::string& sql) {
  const auto result = connection.Query(sql);
  if (result->HasError()) result->ThrowError();
}

void Fill(duckdb::Connection& connection, const TableRows& tables) {
  for (const auto& [table, rows] : tables) {
    duckdb::Appender appender(connection, table);
    for (const auto& row : rows) {
      appender.BeginRow();
      for (const duckdb::Value& value : row) appender.Append(value);
      appender.EndRow();
    }
    appender.Close();
  }
}

// Of the tables that follow from the catalog.
constexpr const char* kFollowing[] = {
    "pg_class",         "pg_attribute", "pg_attrdef", "pg_index",     "pg_constraint",
    "pg_description",   "pg_proc",      "pg_rewrite", "pg_depend",    "mr_definitions",
    "mr_index_columns", "pg_type",      "pg_enum",    "mr_type_names"};

// Numbers without sign are OIDs: all that the catalog has.
duckdb::LogicalType WithOids(const duckdb::LogicalType& type) {
  if (type.id() == duckdb::LogicalTypeId::UINTEGER) {
    duckdb::LogicalType oid = duckdb::LogicalType::UINTEGER;
    oid.SetAlias("pgoid");
    return oid;
  }
  if (type.id() == duckdb::LogicalTypeId::LIST)
    return duckdb::LogicalType::LIST(WithOids(duckdb::ListType::GetChildType(type)));
  return type;
}

// Whether the query gives pg_type.typtype the name "kind", as asyncpg's do.
bool NamesTypeKind(std::string_view query) {
  constexpr std::string_view kColumn = "typtype";
  const auto skip = [&](std::string_view word) {
    query.remove_prefix(std::min(query.find_first_not_of(" \t\r\n"), query.size()));
    const bool is_there = query.starts_with(word);
    if (is_there) query.remove_prefix(word.size());
    return is_there;
  };
  for (size_t at; (at = query.find(kColumn)) != query.npos;) {
    query.remove_prefix(at + kColumn.size());
    if (skip("AS") && skip("kind")) return true;
  }
  return false;
}

// Of the columns of one letter those that drivers read as such.
bool IsLetter(std::string_view column, std::string_view query) {
  for (const char* letter : {"typtype", "typcategory", "relkind", "contype"}) {
    if (column == letter) return true;
  }
  return column == "kind" && NamesTypeKind(query);
}

// A column's type, with what only its name says.
duckdb::LogicalType ShownType(const std::string& column, const duckdb::LogicalType& type,
                              const std::string& query) {
  duckdb::LogicalType shown = WithOids(type);
  if (type.id() == duckdb::LogicalTypeId::VARCHAR && IsLetter(column, query))
    shown.SetAlias("pgchar");
  if (type.id() != duckdb::LogicalTypeId::LIST) return shown;
  for (const char* name : {"indkey", "indoption"}) {
    if (column == name) shown.SetAlias("int2vector");
  }
  for (const char* name : {"indclass", "indcollation", "proargtypes"}) {
    if (column == name) shown.SetAlias("oidvector");
  }
  return shown;
}

Error ErrorOf(const duckdb::ErrorData& error) {
  const bool missing = error.Type() == duckdb::ExceptionType::CATALOG;
  const bool syntax = error.Type() == duckdb::ExceptionType::PARSER;
  std::string message = error.RawMessage();
  message = message.substr(0, message.find("\n\nLINE "));
  return Error(missing ? Code::kNotFound : Code::kInvalidArgument, "{}", message)
      .SqlState(missing                                             ? "42704"
                : syntax                                            ? "42601"
                : error.Type() == duckdb::ExceptionType::CONVERSION ? "22P02"
                                                                    : "42000");
}

}  // namespace

struct SystemCatalog::Impl {
  duckdb::unique_ptr<duckdb::DuckDB> database;
  SystemTables system_tables;
  stream::Watchdog watchdog;
  std::mutex mutex;      // held while the tables are made anew
  uint64_t version = 0;  // guarded by mutex; of the catalog that the tables show
  bool filled = false;   // guarded by mutex

  // One transaction: queries see the tables as they were, or as they are then.
  void Follow(const catalog::Catalog& catalog) {
    const std::lock_guard lock(mutex);
    if (filled && version >= catalog.version()) return;
    duckdb::Connection connection(*database);
    connection.BeginTransaction();
    // New tables, because deleted rows would stay in memory.
    for (const char* table : kFollowing)
      Execute(connection, fmt::format("CREATE OR REPLACE TABLE {0} AS FROM {0} LIMIT 0", table));
    Fill(connection, CatalogRows(catalog, system_tables));
    connection.Commit();
    version = catalog.version();
    filled = true;
  }
};

SystemCatalog::SystemCatalog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SystemCatalog::~SystemCatalog() = default;

Result<std::unique_ptr<SystemCatalog>> SystemCatalog::Open(SystemTables system_tables) {
  try {
    duckdb::DBConfig config;
    config.SetOptionByName("threads", duckdb::Value::BIGINT(1));
    config.SetOptionByName("memory_limit", duckdb::Value(fmt::format("{}B", kMemoryBytes)));
    config.SetOptionByName("temp_directory", duckdb::Value(""));
    config.SetOptionByName("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
    config.SetOptionByName("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
    config.SetOptionByName("default_null_order", duckdb::Value("nulls_last_on_asc_first_on_desc"));
    auto impl = std::make_unique<Impl>();
    impl->system_tables = std::move(system_tables);
    impl->database = duckdb::make_uniq<duckdb::DuckDB>(nullptr, &config);
    duckdb::Connection connection(*impl->database);
    for (const char* sql : {kCatalogTables, kCatalogFunctions, kCatalogViews, kInformationSchema})
      Execute(connection, sql);
    Execute(connection, fmt::format("CREATE VIEW pg_timezone_names AS {}", kZonesSql));
    for (const char* function : {"pg_postmaster_start_time", "pg_conf_load_time"}) {
      Execute(connection, fmt::format("CREATE MACRO {}() AS make_timestamptz({})", function,
                                      Clock::System().Now().value));
    }
    TableRows fixed;
    for (const Variable& variable : Variables().All()) {
      using duckdb::Value;
      const Value none;
      fixed["pg_settings"].push_back({Value(variable.name), Value(variable.value), none,
                                      Value("Millrace"), Value(variable.description), none,
                                      Value("user"), Value("string"), Value("default"), none, none,
                                      none, Value(variable.value), Value(variable.value), none,
                                      none, Value::BOOLEAN(false)});
    }
    Fill(connection, fixed);
    Execute(connection, "SET GLOBAL TimeZone = 'UTC'");
    Execute(connection, "SET GLOBAL enable_external_access = false");
    Execute(connection, "SET GLOBAL lock_configuration = true");
    return std::unique_ptr<SystemCatalog>(new SystemCatalog(std::move(impl)));
  } catch (const std::exception& exception) {
    return Error(Code::kInternal, "the catalog's tables: {}",
                 duckdb::ErrorData(exception).RawMessage());
  }
}

Error SystemCatalog::Note(const std::string& text, const CatalogAsker& asker, Error error) {
  failed_.fetch_add(1);
  const std::string query = text.substr(0, kQueryBytesKept);
  {
    const std::lock_guard lock(mutex_);
    const auto known = std::find_if(unanswered_.begin(), unanswered_.end(),
                                    [&](const Unanswered& each) { return each.query == query; });
    Unanswered entry{query, error.message(), asker.client, 0, {}};
    if (known != unanswered_.end()) {
      entry = *known;
      unanswered_.erase(known);
    }
    ++entry.count;
    entry.last = Clock::System().Now();
    if (entry.count == 1) {
      LOG_WARNING("a query for pg_catalog could not be answered",
                  "client=\"{}\" error=\"{}\" query=\"{}\"", asker.client, error.message(), query);
    }
    unanswered_.push_back(std::move(entry));
    if (unanswered_.size() > kUnansweredMax) unanswered_.pop_front();
  }
  if (!error.hint().empty()) return error;
  return std::move(error).Hint(
      "SELECT * FROM millrace.unanswered lists queries for pg_catalog that "
      "could not be answered");
}

std::vector<Unanswered> SystemCatalog::unanswered() const {
  const std::lock_guard lock(mutex_);
  return {unanswered_.begin(), unanswered_.end()};
}

Result<sql::Database::Described> SystemCatalog::Describe(const catalog::CatalogPtr& catalog,
                                                         const std::string& text,
                                                         const sql::ParameterTypes& given,
                                                         const CatalogAsker& asker) {
  const auto describe = [&]() -> Result<sql::Database::Described> {
    TRY(const std::string query, RewriteCatalogQuery(text, asker));
    impl_->Follow(*catalog);
    duckdb::Connection connection(*impl_->database);
    auto statements = connection.ExtractStatements(query);
    if (statements.size() != 1 || statements[0]->type != duckdb::StatementType::SELECT_STATEMENT)
      return Error(Code::kNotSupported, "pg_catalog is only read");
    sql::Database::Described described;
    described.parameters = given;
    TRY(const sql::QueryResult result,
        sql::PlanParameters(*connection.context, *statements[0], described.parameters));
    described.schema = result.schema;
    for (rows::Column& column : described.schema.columns) {
      column.name = PlainColumnName(column.name, text);
      column.type = ShownType(column.name, column.type, text);
    }
    for (auto& [name, type] : described.parameters) type = WithOids(type);
    return described;
  };
  Result<sql::Database::Described> result = [&]() -> Result<sql::Database::Described> {
    try {
      return describe();
    } catch (const std::exception& exception) {
      return ErrorOf(duckdb::ErrorData(exception));
    }
  }();
  if (!result.ok()) return Note(text, asker, result.error());
  return result;
}

Result<sql::QueryResult> SystemCatalog::Query(
    const catalog::CatalogPtr& catalog, const std::string& text,
    const std::map<std::string, duckdb::Value>& parameters, const CatalogAsker& asker) {
  const auto run = [&]() -> Result<sql::QueryResult> {
    TRY(const std::string query, RewriteCatalogQuery(text, asker));
    impl_->Follow(*catalog);
    duckdb::Connection connection(*impl_->database);
    if (asker.variables != nullptr)
      sql::SetTimeZone(*connection.context, asker.variables->time_zone()->duckdb_name());
    auto statements = connection.ExtractStatements(query);
    if (statements.size() != 1 || statements[0]->type != duckdb::StatementType::SELECT_STATEMENT)
      return Error(Code::kNotSupported, "pg_catalog is only read");
    const auto timeout =
        asker.variables == nullptr ? kStatementTimeout : asker.variables->statement_timeout();
    const stream::Watchdog::Guard watch(impl_->watchdog, *connection.context,
                                        stream::EndOfCall(timeout, asker.cancel));
    const auto fail = [&](const duckdb::ErrorData& error) {
      if (!watch.interrupted()) return ErrorOf(error);
      if (asker.cancel && asker.cancel->load())
        return Error(Code::kCancelled, "canceling statement due to user request");
      return Error(Code::kTimeout, "canceling statement due to statement timeout");
    };
    const auto prepared = connection.Prepare(std::move(statements[0]));
    if (prepared->HasError()) return fail(prepared->error);
    duckdb::case_insensitive_map_t<duckdb::BoundParameterData> values;
    for (const auto& [name, index] : prepared->named_param_map) {
      const auto found = parameters.find(name);
      if (found == parameters.end())
        return Error(Code::kInvalidArgument, "parameter ${} has no value", name).SqlState("42P02");
      values.emplace(name, duckdb::BoundParameterData(found->second));
    }
    const auto result = prepared->Execute(values, /*allow_stream_result=*/false);
    if (result->HasError()) return fail(result->GetErrorObject());
    sql::QueryResult out;
    for (size_t i = 0; i < result->names.size(); ++i) {
      rows::Column column;
      column.name = PlainColumnName(result->names[i], text);
      column.type = ShownType(column.name, result->types[i], text);
      out.schema.columns.push_back(std::move(column));
    }
    size_t count = 0;
    while (auto chunk = result->Fetch()) {
      if (chunk->size() == 0) break;
      count += chunk->size();
      if (count > kRowsMax)
        return Error(Code::kTooLarge, "the answer has more than {} rows", kRowsMax);
      out.chunks.emplace_back(chunk.release());
    }
    return out;
  };
  Result<sql::QueryResult> result = [&]() -> Result<sql::QueryResult> {
    try {
      return run();
    } catch (const std::exception& exception) {
      return ErrorOf(duckdb::ErrorData(exception));
    }
  }();
  if (!result.ok() && result.error().sqlstate() == "57014") return result.error();
  if (!result.ok()) return Note(text, asker, result.error());
  answered_.fetch_add(1);
  return result;
}

}  // namespace millrace::pg
