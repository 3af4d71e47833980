// What a Database is made of. Internal to sql.
#pragma once

#include <memory>

#include "models/model_store.h"
#include "sql/connection_pool.h"
#include "sql/database.h"
#include "sql/duckdb_error.h"
#include "sql/embedded_duckdb.h"
#include "sql/resident_functions.h"
#include "stream/watchdog.h"

namespace millrace::sql {

struct Database::Impl {
  Impl(std::shared_ptr<models::ModelStore> model_store,
       std::unique_ptr<duckdb::DuckDB> circuits_database, Embedded queries_database,
       std::unique_ptr<ResidentFunctions> resident_functions, uint64_t result_bytes)
      : models(model_store != nullptr
                   ? std::move(model_store)
                   : std::make_shared<models::ModelStore>(models::ModelStoreOptions())),
        circuits(std::move(circuits_database)),
        queries(std::move(queries_database.database)),
        columns(std::move(queries_database.columns)),
        resident(std::move(resident_functions)),
        circuit_connections(*circuits, *models),
        query_connections(*queries, *models),
        result_memory(std::make_shared<MemoryBudget>(result_bytes)) {}

  std::shared_ptr<models::ModelStore> models;
  std::unique_ptr<duckdb::DuckDB> circuits;  // see embedded_duckdb.h
  std::unique_ptr<duckdb::DuckDB> queries;
  std::unique_ptr<ColumnTables> columns;        // of `queries`; nullptr: none
  std::unique_ptr<ResidentFunctions> resident;  // of `circuits`
  ConnectionPool circuit_connections;
  ConnectionPool query_connections;
  std::shared_ptr<MemoryBudget> result_memory;
  stream::Watchdog watchdog;

  // Query, at the snapshot that the connection's context has.
  Result<QueryResult> Query(PooledConnection& connection, const std::string& select,
                            const std::map<std::string, duckdb::Value>& parameters,
                            const QueryLimits& limits);
  // Binds one SELECT statement that has its parameters' types and gives its columns.
  Result<QueryResult> Run(PooledConnection& connection, duckdb::PreparedStatement& statement,
                          const std::map<std::string, duckdb::Value>& parameters,
                          const QueryLimits& limits, const Place& place);
};

// The one statement of a text, which must be a SELECT (or WITH, VALUES, FROM …) and nothing that
// changes anything. May throw DuckDB's exceptions.
Result<duckdb::unique_ptr<duckdb::SQLStatement>> ParseSelect(
    const std::string& text, SessionForm session_form = SessionForm::kWindowFunctions);

// What DuckDB reported, as the call that was made of it knows it better: a failed scan, a relation
// that does not exist.
Error FromCall(const duckdb::ErrorData& error, const Place& place, QueryContext& context);

// The columns of a result.
rows::Schema SchemaOf(const duckdb::vector<duckdb::string>& names,
                      const duckdb::vector<duckdb::LogicalType>& types);

}  // namespace millrace::sql
