// now() and its kin in views: calls of the clock become one placeholder, which no optimiser rule
// folds, and conditions over it are taken apart into what the row says and what the clock says.
// Pure functions; may throw DuckDB's exceptions.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "duckdb.hpp"
#include "duckdb/planner/logical_operator.hpp"
#include "stream/plan.h"

namespace millrace::sql {

// The placeholder's function, of type TIMESTAMP.
inline constexpr const char* kClockFunction = "__clock";

// now(), current_timestamp, transaction_timestamp(), today(), current_date and
// current_localtimestamp() become expressions over the placeholder.
void ReplaceClock(duckdb::ClientContext& client, duckdb::LogicalOperator& plan);
bool ReadsClock(const duckdb::Expression& expression);
// A call of the clock that is no condition of a filter; null: none.
const duckdb::Expression* ClockOutsideFilters(duckdb::LogicalOperator& plan);

// row <comparison> of_clock; see stream::TemporalFilter.
struct ClockCondition {
  stream::Expression row;
  duckdb::ExpressionType comparison;
  stream::Expression of_clock;
  std::optional<std::chrono::microseconds> shift;
};
// What a condition demands all at once, where it reads the clock; BETWEEN as two comparisons.
std::vector<stream::Expression> Conjuncts(const duckdb::Expression& expression);
// None: it is no comparison of the row with something that only rises with the clock.
std::optional<ClockCondition> ClockConditionOf(const duckdb::Expression& expression);

}  // namespace millrace::sql
