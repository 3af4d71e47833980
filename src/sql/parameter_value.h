// Values of parameters in the types that a statement expects.
#pragma once

#include "duckdb.hpp"

namespace millrace::sql {

// The value in that type where nothing is lost, else as it is: in another type than expected, it
// has DuckDB plan the statement again.
duckdb::Value InExpectedType(const duckdb::Value& value, const duckdb::LogicalType& type);

}  // namespace millrace::sql
