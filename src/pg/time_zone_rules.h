// The zones that DuckDB knows, and their rules, asked of a DuckDB that is opened for it. Internal
// to pg. Thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pg/time_zone.h"

namespace millrace::pg {

// The rules say all until the end of this window, and repeat with the calendar, every 400 years,
// behind it. Those of a zone with dates of its own (Morocco's follow the moon) end before it.
inline constexpr int64_t kCalendarSeconds = int64_t{146'097} * 86'400;
inline constexpr int64_t kRulesEnd = 3'723'235'200 + kCalendarSeconds;  // 2087-12-26

// As pg_timezone_names has them. The time zone database has these names of three letters; ICU has
// more, of which BST is Bangladesh's.
inline constexpr const char* kZonesSql =
    "SELECT name, abbrev, utc_offset, is_dst FROM pg_timezone_names() WHERE length(name) <> 3 OR "
    "name IN ('CET', 'EET', 'EST', 'GMT', 'HST', 'MET', 'MST', 'PRC', 'ROC', 'ROK', 'UCT', 'UTC', "
    "'WET')";

// The name as it is written; nullopt: there is none.
Result<std::optional<std::string>> ZoneNamed(std::string_view name);
// REQUIRES: ZoneNamed gave it, or it is "Etc/GMT+h". kInternal.
Result<std::shared_ptr<const TimeZone::Rules>> RulesOf(const std::string& duckdb_name);

}  // namespace millrace::pg
