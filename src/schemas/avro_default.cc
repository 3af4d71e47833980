#include "schemas/avro_default.h"

#include <simdjson.h>

#include <algorithm>

namespace millrace::schemas {

namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

// Recursion ends with the JSON's, whose depth simdjson bounds.
bool Fits(const AvroType& type, const element& json) {
  switch (type.kind) {
    case AvroKind::kNull:
      return json.is_null();
    case AvroKind::kBoolean:
      return json.is_bool();
    case AvroKind::kInt: {
      int64_t value = 0;
      return json.get(value) == simdjson::SUCCESS && value >= INT32_MIN && value <= INT32_MAX;
    }
    case AvroKind::kLong:
      return json.is_int64();
    case AvroKind::kFloat:
    case AvroKind::kDouble: {
      std::string_view word;
      return json.is_number() || (json.get(word) == simdjson::SUCCESS &&
                                  (word == "NaN" || word == "Infinity" || word == "-Infinity"));
    }
    case AvroKind::kBytes:
    case AvroKind::kString:
    case AvroKind::kFixed:
      return json.is_string();
    case AvroKind::kEnum: {
      std::string_view symbol;
      return json.get(symbol) == simdjson::SUCCESS &&
             std::find(type.symbols.begin(), type.symbols.end(), symbol) != type.symbols.end();
    }
    case AvroKind::kArray: {
      simdjson::dom::array items;
      if (json.get(items) != simdjson::SUCCESS) return false;
      return std::all_of(items.begin(), items.end(),
                         [&](const element& item) { return Fits(*type.element, item); });
    }
    case AvroKind::kMap: {
      simdjson::dom::object fields;
      if (json.get(fields) != simdjson::SUCCESS) return false;
      for (const auto field : fields) {
        if (!Fits(*type.element, field.value)) return false;
      }
      return true;
    }
    case AvroKind::kRecord: {
      simdjson::dom::object fields;
      if (json.get(fields) != simdjson::SUCCESS) return false;
      for (const AvroType::Field& field : type.fields) {
        element value;
        if (fields[field.name].get(value) != simdjson::SUCCESS) {
          if (!field.default_json) return false;
        } else if (!Fits(*field.type, value)) {
          return false;
        }
      }
      return true;
    }
    case AvroKind::kUnion:
      return std::any_of(type.branches.begin(), type.branches.end(),
                         [&](const AvroType* branch) { return Fits(*branch, json); });
  }
  return false;
}

}  // namespace

Status CheckDefault(const AvroType& type, std::string_view json) {
  simdjson::dom::parser parser;
  element value;
  if (parser.parse(json.data(), json.size()).get(value) != simdjson::SUCCESS || !Fits(type, value))
    return Error(Code::kInvalidArgument, "{} is no {}", json, type.Describe());
  return Ok();
}

}  // namespace millrace::schemas
