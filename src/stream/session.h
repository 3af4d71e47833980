// Connections to the embedded DuckDB as the engine wants them: under the settings that a view's
// answer depends on, the same on every machine and for every user.
#pragma once

#include <memory>

#include "base/result.h"
#include "duckdb.hpp"

namespace millrace::stream {

// Errors: kInternal.
Result<std::unique_ptr<duckdb::Connection>> OpenSession(duckdb::DatabaseInstance& database);

}  // namespace millrace::stream
