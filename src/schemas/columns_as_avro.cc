#include <set>

#include "rows/encode.h"
#include "rows/json_text.h"
#include "schemas/columns.h"

namespace millrace::schemas {

namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;

std::string Logical(std::string_view type, std::string_view logical) {
  return fmt::format(R"({{"type":"{}","logicalType":"{}"}})", type, logical);
}

std::string Decimal(int precision, int scale) {
  return fmt::format(R"({{"type":"bytes","logicalType":"decimal","precision":{},"scale":{}}})",
                     precision, scale);
}

std::string Nullable(const std::string& type) { return fmt::format("[\"null\",{}]", type); }

// Writes a schema's types; each named one has a name of its own.
class AvroWriter {
 public:
  // `name`: of the place, for what has to have one.
  std::string TypeOf(const LogicalType& type, const std::string& name) {
    switch (type.id()) {
      case LogicalTypeId::BOOLEAN:
        return "\"boolean\"";
      case LogicalTypeId::TINYINT:
      case LogicalTypeId::SMALLINT:
      case LogicalTypeId::INTEGER:
      case LogicalTypeId::UTINYINT:
      case LogicalTypeId::USMALLINT:
        return "\"int\"";
      case LogicalTypeId::BIGINT:
      case LogicalTypeId::UINTEGER:
        return "\"long\"";
      case LogicalTypeId::UBIGINT:
        return Decimal(20, 0);
      case LogicalTypeId::HUGEINT:
      case LogicalTypeId::UHUGEINT:
        return Decimal(39, 0);
      case LogicalTypeId::DECIMAL:
        return Decimal(duckdb::DecimalType::GetWidth(type), duckdb::DecimalType::GetScale(type));
      case LogicalTypeId::FLOAT:
        return "\"float\"";
      case LogicalTypeId::DOUBLE:
        return "\"double\"";
      case LogicalTypeId::BLOB:
        return "\"bytes\"";
      case LogicalTypeId::DATE:
        return Logical("int", "date");
      case LogicalTypeId::TIME:
        return Logical("long", "time-micros");
      case LogicalTypeId::TIMESTAMP:
      case LogicalTypeId::TIMESTAMP_TZ:
        return Logical("long", "timestamp-micros");
      case LogicalTypeId::UUID:
        return Logical("string", "uuid");
      case LogicalTypeId::ENUM:
        return Enumerated(type, name);
      case LogicalTypeId::LIST:
        return Array(TypeOf(duckdb::ListType::GetChildType(type), name + "_item"));
      case LogicalTypeId::ARRAY:
        return Array(TypeOf(duckdb::ArrayType::GetChildType(type), name + "_item"));
      case LogicalTypeId::MAP:
        return Map(type, name);
      case LogicalTypeId::STRUCT:
        return Struct(type, name);
      default:
        return "\"string\"";
    }
  }

  std::string NameOf(const std::string& wanted) {
    std::string name = AsIdentifier(wanted);
    while (!names_.insert(name).second) name += '_';
    return name;
  }

 private:
  static std::string Array(const std::string& element) {
    return fmt::format(R"({{"type":"array","items":{}}})", Nullable(element));
  }

  // A map of Avro has texts for keys; others are pairs, which rows take too.
  std::string Map(const LogicalType& type, const std::string& name) {
    const LogicalType& key = duckdb::MapType::KeyType(type);
    const std::string value = Nullable(TypeOf(duckdb::MapType::ValueType(type), name + "_value"));
    if (key.id() == LogicalTypeId::VARCHAR)
      return fmt::format(R"({{"type":"map","values":{}}})", value);
    const std::string entry = NameOf(name + "_entry");
    return fmt::format(
        R"({{"type":"array","items":{{"type":"record","name":"{}","fields":[{{"name":"key","type":{}}},{{"name":"value","type":{}}}]}}}})",
        entry, TypeOf(key, name + "_key"), value);
  }

  std::string Enumerated(const LogicalType& type, const std::string& name) {
    std::string symbols;
    for (duckdb::idx_t i = 0; i < duckdb::EnumType::GetSize(type); ++i) {
      const std::string symbol = duckdb::EnumType::GetString(type, i).GetString();
      if (!IsIdentifier(symbol)) return "\"string\"";
      symbols += fmt::format("{}\"{}\"", i > 0 ? "," : "", symbol);
    }
    return fmt::format(R"({{"type":"enum","name":"{}","symbols":[{}]}})", NameOf(name), symbols);
  }

  // Where a field's name is none of Avro, JSON as a text says the same.
  std::string Struct(const LogicalType& type, const std::string& name) {
    std::string fields;
    for (const auto& [field, child] : duckdb::StructType::GetChildTypes(type)) {
      if (!IsIdentifier(field)) return "\"string\"";
      fields +=
          fmt::format(R"({}{{"name":"{}","type":{},"default":null}})", fields.empty() ? "" : ",",
                      field, Nullable(TypeOf(child, name + "_" + field)));
    }
    return fmt::format(R"({{"type":"record","name":"{}","fields":[{}]}})", NameOf(name), fields);
  }

  std::set<std::string> names_;
};

// A DEFAULT that Avro writes as JSON does; those of logical types it has only as bytes and numbers.
bool DefaultIsPlain(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::VARCHAR:
      return true;
    default:
      return false;
  }
}

std::string FieldOf(const rows::Column& column, AvroWriter& writer) {
  std::string type = writer.TypeOf(column.type, column.name);
  std::string out = fmt::format(R"({{"name":"{}","type":)", column.name);
  const std::optional<duckdb::Value>& otherwise = column.default_value;
  const bool plain = otherwise && !otherwise->IsNull() && DefaultIsPlain(column.type);
  if (column.not_null) {
    out += type;
    if (plain) out += ",\"default\":" + rows::ValueToJson(*otherwise);
  } else if (plain) {  // a default is of the union's first branch
    out += fmt::format("[{},\"null\"],\"default\":{}", type, rows::ValueToJson(*otherwise));
  } else {
    out += Nullable(type) + ",\"default\":null";
  }
  std::string aliases;
  for (const std::string& alias : column.aliases) {
    if (IsIdentifier(alias)) aliases += fmt::format("{}\"{}\"", aliases.empty() ? "" : ",", alias);
  }
  if (!aliases.empty()) out += ",\"aliases\":[" + aliases + "]";
  return out + "}";
}

}  // namespace

std::optional<std::string> ColumnsAsAvro(const std::string& stream, const rows::Schema& columns) {
  AvroWriter writer;
  const std::string name = writer.NameOf(stream);
  std::string fields;
  for (const rows::Column& column : columns.columns) {
    if (!IsIdentifier(column.name)) return std::nullopt;
    fields += (fields.empty() ? "" : ",") + FieldOf(column, writer);
  }
  return fmt::format(R"({{"type":"record","name":"{}","fields":[{}]}})", name, fields);
}

}  // namespace millrace::schemas
