#include "rows/temporal_text.h"

#include <fmt/format.h>

#include <cstdlib>
#include <iterator>
#include <limits>

namespace millrace::rows {
namespace {

constexpr int64_t kSecondsPerDay = 86'400;

void AppendTwo(int64_t value, std::string& out) {
  out.push_back(static_cast<char>('0' + value / 10));
  out.push_back(static_cast<char>('0' + value % 10));
}

// `nanos` in [0, 10^9).
void AppendFraction(int64_t nanos, std::string& out) {
  if (nanos == 0) return;
  if (nanos % 1'000'000 == 0) {
    fmt::format_to(std::back_inserter(out), ".{:03}", nanos / 1'000'000);
  } else if (nanos % 1'000 == 0) {
    fmt::format_to(std::back_inserter(out), ".{:06}", nanos / 1'000);
  } else {
    fmt::format_to(std::back_inserter(out), ".{:09}", nanos);
  }
}

// 24:00:00 is a time too, the end of the day.
void AppendClock(int64_t seconds, int64_t nanos, std::string& out) {
  AppendTwo(seconds / 3600, out);
  out.push_back(':');
  AppendTwo(seconds / 60 % 60, out);
  out.push_back(':');
  AppendTwo(seconds % 60, out);
  AppendFraction(nanos, out);
}

// Days since 1970-01-01 as a date of the proleptic Gregorian calendar: Howard Hinnant's
// civil_from_days, https://howardhinnant.github.io/date_algorithms.html
void AppendDays(int64_t days, std::string& out) {
  days += 719'468;
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  if (year >= 0 && year <= 9999) {
    AppendTwo(year / 100, out);
    AppendTwo(year % 100, out);
  } else {
    fmt::format_to(std::back_inserter(out), "{}{:04}", year < 0 ? "-" : "", std::abs(year));
  }
  out.push_back('-');
  AppendTwo(month, out);
  out.push_back('-');
  AppendTwo(day, out);
}

// One part of a duration, where it is not zero.
void AppendPart(int64_t value, char unit, std::string& out) {
  if (value == 0) return;
  out += fmt::format_int(value).c_str();
  out.push_back(unit);
}

}  // namespace

void AppendDate(duckdb::date_t value, std::string& out) {
  if (value == duckdb::date_t::infinity()) {
    out += "infinity";
  } else if (value == duckdb::date_t::ninfinity()) {
    out += "-infinity";
  } else {
    AppendDays(value.days, out);
  }
}

void AppendTime(duckdb::dtime_t value, std::string& out) {
  AppendClock(value.micros / 1'000'000, value.micros % 1'000'000 * 1'000, out);
}

void AppendTimeNs(duckdb::dtime_ns_t value, std::string& out) {
  // The nanosecond type keeps its count in the field that its parent names for microseconds.
  AppendClock(value.micros / 1'000'000'000, value.micros % 1'000'000'000, out);
}

void AppendTimeTz(duckdb::dtime_tz_t value, std::string& out) {
  AppendTime(value.time(), out);
  const int32_t offset = value.offset();
  const int32_t seconds = std::abs(offset);
  out.push_back(offset < 0 ? '-' : '+');
  AppendTwo(seconds / 3600, out);
  out.push_back(':');
  AppendTwo(seconds / 60 % 60, out);
  if (seconds % 60 == 0) return;
  out.push_back(':');
  AppendTwo(seconds % 60, out);
}

void AppendTimestamp(int64_t value, int64_t units_per_second, bool utc, std::string& out) {
  if (value == std::numeric_limits<int64_t>::max()) {
    out += "infinity";
    return;
  }
  if (value == -std::numeric_limits<int64_t>::max()) {
    out += "-infinity";
    return;
  }
  int64_t seconds = value / units_per_second;
  int64_t rest = value % units_per_second;
  if (rest < 0) {
    rest += units_per_second;
    --seconds;
  }
  int64_t days = seconds / kSecondsPerDay;
  int64_t second_of_day = seconds % kSecondsPerDay;
  if (second_of_day < 0) {
    second_of_day += kSecondsPerDay;
    --days;
  }
  AppendDays(days, out);
  out.push_back('T');
  AppendClock(second_of_day, rest * (1'000'000'000 / units_per_second), out);
  if (utc) out.push_back('Z');
}

void AppendInterval(duckdb::interval_t value, std::string& out) {
  if (value.months == 0 && value.days == 0 && value.micros == 0) {
    out += "PT0S";
    return;
  }
  out.push_back('P');
  AppendPart(value.months / 12, 'Y', out);
  AppendPart(value.months % 12, 'M', out);
  AppendPart(value.days, 'D', out);
  if (value.micros == 0) return;
  out.push_back('T');
  AppendPart(value.micros / 3'600'000'000, 'H', out);
  AppendPart(value.micros / 60'000'000 % 60, 'M', out);
  const int64_t micros = value.micros % 60'000'000;
  if (micros == 0) return;
  if (micros < 0) out.push_back('-');
  out += fmt::format_int(std::abs(micros) / 1'000'000).c_str();
  AppendFraction(std::abs(micros) % 1'000'000 * 1'000, out);
  out.push_back('S');
}

}  // namespace millrace::rows
