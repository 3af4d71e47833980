// The options of a view: WITH (name = value, …), and SET and RESET of ALTER VIEW.
// Pure functions, thread-safe.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "catalog/definitions.h"
#include "sql/parser_cursor.h"

namespace millrace::sql {

// (name = value, …) at the cursor, into `view`, which says whether it is materialized.
Status ExpectViewOptions(Cursor& cursor, catalog::ViewDefinition& view);

// The same of those that can be set when the view is there. The names that were given.
Result<std::set<std::string>> ExpectViewSettings(Cursor& cursor, catalog::ViewDefinition& view);
// (name, …): their names.
Result<std::set<std::string>> ExpectViewSettingNames(Cursor& cursor);

// Refuses a retention of what has none: only changes = 'append' are kept as they were.
Status CheckRetention(const catalog::ViewDefinition& view);

}  // namespace millrace::sql
