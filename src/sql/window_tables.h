// The windows of streaming SQL as table functions, which DuckDB does not have:
//
//   tumble(relation, column, size)             each row's window of that size
//   hop(relation, column, slide, size)         every window of that size, one begun each slide
//   cumulate(relation, column, step, size)     the window of that size, growing by steps
//   session(relation, column, gap, columns…)   rows less than or exactly a gap apart, per columns
//
// Each gives the relation's columns, window_start and window_end; windows are aligned like
// time_bucket. They are defined by plain SQL, by which they are replaced in the parsed query.
#pragma once

#include "base/result.h"
#include "duckdb.hpp"
#include "duckdb/parser/query_node.hpp"

namespace millrace::sql {

// What session() is replaced by: window functions, which DuckDB can run, or the calls that only the
// planner of views knows (session_functions.h).
enum class SessionForm { kWindowFunctions, kPlannerCalls };

// Replaces every such call in the query, wherever it stands. kInvalidArgument: wrong arguments.
Status ReplaceWindowTables(duckdb::QueryNode& query, SessionForm session_form);

bool IsWindowTable(const std::string& name);

}  // namespace millrace::sql
