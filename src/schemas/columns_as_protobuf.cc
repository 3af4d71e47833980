#include <set>

#include "schemas/columns.h"

namespace millrace::schemas {

namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;

// The numbers that Protobuf keeps for itself.
constexpr int kReservedFrom = 19000;

class ProtobufWriter {
 public:
  explicit ProtobufWriter(std::string message) { names_.insert(std::move(message)); }

  bool uses_timestamp() const { return uses_timestamp_; }

  // A field, with the messages that it needs before it. nullopt: a name that Protobuf has not.
  std::optional<std::string> Field(const std::string& name, int number, const LogicalType& type,
                                   bool optional, int depth) {
    if (!IsIdentifier(name)) return std::nullopt;
    const std::string indent(static_cast<size_t>(depth) * 2, ' ');
    std::string messages;
    std::string label = optional ? "optional " : "";
    std::string written;
    if (type.id() == LogicalTypeId::LIST || type.id() == LogicalTypeId::ARRAY) {
      const LogicalType& element = type.id() == LogicalTypeId::LIST
                                       ? duckdb::ListType::GetChildType(type)
                                       : duckdb::ArrayType::GetChildType(type);
      written = TypeOf(element, name, depth, messages);
      // Lists of lists are JSON texts.
      label = element.IsNested() && element.id() != LogicalTypeId::STRUCT ? label : "repeated ";
    } else if (type.id() == LogicalTypeId::MAP) {
      written = MapOf(type, name, depth, messages, label);
    } else {
      written = TypeOf(type, name, depth, messages);
    }
    return fmt::format("{}{}{}{} {} = {};\n", messages, indent, label, written, name, number);
  }

 private:
  std::string TypeOf(const LogicalType& type, const std::string& name, int depth,
                     std::string& messages) {
    switch (type.id()) {
      case LogicalTypeId::BOOLEAN:
        return "bool";
      case LogicalTypeId::TINYINT:
      case LogicalTypeId::SMALLINT:
      case LogicalTypeId::INTEGER:
        return "int32";
      case LogicalTypeId::BIGINT:
        return "int64";
      case LogicalTypeId::UTINYINT:
      case LogicalTypeId::USMALLINT:
      case LogicalTypeId::UINTEGER:
        return "uint32";
      case LogicalTypeId::UBIGINT:
        return "uint64";
      case LogicalTypeId::FLOAT:
        return "float";
      case LogicalTypeId::DOUBLE:
        return "double";
      case LogicalTypeId::BLOB:
        return "bytes";
      case LogicalTypeId::TIMESTAMP:
      case LogicalTypeId::TIMESTAMP_TZ:
        uses_timestamp_ = true;
        return "google.protobuf.Timestamp";
      case LogicalTypeId::STRUCT:
        return Struct(type, name, depth, messages);
      default:
        return "string";
    }
  }

  // Keys are texts or integers, values no lists; other maps are JSON texts.
  std::string MapOf(const LogicalType& type, const std::string& name, int depth,
                    std::string& messages, std::string& label) {
    const LogicalType& value = duckdb::MapType::ValueType(type);
    if (value.IsNested() && value.id() != LogicalTypeId::STRUCT) return "string";
    const std::string key = TypeOf(duckdb::MapType::KeyType(type), name, depth, messages);
    static const std::set<std::string> keys = {"string", "bool",   "int32",
                                               "int64",  "uint32", "uint64"};
    if (keys.count(key) == 0) return "string";
    label = "";
    return fmt::format("map<{}, {}>", key, TypeOf(value, name, depth, messages));
  }

  // Where a field's name is none of Protobuf, JSON as a text says the same.
  std::string Struct(const LogicalType& type, const std::string& name, int depth,
                     std::string& messages) {
    const std::string indent(static_cast<size_t>(depth) * 2, ' ');
    std::string message = "M_" + name;
    while (!names_.insert(message).second) message += '_';
    std::string fields;
    int number = 0;
    for (const auto& [field, child] : duckdb::StructType::GetChildTypes(type)) {
      const auto written = Field(field, ++number, child, true, depth + 1);
      if (!written) return "string";
      fields += *written;
    }
    messages += fmt::format("{}message {} {{\n{}{}}}\n", indent, message, fields, indent);
    return message;
  }

  std::set<std::string> names_;  // of messages
  bool uses_timestamp_ = false;
};

}  // namespace

std::optional<std::string> ColumnsAsProtobuf(const std::string& stream,
                                             const rows::Schema& columns) {
  const std::string message = AsIdentifier(stream);
  ProtobufWriter writer(message);
  std::string fields;
  for (const rows::Column& column : columns.columns) {
    const bool optional = !column.not_null || column.default_value;
    if (column.id < 1 || column.id >= kReservedFrom) return std::nullopt;
    const auto field = writer.Field(column.name, column.id, column.type, optional, 1);
    if (!field) return std::nullopt;
    fields += *field;
  }
  return fmt::format("syntax = \"proto3\";\n{}message {} {{\n{}}}\n",
                     writer.uses_timestamp() ? "import \"google/protobuf/timestamp.proto\";\n" : "",
                     message, fields);
}

}  // namespace millrace::schemas
