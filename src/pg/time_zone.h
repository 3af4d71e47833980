// The time zone of a session: how far it is from UTC at which moment, by the rules that DuckDB has,
// so that what a session reads and what its queries work out agree.
//
// Immutable, thread-safe. The first use of a zone takes some ten milliseconds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::pg {

class TimeZone;
using TimeZonePtr = std::shared_ptr<const TimeZone>;

class TimeZone {
 public:
  // By its name, in any case; or by whole hours, as PostgreSQL takes them: "2" and "+2" are east of
  // Greenwich, but those of POSIX ("UTC+3", "<+05>-5", "+02:00") are west of it. 22023.
  static Result<TimeZonePtr> Find(std::string_view name);
  static const TimeZonePtr& Utc();

  // As SHOW TimeZone has it, and as DuckDB does.
  const std::string& name() const { return name_; }
  const std::string& duckdb_name() const { return duckdb_name_; }

  // East of Greenwich. `utc`: seconds since 1970.
  int32_t OffsetSecondsAt(int64_t utc) const;
  // Microseconds since 1970 of a time that clocks in the zone show. As PostgreSQL reads it: what
  // clocks skip is read by the offset before, what they show twice is the second time.
  int64_t UtcMicrosOf(int64_t local_micros) const;

  // From `utc` on, in seconds, clocks are so far east.
  struct Change {
    int64_t utc;
    int32_t offset_seconds;
  };
  // The first one's `utc` is below all times.
  using Rules = std::vector<Change>;

 private:
  TimeZone(std::string name, std::string duckdb_name, std::shared_ptr<const Rules> rules)
      : name_(std::move(name)), duckdb_name_(std::move(duckdb_name)), rules_(std::move(rules)) {}

  const std::string name_;
  const std::string duckdb_name_;
  const std::shared_ptr<const Rules> rules_;
};

}  // namespace millrace::pg
