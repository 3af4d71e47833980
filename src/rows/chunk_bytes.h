// How much memory rows take.
#pragma once

#include <cstdint>

#include "duckdb.hpp"

namespace millrace::rows {

// Of the texts and blobs of a column's first `count` rows, nested ones too.
uint64_t TextBytes(duckdb::Vector& column, size_t count);
// Of all that a chunk holds: DuckDB does not count texts.
uint64_t BytesOf(duckdb::DataChunk& rows);

}  // namespace millrace::rows
