// Lets a query read a stream's older rows from columns: a scan of a stream that has a copy
// (column_copy.h) becomes UNION ALL of a scan of DuckDB's table and of what the copy does not have.
// From there on it is DuckDB's: filters, projections and statistics go into its scan by themselves.
//
// Runs before DuckDB's own optimiser rules, in the database of queries only: views never see a
// copy.
#pragma once

#include <string>

#include "duckdb/main/config.hpp"

namespace millrace::sql {

// `database`: the name of the attached database; a text that names it, or that lists the databases,
// is refused.
void RegisterColumnScans(duckdb::DBConfig& config, const std::string& database);

}  // namespace millrace::sql
