#include "rows/scalar.h"

#include <array>
#include <cstring>
#include <limits>

#include "duckdb/common/operator/cast_operators.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/common/types/uuid.hpp"
#include "rows/value_text.h"

namespace millrace::rows {
namespace {

using duckdb::idx_t;
using duckdb::LogicalTypeId;
using duckdb::PhysicalType;
using duckdb::string_t;
using duckdb::Vector;

template <typename T>
void Write(Vector& out, idx_t row, T value) {
  reinterpret_cast<T*>(out.GetData())[row] = value;
}

string_t View(std::string_view text) {
  return string_t(text.data(), static_cast<uint32_t>(text.size()));
}

duckdb::uhugeint_t Wide(UInt128 value) {
  duckdb::uhugeint_t wide;
  wide.lower = static_cast<uint64_t>(value);
  wide.upper = static_cast<uint64_t>(value >> 64);
  return wide;
}

duckdb::hugeint_t Wide(Int128 value) {
  duckdb::hugeint_t wide;
  wide.lower = static_cast<uint64_t>(value);
  wide.upper = static_cast<int64_t>(value >> 64);
  return wide;
}

template <typename T>
Parsed IntegerNumber(std::string_view token, Vector& out, idx_t row) {
  Int128 value;
  const Parsed parsed =
      ParseInteger(token, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), value);
  if (parsed == Parsed::kOk) Write(out, row, static_cast<T>(value));
  return parsed;
}

Parsed HugeNumber(std::string_view token, Vector& out, idx_t row) {
  constexpr Int128 kMax = static_cast<Int128>((UInt128{1} << 127) - 1);
  Int128 value;
  const Parsed parsed = ParseInteger(token, -kMax - 1, kMax, value);
  if (parsed == Parsed::kOk) Write(out, row, Wide(value));
  return parsed;
}

Parsed UnsignedHugeNumber(std::string_view token, Vector& out, idx_t row) {
  Magnitude magnitude;
  const Parsed parsed = ParseScaled(token, 0, /*round=*/false, magnitude);
  if (parsed != Parsed::kOk) return parsed;
  if (magnitude.negative) return Parsed::kRange;
  Write(out, row, Wide(magnitude.value));
  return Parsed::kOk;
}

Parsed DecimalNumber(const TypePlan& plan, std::string_view token, Vector& out, idx_t row) {
  Magnitude magnitude;
  const Parsed parsed = ParseScaled(token, plan.scale, /*round=*/true, magnitude);
  if (parsed != Parsed::kOk) return parsed;
  if (magnitude.value >= plan.decimal_bound) return Parsed::kRange;
  const auto value = static_cast<Int128>(magnitude.negative ? -magnitude.value : magnitude.value);
  switch (plan.physical) {
    case PhysicalType::INT16:
      Write(out, row, static_cast<int16_t>(value));
      break;
    case PhysicalType::INT32:
      Write(out, row, static_cast<int32_t>(value));
      break;
    case PhysicalType::INT64:
      Write(out, row, static_cast<int64_t>(value));
      break;
    default:
      Write(out, row, Wide(value));
  }
  return Parsed::kOk;
}

template <typename T>
Parsed FloatNumber(std::string_view token, Vector& out, idx_t row) {
  T value;
  const Parsed parsed = ParseFloat(token, value);
  if (parsed == Parsed::kOk) Write(out, row, value);
  return parsed;
}

// A text that CAST refuses: a number too large, or no number at all.
Parsed WhyNot(std::string_view text) {
  return !text.empty() && IsJsonNumber(text) ? Parsed::kRange : Parsed::kWrong;
}

template <typename T>
Parsed CastText(std::string_view text, Vector& out, idx_t row) {
  T value;
  if (!duckdb::TryCast::Operation<string_t, T>(View(text), value, /*strict=*/false)) {
    return WhyNot(text);
  }
  Write(out, row, value);
  return Parsed::kOk;
}

// Plain digits need no CAST to be understood.
template <typename T>
Parsed IntegerText(std::string_view text, Vector& out, idx_t row) {
  if (text.size() <= 18 && IsJsonNumber(text) && IntegerNumber<T>(text, out, row) == Parsed::kOk) {
    return Parsed::kOk;
  }
  return CastText<T>(text, out, row);
}

// TIMESTAMP and TIMESTAMPTZ alike: an offset is taken off, no offset means UTC. `unit` in
// microseconds.
Parsed TimestampText(std::string_view text, int64_t unit, Vector& out, idx_t row) {
  duckdb::timestamp_tz_t utc;
  if (!duckdb::TryCast::Operation<string_t, duckdb::timestamp_tz_t>(View(text), utc, false)) {
    return Parsed::kWrong;
  }
  const bool rounded = unit != 1 && duckdb::Timestamp::IsFinite(utc);
  Write(out, row, rounded ? duckdb::Timestamp::GetEpochRounded(utc, unit) : utc.value);
  return Parsed::kOk;
}

Parsed IntervalText(std::string_view text, Vector& out, idx_t row) {
  duckdb::interval_t value;
  if (!ParseIsoInterval(text, value) &&
      !duckdb::Interval::FromCString(text.data(), text.size(), value, nullptr, /*strict=*/false)) {
    return Parsed::kWrong;
  }
  Write(out, row, value);
  return Parsed::kOk;
}

Parsed EnumText(const TypePlan& plan, std::string_view text, Vector& out, idx_t row) {
  const int64_t position = duckdb::EnumType::GetPos(plan.type, View(text));
  if (position < 0) return Parsed::kWrong;
  switch (plan.physical) {
    case PhysicalType::UINT8:
      Write(out, row, static_cast<uint8_t>(position));
      break;
    case PhysicalType::UINT16:
      Write(out, row, static_cast<uint16_t>(position));
      break;
    default:
      Write(out, row, static_cast<uint32_t>(position));
  }
  return Parsed::kOk;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool FromHex(std::string_view text, std::string& bytes) {
  if (text.size() % 2 != 0) return false;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return true;
}

// Everything else goes through DuckDB's Values, whose errors are exceptions or a false.
Parsed AnyText(const TypePlan& plan, std::string_view text, Vector& out, idx_t row) {
  try {
    duckdb::Value value;
    duckdb::string error;
    if (!duckdb::Value(std::string(text)).DefaultTryCastAs(plan.type, value, &error)) {
      return Parsed::kWrong;
    }
    out.SetValue(row, value);
    return Parsed::kOk;
  } catch (const std::exception&) {
    return Parsed::kWrong;
  }
}

Parsed DecimalText(const TypePlan& plan, std::string_view text, Vector& out, idx_t row) {
  if (!text.empty() && IsJsonNumber(text)) return DecimalNumber(plan, text, out, row);
  return AnyText(plan, text, out, row);
}

Parsed BlobFromText(const TypePlan& plan, std::string_view text, BlobText form, Vector& out,
                    idx_t row) {
  std::string bytes;
  if (form == BlobText::kBase64) {
    if (!FromBase64(text, bytes)) return Parsed::kWrong;
  } else if (!text.starts_with("\\x") || !FromHex(text.substr(2), bytes)) {
    return AnyText(plan, text, out, row);
  }
  PutBytes(bytes, out, row);
  return Parsed::kOk;
}

}  // namespace

TypePlan::TypePlan(const duckdb::LogicalType& type_in)
    : type(type_in),
      id(type_in.id()),
      physical(type_in.InternalType()),
      is_json(type_in.IsJSONType()) {
  switch (id) {
    case LogicalTypeId::DECIMAL:
      width = duckdb::DecimalType::GetWidth(type);
      scale = duckdb::DecimalType::GetScale(type);
      decimal_bound = PowerOfTen(width);
      break;
    case LogicalTypeId::LIST:
      children.emplace_back(duckdb::ListType::GetChildType(type));
      break;
    case LogicalTypeId::ARRAY:
      array_size = duckdb::ArrayType::GetSize(type);
      children.emplace_back(duckdb::ArrayType::GetChildType(type));
      break;
    case LogicalTypeId::MAP:
      children.emplace_back(duckdb::MapType::KeyType(type));
      children.emplace_back(duckdb::MapType::ValueType(type));
      break;
    case LogicalTypeId::STRUCT:
      for (const auto& [name, child] : duckdb::StructType::GetChildTypes(type)) {
        fields.push_back(name);
        children.emplace_back(child);
      }
      break;
    default:
      break;
  }
}

void PutBytes(std::string_view bytes, Vector& out, idx_t row) {
  Write(out, row,
        bytes.size() <= string_t::INLINE_LENGTH
            ? View(bytes)
            : duckdb::StringVector::AddStringOrBlob(out, bytes.data(), bytes.size()));
}

void PutNull(Vector& out, idx_t row) {
  duckdb::FlatVector::SetNull(out, row, true);
  const PhysicalType type = out.GetType().InternalType();
  if (type == PhysicalType::LIST) {
    Write(out, row, duckdb::list_entry_t(0, 0));
  } else if (type == PhysicalType::VARCHAR) {
    Write(out, row, string_t(uint32_t{0}));
  }
}

Parsed PutBool(const TypePlan& plan, bool value, Vector& out, idx_t row) {
  if (plan.id == LogicalTypeId::BOOLEAN) {
    Write(out, row, value);
  } else if (plan.id == LogicalTypeId::VARCHAR) {
    PutBytes(value ? "true" : "false", out, row);
  } else {
    return Parsed::kWrong;
  }
  return Parsed::kOk;
}

Parsed PutNumber(const TypePlan& plan, std::string_view token, Vector& out, idx_t row) {
  switch (plan.id) {
    case LogicalTypeId::BOOLEAN:
      if (token != "0" && token != "1") return Parsed::kWrong;
      Write(out, row, token == "1");
      return Parsed::kOk;
    case LogicalTypeId::TINYINT:
      return IntegerNumber<int8_t>(token, out, row);
    case LogicalTypeId::SMALLINT:
      return IntegerNumber<int16_t>(token, out, row);
    case LogicalTypeId::INTEGER:
      return IntegerNumber<int32_t>(token, out, row);
    case LogicalTypeId::BIGINT:
      return IntegerNumber<int64_t>(token, out, row);
    case LogicalTypeId::UTINYINT:
      return IntegerNumber<uint8_t>(token, out, row);
    case LogicalTypeId::USMALLINT:
      return IntegerNumber<uint16_t>(token, out, row);
    case LogicalTypeId::UINTEGER:
      return IntegerNumber<uint32_t>(token, out, row);
    case LogicalTypeId::UBIGINT:
      return IntegerNumber<uint64_t>(token, out, row);
    case LogicalTypeId::HUGEINT:
      return HugeNumber(token, out, row);
    case LogicalTypeId::UHUGEINT:
      return UnsignedHugeNumber(token, out, row);
    case LogicalTypeId::DECIMAL:
      return DecimalNumber(plan, token, out, row);
    case LogicalTypeId::FLOAT:
      return FloatNumber<float>(token, out, row);
    case LogicalTypeId::DOUBLE:
      return FloatNumber<double>(token, out, row);
    case LogicalTypeId::VARCHAR:
      PutBytes(token, out, row);
      return Parsed::kOk;
    case LogicalTypeId::BIGNUM:
      return AnyText(plan, token, out, row);
    default:
      return Parsed::kWrong;
  }
}

Parsed PutText(const TypePlan& plan, std::string_view text, BlobText blob, Vector& out, idx_t row) {
  switch (plan.id) {
    case LogicalTypeId::VARCHAR:
      PutBytes(text, out, row);
      return Parsed::kOk;
    case LogicalTypeId::BOOLEAN:
      return CastText<bool>(text, out, row);
    case LogicalTypeId::TINYINT:
      return IntegerText<int8_t>(text, out, row);
    case LogicalTypeId::SMALLINT:
      return IntegerText<int16_t>(text, out, row);
    case LogicalTypeId::INTEGER:
      return IntegerText<int32_t>(text, out, row);
    case LogicalTypeId::BIGINT:
      return IntegerText<int64_t>(text, out, row);
    case LogicalTypeId::UTINYINT:
      return IntegerText<uint8_t>(text, out, row);
    case LogicalTypeId::USMALLINT:
      return IntegerText<uint16_t>(text, out, row);
    case LogicalTypeId::UINTEGER:
      return IntegerText<uint32_t>(text, out, row);
    case LogicalTypeId::UBIGINT:
      return IntegerText<uint64_t>(text, out, row);
    case LogicalTypeId::HUGEINT:
      return CastText<duckdb::hugeint_t>(text, out, row);
    case LogicalTypeId::UHUGEINT:
      return CastText<duckdb::uhugeint_t>(text, out, row);
    case LogicalTypeId::DECIMAL:
      return DecimalText(plan, text, out, row);
    case LogicalTypeId::FLOAT:
      return CastText<float>(text, out, row);
    case LogicalTypeId::DOUBLE:
      return CastText<double>(text, out, row);
    case LogicalTypeId::DATE:
      return CastText<duckdb::date_t>(text, out, row);
    case LogicalTypeId::TIME:
      return CastText<duckdb::dtime_t>(text, out, row);
    case LogicalTypeId::TIME_TZ:
      return CastText<duckdb::dtime_tz_t>(text, out, row);
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
      return TimestampText(text, 1, out, row);
    case LogicalTypeId::TIMESTAMP_MS:
      return TimestampText(text, duckdb::Interval::MICROS_PER_MSEC, out, row);
    case LogicalTypeId::TIMESTAMP_SEC:
      return TimestampText(text, duckdb::Interval::MICROS_PER_SEC, out, row);
    case LogicalTypeId::TIMESTAMP_NS:
      return CastText<duckdb::timestamp_ns_t>(text, out, row);
    case LogicalTypeId::INTERVAL:
      return IntervalText(text, out, row);
    case LogicalTypeId::UUID: {
      duckdb::hugeint_t value;
      if (!duckdb::BaseUUID::FromString(std::string(text), value)) return Parsed::kWrong;
      Write(out, row, value);
      return Parsed::kOk;
    }
    case LogicalTypeId::ENUM:
      return EnumText(plan, text, out, row);
    case LogicalTypeId::BLOB:
      return BlobFromText(plan, text, blob, out, row);
    default:
      return AnyText(plan, text, out, row);
  }
}

}  // namespace millrace::rows
