// Opens the in-memory DuckDBs that a Database holds. There are two, because DuckDB's optimiser and
// its limits of memory are settings of a whole database:
//
//   kCircuits  binds and plans views, and gives the engine its expression contexts: only the
//   optimiser's rules that help a
//              circuit, one thread, no bound on memory of its own (the engine has one)
//   kQueries   answers queries: all rules, bounded threads and memory
//
// Both: files only below the allowed folders, no extension is installed or loaded, time zone UTC,
// binary collation. The configuration of kQueries is locked; kCircuits runs no statement of a user,
// and the engine fixes settings of its connections. Thread-safe.
#pragma once

#include <memory>

#include "base/result.h"
#include "sql/database.h"

namespace millrace::sql {

enum class Purpose { kCircuits, kQueries };

Result<std::unique_ptr<duckdb::DuckDB>> OpenEmbedded(Purpose purpose,
                                                     const DatabaseOptions& options);

}  // namespace millrace::sql
