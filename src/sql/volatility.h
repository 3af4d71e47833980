// Functions whose value is not decided by their arguments: random(), now(), current_user … A view
// that used one could not be the same twice, and would not change when its value does. Pure
// functions, thread-safe.
#pragma once

#include <optional>
#include <string>

#include "duckdb/planner/logical_operator.hpp"

namespace millrace::sql {

struct VolatileCall {
  std::string function;
  duckdb::optional_idx location;  // in the text that was bound
};

// The first call in a plan of a function that DuckDB ties to the connection that planned it
// (list_sort and its kin, which `list(x ORDER BY y)` becomes too): it cannot run on the workers'
// connections.
std::optional<VolatileCall> FindConnectionBound(duckdb::LogicalOperator& plan);

// The first such call in a plan. REQUIRES: no optimiser rule has run, since one would fold now()
// into a constant.
std::optional<VolatileCall> FindVolatile(duckdb::LogicalOperator& plan);
std::optional<VolatileCall> FindVolatile(const duckdb::Expression& expression);

}  // namespace millrace::sql
