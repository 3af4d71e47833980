// AppendPlainText: a value as PostgreSQL's output functions write it.
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/time.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/types/uuid.hpp"
#include "pg/value_encoder.h"
#include "rows/value_text.h"

namespace millrace::pg {

namespace {

using duckdb::LogicalTypeId;

constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr int64_t kSecondsPerDay = 86'400;
// From which exponent on PostgreSQL writes one: the digits that a type is sure to keep.
constexpr int kDoubleDigits = 15;
constexpr int kFloatDigits = 6;
constexpr int kExponentMin = -4;

// The shortest digits that read back the same, set as PostgreSQL sets them.
template <typename T>
void AppendNumber(T value, int exponent_from, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
    return;
  }
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  if (text.front() == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  const size_t e = text.find('e');
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  if (exponent < kExponentMin || exponent >= exponent_from) {
    out += digits[0];
    if (digits.size() > 1) out += "." + digits.substr(1);
    out += fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  } else if (exponent < 0) {
    out += "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  } else {
    const auto whole = static_cast<size_t>(exponent) + 1;
    if (digits.size() <= whole) {
      out += digits + std::string(whole - digits.size(), '0');
    } else {
      out += digits.substr(0, whole) + "." + digits.substr(whole);
    }
  }
}

void AppendFraction(int64_t micros, std::string& out) {
  if (micros == 0) return;
  std::string digits = fmt::format(".{:06}", micros);
  digits.erase(digits.find_last_not_of('0') + 1);
  out += digits;
}

void AppendClock(uint64_t micros, std::string& out) {
  const uint64_t seconds = micros / kMicrosPerSecond;
  out += fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  AppendFraction(static_cast<int64_t>(micros % kMicrosPerSecond), out);
}

// False: infinity, which has no clock behind it.
bool AppendDay(duckdb::date_t date, std::string& out, bool& before_christ) {
  if (date == duckdb::date_t::infinity() || date == duckdb::date_t::ninfinity()) {
    out += date == duckdb::date_t::infinity() ? "infinity" : "-infinity";
    return false;
  }
  int32_t year = 0;
  int32_t month = 0;
  int32_t day = 0;
  duckdb::Date::Convert(date, year, month, day);
  before_christ = year <= 0;
  out += fmt::format("{:04}-{:02}-{:02}", before_christ ? 1 - year : year, month, day);
  return true;
}

void AppendOffset(int32_t seconds, std::string& out) {
  out += seconds < 0 ? '-' : '+';
  const int32_t size = std::abs(seconds);
  out += fmt::format("{:02}", size / 3600);
  if (size % 3600 != 0) out += fmt::format(":{:02}", size / 60 % 60);
  if (size % 60 != 0) out += fmt::format(":{:02}", size % 60);
}

// `zone`: of a time with time zone, which shows its offset there; else nullptr.
void AppendTimestamp(int64_t micros, const TimeZone* zone, std::string& out) {
  const duckdb::timestamp_t timestamp(micros);
  if (!duckdb::Timestamp::IsFinite(timestamp)) {
    out += micros > 0 ? "infinity" : "-infinity";
    return;
  }
  int64_t seconds = micros / kMicrosPerSecond;
  int64_t fraction = micros % kMicrosPerSecond;
  if (fraction < 0) {
    fraction += kMicrosPerSecond;
    --seconds;
  }
  const int32_t offset = zone == nullptr ? 0 : zone->OffsetSecondsAt(seconds);
  seconds += offset;
  int64_t days = seconds / kSecondsPerDay;
  int64_t clock = seconds % kSecondsPerDay;
  if (clock < 0) {
    clock += kSecondsPerDay;
    --days;
  }
  bool before_christ = false;
  AppendDay(duckdb::date_t(static_cast<int32_t>(days)), out, before_christ);
  out += ' ';
  AppendClock(static_cast<uint64_t>(clock * kMicrosPerSecond + fraction), out);
  if (zone != nullptr) AppendOffset(offset, out);
  if (before_christ) out += " BC";
}

// As PostgreSQL's IntervalStyle "postgres": "1 year 2 mons -3 days +04:05:06".
void AppendInterval(const duckdb::interval_t& interval, std::string& out) {
  const size_t begin = out.size();
  bool negative_before = false;
  const auto add = [&](int64_t value, const char* unit) {
    if (value == 0) return;
    if (out.size() > begin) out += ' ';
    if (negative_before && value > 0) out += '+';
    out += fmt::format("{} {}{}", value, unit, value == 1 ? "" : "s");
    negative_before = value < 0;
  };
  add(interval.months / 12, "year");
  add(interval.months % 12, "mon");
  add(interval.days, "day");
  if (interval.micros == 0 && out.size() > begin) return;
  if (out.size() > begin) out += ' ';
  if (interval.micros < 0) {
    out += '-';
  } else if (negative_before) {
    out += '+';
  }
  // The smallest has no positive.
  const uint64_t micros = interval.micros < 0 ? 0 - static_cast<uint64_t>(interval.micros)
                                              : static_cast<uint64_t>(interval.micros);
  AppendClock(micros, out);
}

}  // namespace

int64_t MicrosOf(const duckdb::LogicalType& type, int64_t value) {
  const duckdb::timestamp_t given(value);
  if (!duckdb::Timestamp::IsFinite(given)) return value;
  switch (type.id()) {
    case LogicalTypeId::TIMESTAMP_SEC:
      return value * kMicrosPerSecond;
    case LogicalTypeId::TIMESTAMP_MS:
      return value * 1'000;
    case LogicalTypeId::TIMESTAMP_NS:
      return value / 1'000 - (value % 1'000 < 0 ? 1 : 0);
    case LogicalTypeId::TIME_NS:
      return value / 1'000;
    default:
      return value;
  }
}

void AppendPlainText(const duckdb::LogicalType& type, const Datum& datum, const TimeZone& zone,
                     std::string& out) {
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      out += datum.integer != 0 ? 't' : 'f';
      return;
    case LogicalTypeId::UBIGINT:
      rows::AppendInteger(static_cast<uint64_t>(datum.integer), out);
      return;
    case LogicalTypeId::HUGEINT:
      rows::AppendSigned(rows::Narrow(datum.huge), out);
      return;
    case LogicalTypeId::UHUGEINT:
      rows::AppendUnsigned(rows::Narrow(datum.unsigned_huge), out);
      return;
    case LogicalTypeId::DECIMAL: {
      const rows::Int128 value = type.InternalType() == duckdb::PhysicalType::INT128
                                     ? rows::Narrow(datum.huge)
                                     : rows::Int128{datum.integer};
      rows::AppendDecimal(value, duckdb::DecimalType::GetScale(type), out);
      return;
    }
    case LogicalTypeId::FLOAT:
      AppendNumber(static_cast<float>(datum.number), kFloatDigits, out);
      return;
    case LogicalTypeId::DOUBLE:
      AppendNumber(datum.number, kDoubleDigits, out);
      return;
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::ENUM:
      out += datum.text;
      return;
    case LogicalTypeId::BLOB:
      out += "\\x";
      rows::AppendHex(datum.text, out);
      return;
    case LogicalTypeId::DATE: {
      bool before_christ = false;
      AppendDay(duckdb::date_t(static_cast<int32_t>(datum.integer)), out, before_christ);
      if (before_christ) out += " BC";
      return;
    }
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIME_NS:
      AppendClock(static_cast<uint64_t>(MicrosOf(type, datum.integer)), out);
      return;
    case LogicalTypeId::TIME_TZ: {
      const duckdb::dtime_tz_t time(static_cast<uint64_t>(datum.integer));
      AppendClock(static_cast<uint64_t>(time.time().micros), out);
      AppendOffset(time.offset(), out);
      return;
    }
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS:
      AppendTimestamp(MicrosOf(type, datum.integer), nullptr, out);
      return;
    case LogicalTypeId::TIMESTAMP_TZ:
      AppendTimestamp(datum.integer, &zone, out);
      return;
    case LogicalTypeId::INTERVAL:
      AppendInterval(datum.interval, out);
      return;
    case LogicalTypeId::UUID:
      out += duckdb::BaseUUID::ToString(datum.huge);
      return;
    default:
      rows::AppendInteger(datum.integer, out);
  }
}

}  // namespace millrace::pg
