// Rows as the JSON objects that records hold.
// Pure functions.
#pragma once

#include <string>
#include <vector>

#include "rows/schema.h"

namespace millrace::runtime {

// One JSON object per row of the chunk, of the schema's `columns` (all of them where empty), which
// stand in the chunk in the schema's order.
std::vector<std::string> RowsAsJson(const rows::Schema& schema, duckdb::DataChunk& rows,
                                    const std::vector<size_t>& columns = {});

}  // namespace millrace::runtime
