// Types and constants inside our statements.
// Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "duckdb.hpp"
#include "sql/parser_cursor.h"

namespace millrace::sql {

// The words that may stand behind a column's type.
const std::vector<std::string>& ConstraintWords();

// Whether every stream has a column of this name.
bool IsHidden(std::string_view name);

// A type of docs/types.md, or one of the user's own, which the cursor notes; up to a comma or
// parenthesis of the list around it, a constraint, or the end. `column`: for errors.
Result<duckdb::LogicalType> ExpectType(Cursor& cursor, const PlacedName& column);

// A constant of that type, behind DEFAULT.
Result<duckdb::Value> ExpectDefault(Cursor& cursor, const PlacedName& column,
                                    const duckdb::LogicalType& type);

}  // namespace millrace::sql
