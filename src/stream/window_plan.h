// What DuckDB runs for a Window, so that the answer follows from the rows of each partition and
// from nothing else: not from what other partitions are computed with them, and not from threads.
//
// DuckDB leaves the order of rows that are equal by ORDER BY to its sort, which is not stable. Yet
// calls of one LogicalWindow with equal partitions and orders, of which each begins with the other,
// share the sort by the longest of them, each with its own peers. So the calls are grouped by such
// orders, and each group numbers its rows by the order that ends in the rows' ordinals, which
// nobody reads: the frames of all its calls then hold equal rows in the order of their ordinals.
#pragma once

#include "duckdb/planner/logical_operator.hpp"
#include "stream/plan.h"

namespace millrace::stream {

// The rows of `input` without their last column, then a column per call.
// REQUIRES: the last column of `input` is the rows' ordinal, a BIGINT, unique within a partition.
duckdb::unique_ptr<duckdb::LogicalOperator> PlanOfWindow(
    const Window& window, duckdb::unique_ptr<duckdb::LogicalOperator> input);

}  // namespace millrace::stream
