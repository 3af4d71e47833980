// Finds the `column = value` conditions that stand directly above a scan and notes them at the
// scan, so that a snapshot with an index on the column reads only what it must. The conditions stay
// where they are: a hint is never needed for the answer.
#pragma once

#include "duckdb/main/config.hpp"

namespace millrace::sql {

// Runs after DuckDB's own optimiser rules.
void RegisterEqualityHints(duckdb::DBConfig& config);

}  // namespace millrace::sql
