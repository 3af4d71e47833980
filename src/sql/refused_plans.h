// Plans that DuckDB 1.5.6 answers wrongly: they are refused, in views and in queries.
//
// An ASOF join on nested values pairs rows whose keys differ, and leaves out pairs that it should
// have.
#pragma once

#include <optional>
#include <string>

#include "duckdb/main/config.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"

namespace millrace::sql {

// What of the join DuckDB gets wrong, as "an ASOF join on a MAP"; nullopt: nothing.
std::optional<std::string> WrongIn(const duckdb::LogicalComparisonJoin& join);

// Every plan of the database is looked at, after DuckDB's own optimiser rules.
void RegisterRefusedPlans(duckdb::DBConfig& config);

}  // namespace millrace::sql
