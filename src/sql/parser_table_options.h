// The options of a table: WITH (seed = 'file.csv'), WITH (topic = 'name', format = 'json').
// Pure functions, thread-safe.
#pragma once

#include "base/result.h"
#include "catalog/definitions.h"
#include "sql/parser_cursor.h"

namespace millrace::sql {

// (name = value, …) at the cursor, into `table`, whose columns and key are known. Gives the byte
// where the name of its topic stands; 0: none is given.
Result<size_t> ExpectTableOptions(Cursor& cursor, catalog::TableDefinition& table);

}  // namespace millrace::sql
