#include "pg/time_zone.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "duckdb/common/string_util.hpp"
#include "pg/time_zone_rules.h"

namespace millrace::pg {

namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;
// Zones that are whole hours away have these names in DuckDB, the sign as POSIX has it.
constexpr int kHoursWestMax = 12;
constexpr int kHoursEastMax = 14;

int64_t SecondsOf(int64_t micros) {
  return micros / kMicrosPerSecond - (micros % kMicrosPerSecond < 0 ? 1 : 0);
}

Error Unknown(std::string_view name) {
  return Error(Code::kInvalidArgument, "invalid value for parameter \"TimeZone\": {}", Quoted(name))
      .Hint(
          "a name of pg_timezone_names, such as 'Europe/Berlin', or whole hours east of Greenwich, "
          "from -12 to 14")
      .SqlState("22023");
}

struct FixedZone {
  std::string name;
  int hours_east;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// "UTC+3", "EST5", "<+05>-5", "+02:00".
std::optional<FixedZone> PosixZone(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with('<')) {
    rest.remove_prefix(std::min(rest.find('>'), rest.size() - 1) + 1);
  } else {
    while (!rest.empty() && std::isalpha(static_cast<unsigned char>(rest.front())))
      rest.remove_prefix(1);
  }
  const bool east = rest.starts_with('-');
  if (east || rest.starts_with('+')) rest.remove_prefix(1);
  int hours = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), hours);
  if (error != std::errc() || !IsDigit(rest.front())) return std::nullopt;
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  if (!rest.empty() && rest != ":00" && rest != ":00:00") return std::nullopt;
  return FixedZone{duckdb::StringUtil::Upper(std::string(text)), east ? hours : -hours};
}

// "2", "-5": PostgreSQL shows it as a zone of POSIX.
std::optional<FixedZone> HoursEast(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  int hours = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), hours);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  const auto signed_hours = [](int value) {
    return fmt::format("{}{:02}", value < 0 ? '-' : '+', std::abs(value));
  };
  return FixedZone{fmt::format("<{}>{}", signed_hours(hours), signed_hours(-hours)), hours};
}

}  // namespace

const TimeZonePtr& TimeZone::Utc() {
  static const TimeZonePtr utc(
      new TimeZone("UTC", "UTC", std::make_shared<const Rules>(Rules{{INT64_MIN, 0}})));
  return utc;
}

Result<TimeZonePtr> TimeZone::Find(std::string_view name) {
  if (name == Utc()->name()) return Utc();
  TRY(const std::optional<std::string> named, ZoneNamed(name));
  if (named) {
    TRY(auto rules, RulesOf(*named));
    return TimeZonePtr(new TimeZone(*named, *named, std::move(rules)));
  }
  std::optional<FixedZone> fixed = HoursEast(name);
  if (!fixed) fixed = PosixZone(name);
  if (!fixed || fixed->hours_east < -kHoursWestMax || fixed->hours_east > kHoursEastMax)
    return Unknown(name);
  const std::string duckdb_name = fmt::format("Etc/GMT{:+}", -fixed->hours_east);
  TRY(auto rules, RulesOf(duckdb_name));
  return TimeZonePtr(new TimeZone(fixed->name, duckdb_name, std::move(rules)));
}

int32_t TimeZone::OffsetSecondsAt(int64_t utc) const {
  if (rules_->size() == 1) return rules_->front().offset_seconds;
  if (utc >= kRulesEnd) utc -= ((utc - kRulesEnd) / kCalendarSeconds + 1) * kCalendarSeconds;
  const auto behind =
      std::upper_bound(rules_->begin(), rules_->end(), utc,
                       [](int64_t time, const Change& change) { return time < change.utc; });
  return std::prev(behind)->offset_seconds;
}

int64_t TimeZone::UtcMicrosOf(int64_t local_micros) const {
  int64_t local = SecondsOf(local_micros);
  if (local >= kRulesEnd) local -= ((local - kRulesEnd) / kCalendarSeconds + 1) * kCalendarSeconds;
  // Clocks that show this or later have been changed.
  const auto behind = std::upper_bound(
      rules_->begin() + 1, rules_->end(), local,
      [](int64_t time, const Change& change) { return time < change.utc + change.offset_seconds; });
  const int64_t offset = std::prev(behind)->offset_seconds * kMicrosPerSecond;
  int64_t utc = 0;
  return __builtin_sub_overflow(local_micros, offset, &utc) ? local_micros : utc;
}

}  // namespace millrace::pg
