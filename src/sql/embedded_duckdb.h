// Opens the in-memory DuckDBs that a Database holds. There are two, because DuckDB's optimiser and
// its limits of memory are settings of a whole database:
//
//   kCircuits  binds and plans views, and gives the engine its expression contexts: only the
//   optimiser's rules that help a
//              circuit, one thread, no bound on memory of its own (the engine has one)
//   kQueries   answers queries: all rules, bounded threads and memory
//
// A defect that DuckDB meets in itself (a failed assertion, its INTERNAL error) would have it
// refuse all statements from then on, to keep a file of data from harm. There is no data in these,
// and everybody's queries and writes go through them: they go on, and only the connection that met
// the defect is given up (QueryContext::met_defect).
//
// Both: files only below the allowed folders, no extension is installed or loaded, time zone UTC,
// binary collation. The configuration of kQueries is locked; kCircuits runs no statement of a user,
// and the engine fixes settings of its connections. Thread-safe.
#pragma once

#include <memory>

#include "base/result.h"
#include "sql/column_tables.h"
#include "sql/database.h"

namespace millrace::sql {

enum class Purpose { kCircuits, kQueries };

struct Embedded {
  std::unique_ptr<duckdb::DuckDB> database;
  std::unique_ptr<ColumnTables> columns;  // of kQueries, where options ask for them; else nullptr
};

Result<Embedded> OpenEmbedded(Purpose purpose, const DatabaseOptions& options);

}  // namespace millrace::sql
