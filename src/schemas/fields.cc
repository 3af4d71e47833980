#include "schemas/fields.h"

#include <simdjson.h>

#include <algorithm>

#include "schemas/avro_schema.h"
#include "schemas/protobuf_fields.h"

namespace millrace::schemas {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

uint8_t KindsOf(const AvroType& type) {
  switch (type.kind) {
    case AvroKind::kNull:
      return kJsonNull;
    case AvroKind::kBoolean:
      return kJsonBoolean;
    case AvroKind::kInt:
    case AvroKind::kLong:
      return type.logical == AvroLogical::kNone ? kJsonNumber : kJsonText;
    case AvroKind::kFloat:
    case AvroKind::kDouble:
      return kJsonNumber;
    case AvroKind::kBytes:
    case AvroKind::kFixed:
      return type.logical == AvroLogical::kDecimal ? kJsonNumber : kJsonText;
    case AvroKind::kString:
    case AvroKind::kEnum:
      return kJsonText;
    case AvroKind::kRecord:
    case AvroKind::kMap:
      return kJsonObject;
    case AvroKind::kArray:
      return kJsonArray;
    case AvroKind::kUnion:
      break;
  }
  uint8_t kinds = 0;
  for (const AvroType* branch : type.branches) kinds |= KindsOf(*branch);
  return kinds;
}

void AddAvro(const AvroType& type, std::vector<Fields>& out) {
  if (type.kind == AvroKind::kUnion) {  // no union stands directly within one
    for (const AvroType* branch : type.branches) AddAvro(*branch, out);
  } else if (type.kind == AvroKind::kMap) {
    out.push_back({{}, /*open=*/true});
  } else if (type.kind == AvroKind::kRecord) {
    Fields& fields = out.emplace_back();
    for (const AvroType::Field& field : type.fields)
      fields.fields.push_back({field.name, KindsOf(*field.type)});
  }
}

uint8_t KindNamed(std::string_view name) {
  if (name == "null") return kJsonNull;
  if (name == "boolean") return kJsonBoolean;
  if (name == "number" || name == "integer") return kJsonNumber;
  if (name == "string") return kJsonText;
  return name == "array" ? kJsonArray : kJsonObject;
}

// By its `type` alone: what else it says may narrow that, and is not looked at.
uint8_t KindsOf(const element& schema) {
  bool accepts = true;
  if (schema.get(accepts) == simdjson::SUCCESS) return accepts ? kJsonAny : 0;
  element type;
  if (schema["type"].get(type) != simdjson::SUCCESS) return kJsonAny;
  std::string_view name;
  if (type.get(name) == simdjson::SUCCESS) return KindNamed(name);
  uint8_t kinds = 0;
  array names;
  if (type.get(names) == simdjson::SUCCESS) {
    for (const element one : names) {
      if (one.get(name) == simdjson::SUCCESS) kinds |= KindNamed(name);
    }
  }
  return kinds;
}

std::vector<Fields> OfJson(const std::string& text) {
  simdjson::dom::parser parser;
  element schema;
  if (parser.parse(text).get(schema) != simdjson::SUCCESS) return {{{}, /*open=*/true}};
  if ((KindsOf(schema) & kJsonObject) == 0) return {};
  Fields fields;
  bool others = true;
  const bool closed = schema["additionalProperties"].get(others) == simdjson::SUCCESS && !others;
  element patterns;
  fields.open = !closed || schema["patternProperties"].get(patterns) == simdjson::SUCCESS;
  object properties;
  if (schema["properties"].get(properties) == simdjson::SUCCESS) {
    for (const auto property : properties)
      fields.fields.push_back({std::string(property.key), KindsOf(property.value)});
  }
  return {std::move(fields)};
}

}  // namespace

std::vector<Fields> FieldsOf(const Schema& schema) {
  std::vector<Fields> out;
  switch (schema.type_) {
    case SchemaType::kAvro:
      AddAvro(std::get<0>(schema.parsed_)->root(), out);
      return out;
    case SchemaType::kJson:
      return OfJson(schema.canonical());
    case SchemaType::kProtobuf:
      return ProtobufFields(*std::get<2>(schema.parsed_));
  }
  return out;
}

}  // namespace millrace::schemas
