// SET of a session, and the modes of transactions, which it shares with BEGIN. Internal to pg. Pure
// functions. Errors are of syntax (42601), or say what is not supported.
#pragma once

#include <optional>

#include "base/result.h"
#include "pg/session_statement.h"
#include "pg/token_cursor.h"

namespace millrace::pg {

// READ ONLY, READ WRITE, ISOLATION LEVEL …, [NOT] DEFERRABLE, with or without commas.
Status TakeTransactionModes(TokenCursor& cursor, std::optional<bool>& read_only);

// REQUIRES: the cursor is at SET.
Result<StatementKind> ParseSet(TokenCursor& cursor);

}  // namespace millrace::pg
