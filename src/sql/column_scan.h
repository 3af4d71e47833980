// Lets a query read a stream's older rows from columns: a scan of a stream that has a copy
// (column_copy.h) becomes UNION ALL of a scan of DuckDB's table and of what the copy does not have,
// or the former alone where the copy has all rows: DuckDB then knows the bounds of their values.
// From there on it is DuckDB's: filters, projections and statistics go into its scan by themselves.
//
// Runs before DuckDB's own optimiser rules, in the database of queries only: views never see a
// copy.
#pragma once

#include <string>

#include "duckdb/main/config.hpp"
#include "sql/column_copy.h"

namespace millrace::sql {

// `database`: the name of the attached database; a text that names it, or that lists the databases,
// is refused.
void RegisterColumnScans(duckdb::DBConfig& config, const std::string& database);

// Whether a plan that was made for one is right for the other.
bool SamePlan(const ColumnCopy& a, const ColumnCopy& b);

}  // namespace millrace::sql
