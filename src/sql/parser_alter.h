// Statements about objects that are there: COMMENT ON and ALTER.
// Pure functions, thread-safe.
#pragma once

#include "base/result.h"
#include "sql/parser_cursor.h"
#include "sql/statement.h"

namespace millrace::sql {

// The cursor stands behind COMMENT.
Result<CommentStatement> ParseComment(Cursor& cursor);

// The cursor stands behind ALTER.
Result<AlterStatement> ParseAlter(Cursor& cursor);

}  // namespace millrace::sql
