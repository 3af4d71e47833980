// DuckDB's parser as ours calls it: one statement's text in, its kind and the names in it out, with
// errors at their place in the user's text. The one place of the parser where DuckDB's exceptions
// end. Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sql/parser_cursor.h"
#include "sql/statement.h"

namespace millrace::sql {

// Checks that the slice is one SELECT (or WITH, VALUES, FROM …).
Status CheckSelect(const Cursor& cursor, const Cursor::Slice& select);

// Checks that the slice is one expression over the columns named (struct fields and lambda
// parameters aside), without subqueries.
Status CheckExpression(const Cursor& cursor, const Cursor::Slice& expression, std::string_view what,
                       const std::vector<std::string>& columns);

// Checks that the slice is what stands behind the name in CREATE MACRO: "(a, b := 2) AS a + b".
// True: it is a table macro.
Result<bool> CheckMacro(const Cursor& cursor, const Cursor::Slice& body);

// A whole statement that is none of ours: SELECT and the like, INSERT, UPDATE, DELETE. Others are
// refused.
Result<std::variant<SelectStatement, WriteStatement>> ParseForeign(const Cursor& cursor,
                                                                   const Cursor::Slice& slice);

}  // namespace millrace::sql
