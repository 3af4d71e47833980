// Parquet by DuckDB's own writer: what COPY … TO 'file' (FORMAT parquet, COMPRESSION zstd) writes.
// Internal to columnar.
#pragma once

#include "columnar/encoder.h"
#include "columnar/piece_files.h"

namespace millrace::columnar {

// Columns of equal names get different ones (`a`, `a_1`): readers go by name. May throw DuckDB's
// exceptions.
std::unique_ptr<Encoder> MakeParquetEncoder(std::unique_ptr<duckdb::Connection> connection,
                                            PieceFiles& files, const rows::Schema& schema);

}  // namespace millrace::columnar
