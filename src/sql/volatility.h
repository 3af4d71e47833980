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

// The first such call in a plan, in the bodies of lambdas too. REQUIRES: no optimiser rule has run,
// since one would fold now() into a constant.
std::optional<VolatileCall> FindVolatile(duckdb::LogicalOperator& plan);
std::optional<VolatileCall> FindVolatile(const duckdb::Expression& expression);

}  // namespace millrace::sql
