#include "pg/value_encoder.h"

#include "pg/message.h"
#include "rows/encode.h"

namespace millrace::pg {

namespace {

using duckdb::FlatVector;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;

template <typename T>
T At(const duckdb::Vector& vector, size_t row) {
  return FlatVector::GetData<T>(vector)[row];
}

std::string_view EnumText(const LogicalType& type, size_t index) {
  const auto& names = duckdb::EnumType::GetValuesInsertOrder(type);
  const duckdb::string_t& name = FlatVector::GetData<duckdb::string_t>(names)[index];
  return {name.GetData(), name.GetSize()};
}

// REQUIRES: the vector is flat and the value not NULL.
Datum DatumAt(const LogicalType& type, const duckdb::Vector& vector, size_t row) {
  Datum datum;
  if (type.id() == LogicalTypeId::ENUM) {
    switch (type.InternalType()) {
      case duckdb::PhysicalType::UINT8:
        datum.text = EnumText(type, At<uint8_t>(vector, row));
        break;
      case duckdb::PhysicalType::UINT16:
        datum.text = EnumText(type, At<uint16_t>(vector, row));
        break;
      default:
        datum.text = EnumText(type, At<uint32_t>(vector, row));
    }
    return datum;
  }
  switch (type.InternalType()) {
    case duckdb::PhysicalType::BOOL:
      datum.integer = At<bool>(vector, row) ? 1 : 0;
      break;
    case duckdb::PhysicalType::INT8:
      datum.integer = At<int8_t>(vector, row);
      break;
    case duckdb::PhysicalType::UINT8:
      datum.integer = At<uint8_t>(vector, row);
      break;
    case duckdb::PhysicalType::INT16:
      datum.integer = At<int16_t>(vector, row);
      break;
    case duckdb::PhysicalType::UINT16:
      datum.integer = At<uint16_t>(vector, row);
      break;
    case duckdb::PhysicalType::INT32:
      datum.integer = At<int32_t>(vector, row);
      break;
    case duckdb::PhysicalType::UINT32:
      datum.integer = At<uint32_t>(vector, row);
      break;
    case duckdb::PhysicalType::INT64:
      datum.integer = At<int64_t>(vector, row);
      break;
    case duckdb::PhysicalType::UINT64:
      datum.integer = static_cast<int64_t>(At<uint64_t>(vector, row));
      break;
    case duckdb::PhysicalType::INT128:
      datum.huge = At<duckdb::hugeint_t>(vector, row);
      break;
    case duckdb::PhysicalType::UINT128:
      datum.unsigned_huge = At<duckdb::uhugeint_t>(vector, row);
      break;
    case duckdb::PhysicalType::FLOAT:
      datum.number = At<float>(vector, row);
      break;
    case duckdb::PhysicalType::DOUBLE:
      datum.number = At<double>(vector, row);
      break;
    case duckdb::PhysicalType::INTERVAL:
      datum.interval = At<duckdb::interval_t>(vector, row);
      break;
    default: {  // IsPlain lets no other through than texts
      const duckdb::string_t& text = FlatVector::GetData<duckdb::string_t>(vector)[row];
      datum.text = {text.GetData(), text.GetSize()};
    }
  }
  return datum;
}

bool IsNested(const LogicalType& type) {
  return type.id() == LogicalTypeId::LIST || type.id() == LogicalTypeId::ARRAY;
}

const duckdb::vector<duckdb::Value>& ElementsOf(const duckdb::Value& value) {
  return value.type().id() == LogicalTypeId::LIST ? duckdb::ListValue::GetChildren(value)
                                                  : duckdb::ArrayValue::GetChildren(value);
}

const LogicalType& ElementType(const LogicalType& type) {
  return type.id() == LogicalTypeId::LIST ? duckdb::ListType::GetChildType(type)
                                          : duckdb::ArrayType::GetChildType(type);
}

// A list that clients see as an array; lists of lists are jsonb.
bool IsArray(const LogicalType& type) { return IsNested(type) && !IsNested(ElementType(type)); }

void AppendArrayElement(const std::string& text, std::string& out) {
  const bool is_word = text.size() == 4 && duckdb::StringUtil::CIEquals(text, "null");
  if (!text.empty() && !is_word && text.find_first_of("{}\",\\ \t\n\r\v\f") == std::string::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

// int2vector and oidvector, which are older than arrays: "1 2", from 0 on.
bool IsOldVector(const LogicalType& type) {
  return type.HasAlias() && (type.GetAlias() == "int2vector" || type.GetAlias() == "oidvector");
}

// The element of a list, as the list's type says: it may know more than the element's own.
duckdb::Value Typed(const duckdb::Value& element, const LogicalType& list) {
  duckdb::Value typed = element;
  typed.Reinterpret(ElementType(list));
  return typed;
}

void AppendArrayText(const duckdb::Value& value, const TimeZone& zone, std::string& out) {
  const bool old = IsOldVector(value.type());
  if (!old) out += '{';
  bool first = true;
  for (const duckdb::Value& element : ElementsOf(value)) {
    if (!first) out += old ? ' ' : ',';
    first = false;
    if (element.IsNull()) {
      out += "NULL";
      continue;
    }
    std::string text;
    AppendValueText(Typed(element, value.type()), zone, text);
    AppendArrayElement(text, out);
  }
  if (!old) out += '}';
}

void AppendArrayBinary(const duckdb::Value& value, std::string& out) {
  const auto& elements = ElementsOf(value);
  bool has_null = false;
  for (const duckdb::Value& element : elements) has_null = has_null || element.IsNull();
  PutInt32(elements.empty() ? 0 : 1, out);
  PutInt32(has_null ? 1 : 0, out);
  PutInt32(static_cast<int32_t>(TypeOf(ElementType(value.type())).oid), out);
  if (elements.empty()) return;
  PutInt32(static_cast<int32_t>(elements.size()), out);
  PutInt32(IsOldVector(value.type()) ? 0 : 1, out);  // the first one's index
  for (const duckdb::Value& element : elements) {
    if (element.IsNull()) {
      PutInt32(-1, out);
      continue;
    }
    std::string bytes;
    AppendValueBinary(Typed(element, value.type()), bytes);
    PutInt32(static_cast<int32_t>(bytes.size()), out);
    out += bytes;
  }
}

// What has no form of its own: as PostgreSQL would have it where DuckDB's text is the same.
bool IsJson(const LogicalType& type) { return TypeOf(type).oid == oid::kJsonb; }

std::string JsonOf(const duckdb::Value& value) {
  if (value.type().id() == LogicalTypeId::VARCHAR) return duckdb::StringValue::Get(value);
  return rows::ValueToJson(value);
}

}  // namespace

bool IsPlain(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::LIST:
    case LogicalTypeId::ARRAY:
    case LogicalTypeId::STRUCT:
    case LogicalTypeId::MAP:
    case LogicalTypeId::UNION:
    case LogicalTypeId::BIT:
    case LogicalTypeId::BIGNUM:
    case LogicalTypeId::GEOMETRY:
    case LogicalTypeId::VARIANT:
    case LogicalTypeId::SQLNULL:
      return false;
    default:
      return true;
  }
}

Datum DatumOf(const duckdb::Value& value, std::string& keep) {
  Datum datum;
  switch (value.type().id()) {
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::BLOB:
      datum.text = duckdb::StringValue::Get(value);
      return datum;
    case LogicalTypeId::ENUM:
      keep = value.ToString();
      datum.text = keep;
      return datum;
    default: {
      duckdb::Vector vector(value);
      vector.Flatten(1);
      return DatumAt(value.type(), vector, 0);
    }
  }
}

void AppendValueText(const duckdb::Value& value, const TimeZone& zone, std::string& out) {
  const LogicalType& type = value.type();
  if (IsJson(type)) {
    out += JsonOf(value);
  } else if (IsArray(type)) {
    AppendArrayText(value, zone, out);
  } else if (!IsPlain(type)) {
    out += value.ToString();
  } else {
    std::string keep;
    AppendPlainText(type, DatumOf(value, keep), zone, out);
  }
}

void AppendValueBinary(const duckdb::Value& value, std::string& out) {
  const LogicalType& type = value.type();
  if (IsJson(type)) {
    out += '\x01';  // the version of jsonb
    out += JsonOf(value);
  } else if (IsArray(type)) {
    AppendArrayBinary(value, out);
  } else if (type.id() == LogicalTypeId::BIGNUM) {
    AppendNumericBinary(value.ToString(), out);
  } else if (!IsPlain(type)) {
    out += value.ToString();
  } else {
    std::string keep;
    AppendPlainBinary(type, DatumOf(value, keep), out);
  }
}

RowEncoder::RowEncoder(const rows::Types& types, const std::vector<int16_t>& formats,
                       TimeZonePtr zone)
    : types_(types), zone_(std::move(zone)) {
  for (size_t i = 0; i < types.size(); ++i) {
    plain_.push_back(IsPlain(types[i]) && !IsJson(types[i]));
    binary_.push_back(FormatOf(formats, i) == 1);
  }
}

void RowEncoder::Bind(duckdb::DataChunk& rows) {
  rows.Flatten();
  rows_ = &rows;
}

bool RowEncoder::IsNull(size_t row, size_t column) const {
  return FlatVector::IsNull(rows_->data[column], row);
}

void RowEncoder::Field(size_t row, size_t column, std::string& out) const {
  const LogicalType& type = types_[column];
  if (plain_[column]) {
    const Datum datum = DatumAt(type, rows_->data[column], row);
    binary_[column] ? AppendPlainBinary(type, datum, out)
                    : AppendPlainText(type, datum, *zone_, out);
    return;
  }
  duckdb::Value value = rows_->GetValue(column, row);
  value.Reinterpret(type);
  binary_[column] ? AppendValueBinary(value, out) : AppendValueText(value, *zone_, out);
}

void RowEncoder::DataRow(size_t row, std::string& out) {
  MessageWriter message(out);
  message.Begin('D');
  message.Int16(static_cast<int16_t>(types_.size()));
  for (size_t column = 0; column < types_.size(); ++column) {
    if (IsNull(row, column)) {
      message.Int32(-1);
      continue;
    }
    const size_t length_at = out.size();
    out.append(sizeof(int32_t), '\0');
    Field(row, column, out);
    const auto length = static_cast<uint32_t>(out.size() - length_at - sizeof(int32_t));
    for (size_t i = 0; i < sizeof(int32_t); ++i)
      out[length_at + i] = static_cast<char>(length >> (8 * (sizeof(int32_t) - 1 - i)));
  }
  message.End();
}

}  // namespace millrace::pg
