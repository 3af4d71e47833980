// The time zone of one connection to an embedded DuckDB. Not thread-safe: of the connection's user.
#pragma once

#include <string>

#include "duckdb.hpp"

namespace millrace::sql {

// As SET TimeZone does, also where the configuration is locked. REQUIRES: DuckDB knows the zone.
void SetTimeZone(duckdb::ClientContext& client, const std::string& zone);

}  // namespace millrace::sql
