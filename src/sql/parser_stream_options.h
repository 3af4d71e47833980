// The options of a stream: WITH (name = value, …), and SET and RESET of ALTER STREAM.
// Pure functions, thread-safe.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "catalog/definitions.h"
#include "sql/parser_cursor.h"

namespace millrace::sql {

// (name = value, …) at the cursor, into `stream`. The names that were given. `created`: false: the
// stream is there, and some options stay as they are.
Result<std::set<std::string>> ExpectStreamOptions(Cursor& cursor, catalog::StreamDefinition& stream,
                                                  bool created);

// Refuses compaction where rows count one by one.
Status CheckStorage(const catalog::StreamDefinition& stream);

// INTO n PARTITIONS, where the cursor is at INTO.
Result<int> ExpectPartitions(Cursor& cursor);

// (name, …): names of options that can be set later.
Result<std::set<std::string>> ExpectStreamOptionNames(Cursor& cursor);

}  // namespace millrace::sql
