// Plans that DuckDB 1.5.6 answers wrongly are refused.
//
// An ASOF join on nested values pairs rows whose keys differ, and leaves out pairs that it should
// have. In views it is refused where they are defined (runtime/definer.cc): those that stand from
// before go on as they were, so that a node starts with them.
#pragma once

#include "duckdb/main/config.hpp"

namespace millrace::sql {

// Every plan of the database is looked at, after DuckDB's own optimiser rules.
void RegisterRefusedPlans(duckdb::DBConfig& config);

}  // namespace millrace::sql
