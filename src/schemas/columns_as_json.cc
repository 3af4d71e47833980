#include "rows/encode.h"
#include "rows/json_text.h"
#include "schemas/columns.h"

namespace millrace::schemas {

namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;

std::string Quote(std::string_view text) {
  std::string out;
  rows::AppendJsonString(text, out);
  return out;
}

// "type": of one name, of several, and of null beside them.
std::string TypeIs(std::vector<std::string> names, bool nullable) {
  if (nullable) names.emplace_back("null");
  for (std::string& name : names) name = Quote(name);
  if (names.size() == 1) return "\"type\":" + names[0];
  return fmt::format("\"type\":[{}]", fmt::join(names, ","));
}

std::string Integer(bool nullable, std::string_view minimum, std::string_view maximum) {
  return fmt::format("{},\"minimum\":{},\"maximum\":{}", TypeIs({"integer"}, nullable), minimum,
                     maximum);
}

std::string Enumerated(const LogicalType& type, bool nullable) {
  std::string values;
  for (duckdb::idx_t i = 0; i < duckdb::EnumType::GetSize(type); ++i) {
    if (i > 0) values += ',';
    values += Quote(duckdb::EnumType::GetString(type, i).GetString());
  }
  if (nullable) values += values.empty() ? "null" : ",null";
  return fmt::format("{},\"enum\":[{}]", TypeIs({"string"}, nullable), values);
}

// The keywords of a type, without braces.
std::string Keywords(const LogicalType& type, bool nullable) {
  if (type.IsJSONType()) return "";
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      return TypeIs({"boolean"}, nullable);
    case LogicalTypeId::TINYINT:
      return Integer(nullable, "-128", "127");
    case LogicalTypeId::SMALLINT:
      return Integer(nullable, "-32768", "32767");
    case LogicalTypeId::INTEGER:
      return Integer(nullable, "-2147483648", "2147483647");
    case LogicalTypeId::UTINYINT:
      return Integer(nullable, "0", "255");
    case LogicalTypeId::USMALLINT:
      return Integer(nullable, "0", "65535");
    case LogicalTypeId::UINTEGER:
      return Integer(nullable, "0", "4294967295");
    case LogicalTypeId::BIGINT:
      return TypeIs({"integer"}, nullable);
    // Beyond what readers keep exactly as numbers.
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
      return TypeIs({"integer", "string"}, nullable);
    case LogicalTypeId::DECIMAL:
      return TypeIs({"number", "string"}, nullable);
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
      return TypeIs({"number"}, nullable);
    case LogicalTypeId::BLOB:
      return TypeIs({"string"}, nullable) + ",\"contentEncoding\":\"base64\"";
    case LogicalTypeId::ENUM:
      return Enumerated(type, nullable);
    case LogicalTypeId::LIST:
      return fmt::format("{},\"items\":{{{}}}", TypeIs({"array"}, nullable),
                         Keywords(duckdb::ListType::GetChildType(type), true));
    case LogicalTypeId::ARRAY:
      return fmt::format("{},\"items\":{{{}}},\"minItems\":{},\"maxItems\":{}",
                         TypeIs({"array"}, nullable),
                         Keywords(duckdb::ArrayType::GetChildType(type), true),
                         duckdb::ArrayType::GetSize(type), duckdb::ArrayType::GetSize(type));
    case LogicalTypeId::MAP:
      return fmt::format("{},\"additionalProperties\":{{{}}}", TypeIs({"object"}, nullable),
                         Keywords(duckdb::MapType::ValueType(type), true));
    case LogicalTypeId::STRUCT: {
      std::string fields;
      for (const auto& [name, child] : duckdb::StructType::GetChildTypes(type))
        fields += fmt::format("{}{}:{{{}}}", fields.empty() ? "" : ",", Quote(name),
                              Keywords(child, true));
      return fmt::format("{},\"properties\":{{{}}}", TypeIs({"object"}, nullable), fields);
    }
    default:
      return TypeIs({"string"}, nullable);
  }
}

std::string PropertyOf(const rows::Column& column) {
  std::string out = "{";
  const std::string keywords = Keywords(column.type, !column.not_null);
  if (!keywords.empty()) out += keywords + ",";
  out += "\"description\":" + Quote(column.type.ToString());
  if (column.default_value) out += ",\"default\":" + rows::ValueToJson(*column.default_value);
  return out + "}";
}

}  // namespace

std::string ColumnsAsJson(const std::string& stream, const rows::Schema& columns) {
  std::string properties;
  std::string required;
  for (const rows::Column& column : columns.columns) {
    properties += fmt::format("{}{}:{}", properties.empty() ? "" : ",", Quote(column.name),
                              PropertyOf(column));
    if (!column.not_null || column.default_value) continue;
    required += fmt::format("{}{}", required.empty() ? "" : ",", Quote(column.name));
  }
  std::string out = R"({"$schema":"http://json-schema.org/draft-07/schema#","title":)";
  out += Quote(stream) + ",\"type\":\"object\",\"properties\":{" + properties + "}";
  if (!required.empty()) out += ",\"required\":[" + required + "]";
  return out + "}";
}

}  // namespace millrace::schemas
