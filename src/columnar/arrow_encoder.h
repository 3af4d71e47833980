// Arrow's IPC streaming format: DuckDB makes the arrays, nanoarrow writes them. Internal to
// columnar.
#pragma once

#include "columnar/encoder.h"
#include "duckdb.hpp"

namespace millrace::columnar {

// A record batch holds up to 65,536 rows, fewer where they are large. May throw DuckDB's
// exceptions.
Result<std::unique_ptr<Encoder>> MakeArrowEncoder(std::unique_ptr<duckdb::Connection> connection,
                                                  const rows::Schema& schema);

}  // namespace millrace::columnar
