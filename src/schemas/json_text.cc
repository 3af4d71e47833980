#include "schemas/json_text.h"

#include <simdjson.h>

#include <map>

#include "rows/json_text.h"

namespace millrace::schemas {

namespace {

using simdjson::dom::element;

// Recursion ends with the JSON's depth, which simdjson bounds.
std::string Ordered(const element& json, bool avro) {
  simdjson::dom::array items;
  if (json.get(items) == simdjson::SUCCESS) {
    std::string out = "[";
    for (const element item : items) {
      if (out.size() > 1) out += ',';
      out += Ordered(item, avro);
    }
    return out + "]";
  }
  simdjson::dom::object fields;
  if (json.get(fields) != simdjson::SUCCESS) return simdjson::minify(json);
  std::map<std::string_view, element> ordered;
  for (const auto field : fields) ordered.emplace(field.key, field.value);
  if (avro && ordered.size() == 1 && ordered.begin()->first == "type" &&
      ordered.begin()->second.is_string())
    return simdjson::minify(ordered.begin()->second);
  std::string out = "{";
  for (const auto& [key, value] : ordered) {
    if (out.size() > 1) out += ',';
    rows::AppendJsonString(key, out);
    out += ':' + Ordered(value, avro);
  }
  return out + "}";
}

}  // namespace

Result<std::string> OrderedJson(std::string_view text, bool avro) {
  simdjson::dom::parser parser;
  element json;
  if (const auto failed = parser.parse(text.data(), text.size()).get(json); failed)
    return Error(Code::kInvalidArgument, "the schema is not JSON: {}",
                 simdjson::error_message(failed));
  return Ordered(json, avro);
}

}  // namespace millrace::schemas
