// AppendPlainBinary: a value as PostgreSQL's send functions write it.
#include <bit>
#include <cmath>

#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/types/uuid.hpp"
#include "pg/message.h"
#include "pg/types.h"
#include "pg/value_encoder.h"
#include "rows/value_text.h"

namespace millrace::pg {

namespace {

using duckdb::LogicalTypeId;

constexpr int kDigitsPerGroup = 4;

void AppendTimestamp(int64_t micros, std::string& out) {
  if (!duckdb::Timestamp::IsFinite(duckdb::timestamp_t(micros))) {
    PutInt64(micros > 0 ? INT64_MAX : INT64_MIN, out);
    return;
  }
  PutInt64(micros - kEpochMicros, out);
}

void AppendDate(int64_t days, std::string& out) {
  const duckdb::date_t date(static_cast<int32_t>(days));
  if (date == duckdb::date_t::infinity() || date == duckdb::date_t::ninfinity()) {
    PutInt32(date == duckdb::date_t::infinity() ? INT32_MAX : INT32_MIN, out);
    return;
  }
  PutInt32(date.days - kEpochDays, out);
}

std::string NumericText(const duckdb::LogicalType& type, const Datum& datum) {
  std::string text;
  AppendPlainText(type, datum, *TimeZone::Utc(), text);
  return text;
}

}  // namespace

// Groups of four decimal digits, from the point outwards: count, weight of the first, sign, digits
// behind the point, groups.
void AppendNumericBinary(std::string_view text, std::string& out) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t point = std::min(text.find('.'), text.size());
  std::string whole(text.substr(0, point));
  std::string fraction(point == text.size() ? "" : text.substr(point + 1));
  const size_t scale = fraction.size();
  whole.insert(0, (kDigitsPerGroup - whole.size() % kDigitsPerGroup) % kDigitsPerGroup, '0');
  fraction.append((kDigitsPerGroup - fraction.size() % kDigitsPerGroup) % kDigitsPerGroup, '0');
  const std::string digits = whole + fraction;
  std::vector<int16_t> groups;
  for (size_t i = 0; i < digits.size(); i += kDigitsPerGroup)
    groups.push_back(static_cast<int16_t>(std::stoi(digits.substr(i, kDigitsPerGroup))));
  auto weight = static_cast<int16_t>(static_cast<int>(whole.size()) / kDigitsPerGroup - 1);
  size_t first = 0;
  while (first < groups.size() && groups[first] == 0) {
    ++first;
    --weight;
  }
  size_t end = groups.size();
  while (end > first && groups[end - 1] == 0) --end;
  PutInt16(static_cast<int16_t>(end - first), out);
  PutInt16(first == end ? int16_t{0} : weight, out);
  constexpr int16_t kNegative = 0x4000;
  PutInt16(negative && first < end ? kNegative : int16_t{0}, out);
  PutInt16(static_cast<int16_t>(scale), out);
  for (size_t i = first; i < end; ++i) PutInt16(groups[i], out);
}

void AppendPlainBinary(const duckdb::LogicalType& type, const Datum& datum, std::string& out) {
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      out += datum.integer != 0 ? '\x01' : '\x00';
      return;
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
    case LogicalTypeId::DECIMAL:
      AppendNumericBinary(NumericText(type, datum), out);
      return;
    case LogicalTypeId::FLOAT:
      PutInt32(std::bit_cast<int32_t>(static_cast<float>(datum.number)), out);
      return;
    case LogicalTypeId::DOUBLE:
      PutInt64(std::bit_cast<int64_t>(datum.number), out);
      return;
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::ENUM:
    case LogicalTypeId::BLOB:
      out += datum.text;
      return;
    case LogicalTypeId::DATE:
      AppendDate(datum.integer, out);
      return;
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIME_NS:
      PutInt64(MicrosOf(type, datum.integer), out);
      return;
    case LogicalTypeId::TIME_TZ: {
      const duckdb::dtime_tz_t time(static_cast<uint64_t>(datum.integer));
      PutInt64(time.time().micros, out);
      PutInt32(-time.offset(), out);  // seconds west of UTC
      return;
    }
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS:
    case LogicalTypeId::TIMESTAMP_TZ:
      AppendTimestamp(MicrosOf(type, datum.integer), out);
      return;
    case LogicalTypeId::INTERVAL:
      PutInt64(datum.interval.micros, out);
      PutInt32(datum.interval.days, out);
      PutInt32(datum.interval.months, out);
      return;
    case LogicalTypeId::UUID: {
      // DuckDB keeps it with the first bit turned round, so that it sorts.
      PutInt64(static_cast<int64_t>(static_cast<uint64_t>(datum.huge.upper) ^ (uint64_t{1} << 63)),
               out);
      PutInt64(static_cast<int64_t>(datum.huge.lower), out);
      return;
    }
    default:
      break;
  }
  switch (TypeOf(type).length) {
    case 2:
      PutInt16(static_cast<int16_t>(datum.integer), out);
      return;
    case 4:
      PutInt32(static_cast<int32_t>(datum.integer), out);
      return;
    default:
      PutInt64(datum.integer, out);
  }
}

}  // namespace millrace::pg
