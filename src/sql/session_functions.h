// What session() becomes in a view: calls of two window functions that only the planner knows,
//
//   mr_session_start(time, gap) OVER (PARTITION BY …)   when the row's session begins
//   mr_session_end(time, gap) OVER (PARTITION BY …)     the gap after its last row
//
// which planner_session.cc maps to the engine's SessionWindow. They are bound for times and gaps
// that this operator takes: TIMESTAMP with or without time zone, and a constant length of time. For
// any other the binder throws, having set QueryContext::session_refused; the caller then plans the
// view again with session() as plain window functions.
#pragma once

#include <chrono>
#include <optional>

#include "duckdb.hpp"
#include "duckdb/planner/expression.hpp"

namespace millrace::sql {

inline constexpr const char* kSessionStart = "mr_session_start";
inline constexpr const char* kSessionEnd = "mr_session_end";

// Once, after the database was opened. May throw DuckDB's exceptions.
void RegisterSessionFunctions(duckdb::Connection& connection);

struct SessionCall {
  bool is_start;  // else the end
  std::chrono::microseconds gap;
};
// None where the expression is no call of these.
std::optional<SessionCall> SessionCallOf(const duckdb::Expression& expression);

}  // namespace millrace::sql
