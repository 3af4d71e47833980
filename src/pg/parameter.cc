#include "pg/parameter.h"

#include <algorithm>
#include <bit>

#include "duckdb/common/types/time.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/types/uuid.hpp"
#include "pg/message.h"
#include "pg/types.h"

namespace millrace::pg {

namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::Value;

constexpr size_t kShownMax = 100;  // of a text, in an error

Error BadText(const LogicalType& type, std::string_view text) {
  return Error(Code::kInvalidArgument, "invalid input for type {}: {}", type.ToString(),
               Quoted(text.substr(0, kShownMax)))
      .SqlState("22P02");
}

Error BadBinary(std::string_view what) {
  return Error(Code::kInvalidArgument, "invalid binary value: {}", what).SqlState("22P03");
}

// DuckDB throws where it has no such cast without a connection.
bool TryCast(const Value& from, const LogicalType& type, Value& to) {
  std::string message;
  try {
    return from.DefaultTryCastAs(type, to, &message, true);
  } catch (const std::exception&) {
    return false;
  }
}

Status CheckUtf8(std::string_view text) {
  const bool valid =
      text.find('\0') == std::string_view::npos && Value::StringIsValid(text.data(), text.size());
  if (valid) return Ok();
  return Error(Code::kInvalidArgument, "invalid byte sequence for encoding \"UTF8\"")
      .SqlState("22021");
}

std::optional<bool> BoolOf(std::string_view text) {
  std::string lower = duckdb::StringUtil::Lower(std::string(text));
  duckdb::StringUtil::Trim(lower);
  for (const char* yes : {"t", "true", "y", "yes", "on", "1"}) {
    if (lower == yes) return true;
  }
  for (const char* no : {"f", "false", "n", "no", "off", "0"}) {
    if (lower == no) return false;
  }
  return std::nullopt;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "\x0aff", or the older form with \\ and \ooo.
Result<Value> ByteaOf(std::string_view text) {
  std::string bytes;
  if (text.starts_with("\\x")) {
    text.remove_prefix(2);
    if (text.size() % 2 != 0) return BadText(LogicalType::BLOB, text);
    for (size_t i = 0; i < text.size(); i += 2) {
      const int high = HexDigit(text[i]);
      const int low = HexDigit(text[i + 1]);
      if (high < 0 || low < 0) return BadText(LogicalType::BLOB, text);
      bytes += static_cast<char>(high << 4 | low);
    }
    return Value::BLOB_RAW(bytes);
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
    } else if (text.substr(i).starts_with("\\\\")) {
      bytes += '\\';
      ++i;
    } else {
      const std::string_view octal = text.substr(i + 1, 3);
      if (octal.size() != 3 || octal.find_first_not_of("01234567") != std::string_view::npos ||
          octal[0] > '3')
        return BadText(LogicalType::BLOB, text);
      bytes += static_cast<char>((octal[0] - '0') << 6 | (octal[1] - '0') << 3 | (octal[2] - '0'));
      i += 3;
    }
  }
  return Value::BLOB_RAW(bytes);
}

// With its hyphens or without, in braces or not.
Result<Value> UuidOf(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (HexDigit(c) >= 0) digits += c;
  }
  const bool others = text.find_first_not_of("0123456789abcdefABCDEF-{}") != std::string_view::npos;
  duckdb::hugeint_t value;
  if (others || digits.size() != 32 || !duckdb::UUID::FromString(digits, value))
    return BadText(LogicalType::UUID, text);
  return Value::UUID(value);
}

// "2024-03-31 12:00:00.5+02:00 BC", "… Europe/Berlin"; without either, in `zone`.
Result<Value> TimestampTzOf(std::string_view text, const TimeZone& zone) {
  std::string trimmed(text);
  duckdb::StringUtil::Trim(trimmed);
  // DuckDB wants the era behind the day.
  if (trimmed.size() > 3 &&
      duckdb::StringUtil::CIEquals(trimmed.substr(trimmed.size() - 3), " bc")) {
    trimmed.resize(trimmed.size() - 3);
    trimmed.insert(std::min(trimmed.find_first_of(" T"), trimmed.size()), " (BC)");
  }
  duckdb::timestamp_t time;
  bool has_offset = false;
  duckdb::string_t named(nullptr, 0);
  const auto read = duckdb::Timestamp::TryConvertTimestampTZ(trimmed.data(), trimmed.size(), time,
                                                             true, has_offset, named);
  if (read != duckdb::TimestampCastResult::SUCCESS &&
      read != duckdb::TimestampCastResult::ERROR_NON_UTC_TIMEZONE)
    return BadText(LogicalType::TIMESTAMP_TZ, text);
  if (duckdb::Timestamp::IsFinite(time) && named.GetSize() > 0) {
    const auto said = TimeZone::Find(named.GetString());
    if (!said.ok())
      return Error(Code::kInvalidArgument, "time zone {} not recognized", Quoted(named.GetString()))
          .SqlState("22023");
    time.value = (*said)->UtcMicrosOf(time.value);
  } else if (duckdb::Timestamp::IsFinite(time) && !has_offset) {
    time.value = zone.UtcMicrosOf(time.value);
  }
  return Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(time));
}

// "{1,NULL,"a b"}": one dimension.
Result<Value> ArrayOf(const LogicalType& type, std::string_view text, const TimeZone& zone) {
  const LogicalType& element = duckdb::ListType::GetChildType(type);
  const auto bad = [&] { return BadText(type, text); };
  size_t at = text.find_first_not_of(" \t\n");
  if (at == std::string_view::npos || text[at] != '{') return bad();
  ++at;
  const auto skip = [&] {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n')) ++at;
  };
  duckdb::vector<Value> values;
  skip();
  if (at < text.size() && text[at] == '}') return Value::LIST(element, std::move(values));
  while (true) {
    skip();
    std::string item;
    bool quoted = false;
    if (at < text.size() && text[at] == '"') {
      quoted = true;
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && at + 1 < text.size()) ++at;
        item += text[at];
      }
      if (at == text.size()) return bad();
      ++at;
      skip();
    } else {
      for (; at < text.size() && text[at] != ',' && text[at] != '}'; ++at) {
        if (text[at] == '{' || text[at] == '"') return bad();
        if (text[at] == '\\' && at + 1 < text.size()) ++at;
        item += text[at];
      }
      while (!item.empty() && item.back() == ' ') item.pop_back();
      if (item.empty()) return bad();
    }
    if (!quoted && duckdb::StringUtil::CIEquals(item, "null")) {
      values.emplace_back(Value(element));
    } else {
      TRY(Value value, ValueOfText(element, item, zone));
      values.push_back(std::move(value));
    }
    if (at >= text.size()) return bad();
    if (text[at] == '}') break;
    if (text[at] != ',') return bad();
    ++at;
  }
  if (text.find_first_not_of(" \t\n", at + 1) != std::string_view::npos) return bad();
  return Value::LIST(element, std::move(values));
}

// A decimal of its own width and scale; a HUGEINT where it has no fraction and is long.
Result<Value> NumericOf(std::string_view text) {
  std::string trimmed(text);
  duckdb::StringUtil::Trim(trimmed);
  const size_t exponent = trimmed.find_first_of("eE");
  const size_t point = trimmed.find('.');
  if (exponent == std::string::npos) {
    const size_t digits = static_cast<size_t>(
        std::count_if(trimmed.begin(), trimmed.end(), [](char c) { return c >= '0' && c <= '9'; }));
    const size_t scale = point == std::string::npos ? 0 : trimmed.size() - point - 1;
    Value value;
    if (digits > 0 && digits <= 38 && scale <= digits &&
        TryCast(Value(trimmed),
                LogicalType::DECIMAL(static_cast<uint8_t>(digits), static_cast<uint8_t>(scale)),
                value))
      return value;
    if (digits > 38 && scale == 0) {
      if (TryCast(Value(trimmed), LogicalType::HUGEINT, value)) return value;
      if (TryCast(Value(trimmed), LogicalType::UHUGEINT, value)) return value;
    }
    if (digits > 38)
      return Error(Code::kInvalidArgument, "the number {} has more than 38 digits",
                   Quoted(text.substr(0, kShownMax)))
          .SqlState("22003");
  }
  // With an exponent, NaN and the infinities.
  Value number;
  if (!TryCast(Value(trimmed), LogicalType::DOUBLE, number))
    return BadText(LogicalType::DECIMAL(38, 10), text);
  return number;
}

Result<Value> NumericOfBinary(std::string_view bytes) {
  MessageReader reader(bytes);
  const auto count = static_cast<uint16_t>(reader.Int16());
  const int weight = reader.Int16();
  const auto sign = static_cast<uint16_t>(reader.Int16());
  const auto scale = static_cast<uint16_t>(reader.Int16());
  if (bytes.size() != 8 + size_t{count} * 2 || scale > 16'383) return BadBinary("a numeric");
  constexpr uint16_t kNan = 0xC000;
  constexpr uint16_t kInfinity = 0xD000;
  constexpr uint16_t kMinusInfinity = 0xF000;
  if (sign == kNan) return NumericOf("NaN");
  if (sign == kInfinity) return NumericOf("Infinity");
  if (sign == kMinusInfinity) return NumericOf("-Infinity");
  if (weight > 100 || weight < -100 || scale > 100)
    return Error(Code::kInvalidArgument, "the number has more than 38 digits").SqlState("22003");
  std::vector<int16_t> groups;
  for (size_t i = 0; i < count; ++i) {
    groups.push_back(reader.Int16());
    if (groups.back() < 0 || groups.back() > 9999) return BadBinary("a numeric");
  }
  const auto group = [&](int at) {  // by its weight
    const int index = weight - at;
    return index < 0 || index >= static_cast<int>(groups.size())
               ? 0
               : groups[static_cast<size_t>(index)];
  };
  std::string whole;
  for (int at = std::max(weight, 0); at >= 0; --at) whole += fmt::format("{:04}", group(at));
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size() - 1));
  std::string fraction;
  for (int at = -1; fraction.size() < scale; --at) fraction += fmt::format("{:04}", group(at));
  fraction.resize(scale);
  return NumericOf((sign != 0 ? "-" : "") + whole + (scale == 0 ? "" : "." + fraction));
}

Result<Value> ArrayOfBinary(const BaseType& element, std::string_view bytes) {
  MessageReader reader(bytes);
  const int32_t dimensions = reader.Int32();
  reader.Int32();  // whether there are NULLs
  reader.Int32();  // the element type: the array's says it
  const LogicalType type = *DuckDbTypeOf(element.oid);
  duckdb::vector<Value> values;
  if (dimensions == 0) return Value::LIST(type, std::move(values));
  if (dimensions != 1) {
    return Error(Code::kNotSupported, "arrays of {} dimensions are not taken as parameters",
                 dimensions);
  }
  const int32_t count = reader.Int32();
  reader.Int32();  // the first index
  if (count < 0 || static_cast<size_t>(count) * sizeof(int32_t) > reader.size())
    return BadBinary("an array");
  for (int32_t i = 0; i < count; ++i) {
    const int32_t size = reader.Int32();
    if (size < 0) {
      values.emplace_back(Value(type));
      continue;
    }
    TRY(Value value, ValueOfBinary(element.oid, reader.Bytes(static_cast<size_t>(size))));
    values.push_back(std::move(value));
  }
  if (!reader.Finish().ok()) return BadBinary("an array");
  if (element.oid != oid::kNumeric) return Value::LIST(type, std::move(values));
  // Numerics have types of their own: as texts, which DuckDB casts where they are used.
  for (Value& value : values)
    value = value.IsNull() ? Value(LogicalType::VARCHAR) : Value(value.ToString());
  return Value::LIST(LogicalType::VARCHAR, std::move(values));
}

Result<int64_t> IntegerOf(std::string_view bytes, size_t size) {
  if (bytes.size() != size)
    return BadBinary(fmt::format("{} bytes, {} are expected", bytes.size(), size));
  if (size == 2) return int64_t{GetInt16(bytes.data())};
  if (size == 4) return int64_t{GetInt32(bytes.data())};
  return GetInt64(bytes.data());
}

Result<duckdb::timestamp_t> TimestampOf(std::string_view bytes) {
  TRY(const int64_t micros, IntegerOf(bytes, 8));
  if (micros == INT64_MAX) return duckdb::timestamp_t::infinity();
  if (micros == INT64_MIN) return duckdb::timestamp_t::ninfinity();
  if (micros > INT64_MAX - 2 * kEpochMicros) return BadBinary("a timestamp out of range");
  return duckdb::timestamp_t(micros + kEpochMicros);
}

Result<Value> TimetzOf(std::string_view bytes) {
  if (bytes.size() != 12) return BadBinary("a timetz");
  const int64_t micros = GetInt64(bytes.data());
  const int32_t west = GetInt32(bytes.data() + 8);
  if (micros < 0 || micros > 86'400'000'000 || west < -57'599 || west > 57'599)
    return BadBinary("a timetz");
  return Value::TIMETZ(duckdb::dtime_tz_t(duckdb::dtime_t(micros), -west));
}

}  // namespace

Result<Value> ValueOfText(const LogicalType& type, std::string_view text, const TimeZone& zone) {
  TRY(CheckUtf8(text));
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN: {
      const auto value = BoolOf(text);
      if (!value) return BadText(type, text);
      return Value::BOOLEAN(*value);
    }
    case LogicalTypeId::BLOB:
      return ByteaOf(text);
    case LogicalTypeId::INTERVAL: {
      // PostgreSQL shows where the sign changes: "-1 days +02:00:00".
      std::string plain(text);
      std::erase(plain, '+');
      Value value;
      if (!TryCast(Value(plain), type, value)) return BadText(type, text);
      return value;
    }
    case LogicalTypeId::UUID:
      return UuidOf(text);
    case LogicalTypeId::TIMESTAMP_TZ:
      return TimestampTzOf(text, zone);
    case LogicalTypeId::LIST:
      if (text.find('{') != std::string_view::npos && text.find('[') == std::string_view::npos)
        return ArrayOf(type, text, zone);
      break;
    case LogicalTypeId::VARCHAR: {
      Value value{std::string(text)};
      if (type.HasAlias()) value.Reinterpret(type);
      return value;
    }
    default:
      break;
  }
  Value value;
  if (TryCast(Value(std::string(text)), type, value)) return value;
  return BadText(type, text);
}

Result<Value> ValueOfBinary(uint32_t type_oid, std::string_view bytes) {
  if (const BaseType* element = ElementOf(type_oid)) return ArrayOfBinary(*element, bytes);
  switch (type_oid) {
    case oid::kBool:
      if (bytes.size() != 1) return BadBinary("a bool");
      return Value::BOOLEAN(bytes[0] != 0);
    case oid::kInt2: {
      TRY(const int64_t value, IntegerOf(bytes, 2));
      return Value::SMALLINT(static_cast<int16_t>(value));
    }
    case oid::kInt4: {
      TRY(const int64_t value, IntegerOf(bytes, 4));
      return Value::INTEGER(static_cast<int32_t>(value));
    }
    case oid::kInt8: {
      TRY(const int64_t value, IntegerOf(bytes, 8));
      return Value::BIGINT(value);
    }
    case oid::kOid:
    case oid::kXid:
    case oid::kRegproc:
    case oid::kRegclass:
    case oid::kRegtype: {
      TRY(const int64_t value, IntegerOf(bytes, 4));
      return Value::BIGINT(static_cast<uint32_t>(value));
    }
    case oid::kFloat4: {
      TRY(const int64_t bits, IntegerOf(bytes, 4));
      return Value::FLOAT(std::bit_cast<float>(static_cast<int32_t>(bits)));
    }
    case oid::kFloat8: {
      TRY(const int64_t bits, IntegerOf(bytes, 8));
      return Value::DOUBLE(std::bit_cast<double>(bits));
    }
    case oid::kNumeric:
      return NumericOfBinary(bytes);
    case oid::kBytea:
      return Value::BLOB_RAW(std::string(bytes));
    case oid::kDate: {
      TRY(const int64_t days, IntegerOf(bytes, 4));
      if (days == INT32_MAX) return Value::DATE(duckdb::date_t::infinity());
      if (days == INT32_MIN) return Value::DATE(duckdb::date_t::ninfinity());
      if (days > INT32_MAX - 2 * kEpochDays) return BadBinary("a date out of range");
      return Value::DATE(duckdb::date_t(static_cast<int32_t>(days + kEpochDays)));
    }
    case oid::kTime: {
      TRY(const int64_t micros, IntegerOf(bytes, 8));
      if (micros < 0 || micros > 86'400'000'000) return BadBinary("a time");
      return Value::TIME(duckdb::dtime_t(micros));
    }
    case oid::kTimetz:
      return TimetzOf(bytes);
    case oid::kTimestamp: {
      TRY(const duckdb::timestamp_t timestamp, TimestampOf(bytes));
      return Value::TIMESTAMP(timestamp);
    }
    case oid::kTimestamptz: {
      TRY(const duckdb::timestamp_t timestamp, TimestampOf(bytes));
      return Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(timestamp));
    }
    case oid::kInterval: {
      if (bytes.size() != 16) return BadBinary("an interval");
      return Value::INTERVAL(GetInt32(bytes.data() + 12), GetInt32(bytes.data() + 8),
                             GetInt64(bytes.data()));
    }
    case oid::kUuid: {
      if (bytes.size() != 16) return BadBinary("a uuid");
      duckdb::hugeint_t value;
      value.upper =
          static_cast<int64_t>(static_cast<uint64_t>(GetInt64(bytes.data())) ^ (uint64_t{1} << 63));
      value.lower = static_cast<uint64_t>(GetInt64(bytes.data() + 8));
      return Value::UUID(value);
    }
    case oid::kJsonb:
      if (bytes.empty() || bytes[0] != 1) return BadBinary("jsonb of another version than 1");
      return ValueOfText(LogicalType::JSON(), bytes.substr(1), *TimeZone::Utc());
    default:
      return ValueOfText(*DuckDbTypeOf(type_oid), bytes, *TimeZone::Utc());
  }
}

Result<Value> DecodeParameter(uint32_t type_oid, int16_t format, std::string_view bytes,
                              const TimeZone& zone) {
  if (type_oid == 0 || type_oid == oid::kUnknown) {
    TRY(CheckUtf8(bytes));
    return Value(std::string(bytes));
  }
  const auto type = DuckDbTypeOf(type_oid);
  if (!type) {
    return Error(Code::kNotSupported, "a parameter of the type with OID {} is not known here",
                 type_oid)
        .Hint("pg_type shows the types that are; a text is cast where it is used");
  }
  if (format == 1) return ValueOfBinary(type_oid, bytes);
  if (type_oid == oid::kNumeric) {
    TRY(CheckUtf8(bytes));
    return NumericOf(bytes);
  }
  return ValueOfText(*type, bytes, zone);
}

}  // namespace millrace::pg
