// Dates, times and durations as text: ISO 8601, as docs/types.md shows them. Internal to rows.
//
// A fraction of a second has 0, 3, 6 or 9 digits, as few as hold it. Years beyond 9999 have more
// digits, years before 1 a minus (ISO's astronomical count: 0000 is 1 BC), which DuckDB's casts
// read too. infinity and -infinity stay words.
#pragma once

#include <string>

#include "duckdb.hpp"

namespace millrace::rows {

void AppendDate(duckdb::date_t value, std::string& out);
void AppendTime(duckdb::dtime_t value, std::string& out);
void AppendTimeNs(duckdb::dtime_ns_t value, std::string& out);
void AppendTimeTz(duckdb::dtime_tz_t value, std::string& out);
// Of units since the epoch; `units_per_second` is 1, 1000, 1000000 or 1000000000.
void AppendTimestamp(int64_t value, int64_t units_per_second, bool utc, std::string& out);
void AppendInterval(duckdb::interval_t value, std::string& out);

}  // namespace millrace::rows
