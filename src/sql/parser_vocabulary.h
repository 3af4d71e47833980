// What stands behind the name in CREATE TYPE and CREATE MACRO.
// Pure functions, thread-safe.
#pragma once

#include <string>

#include "base/result.h"
#include "catalog/definitions.h"
#include "sql/parser_cursor.h"

namespace millrace::sql {

// AS ENUM ('a', 'b', …), to the end of the statement.
Result<catalog::TypeDefinition> ExpectTypeBody(Cursor& cursor, const std::string& name);

// (a, b := 2) AS expression, or AS TABLE SELECT …, to the end of the statement.
Result<catalog::MacroDefinition> ExpectMacroBody(Cursor& cursor, const std::string& name);

}  // namespace millrace::sql
