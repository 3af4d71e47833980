// Keys of records of keyed tables, as text.
// Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rows/schema.h"

namespace millrace::runtime {

// What a client sends as a key, as a JSON object of the key's columns: it is one, or an array of
// their values, or the plain value of the only column. kInvalidArgument: another number of values.
Result<std::string> KeyAsObject(const rows::Schema& schema, const std::vector<size_t>& key_columns,
                                std::string_view key);

// The rows of `keys`, which have the key's columns alone, in the columns of the schema: NULL
// elsewhere. The vectors are shared.
void WidenKeys(const rows::Schema& schema, const std::vector<size_t>& key_columns,
               duckdb::DataChunk& keys, duckdb::DataChunk& rows);

}  // namespace millrace::runtime
