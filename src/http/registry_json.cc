#include "http/registry_json.h"

#include <simdjson.h>

#include "http/problem.h"
#include "http/text.h"

namespace millrace::http {

namespace {

using simdjson::dom::element;

Result<element> Parse(simdjson::dom::parser& parser, std::string_view body) {
  element json;
  if (body.data() == nullptr) body = "";  // an empty view may have none, which the parser copies
  if (const auto failed = parser.parse(body.data(), body.size()).get(json); failed)
    return BadJson(simdjson::error_message(failed));
  if (!json.is_object()) return BadJson("it is no object");
  return json;
}

Result<std::string> Text(const element& json, std::string_view key) {
  std::string_view text;
  if (json[key].get(text) != simdjson::SUCCESS)
    return BadJson(fmt::format("{} is missing, or no text", key));
  return std::string(text);
}

Result<std::optional<int32_t>> Number(const element& json, std::string_view key) {
  element value;
  if (json[key].get(value) != simdjson::SUCCESS || value.is_null()) return std::optional<int32_t>();
  int64_t number = 0;
  if (value.get(number) != simdjson::SUCCESS || number > INT32_MAX || number < -1)
    return BadJson(fmt::format("{} is no number", key));
  // Clients write -1 where they mean none.
  return number <= 0 ? std::optional<int32_t>() : std::optional<int32_t>(number);
}

void AppendCommon(std::string& out, const schemas::StoredSchema& schema, const std::string& text) {
  fmt::format_to(std::back_inserter(out), "\"guid\":\"{}\"", schemas::GuidText(schema.guid));
  if (schema.type != schemas::SchemaType::kAvro)
    fmt::format_to(std::back_inserter(out), ",\"schemaType\":\"{}\"",
                   schemas::SchemaTypeName(schema.type));
  if (!schema.references.empty()) {
    out += ",\"references\":[";
    for (size_t i = 0; i < schema.references.size(); ++i) {
      const schemas::Reference& reference = schema.references[i];
      out += i == 0 ? "{\"name\":" : ",{\"name\":";
      AppendJsonString(out, reference.name);
      out += ",\"subject\":";
      AppendJsonString(out, reference.subject);
      fmt::format_to(std::back_inserter(out), ",\"version\":{}}}", reference.version);
    }
    out += ']';
  }
  out += ",\"schema\":";
  AppendJsonString(out, text);
  out += '}';
}

}  // namespace

std::string VersionJson(std::string_view subject, int32_t version,
                        const schemas::StoredSchema& schema, const std::string& text) {
  std::string out = "{\"subject\":";
  AppendJsonString(out, subject);
  fmt::format_to(std::back_inserter(out), ",\"version\":{},\"id\":{},", version, schema.id);
  AppendCommon(out, schema, text);
  return out;
}

std::string SchemaJson(const schemas::StoredSchema& schema, const std::string& text) {
  std::string out = "{";
  AppendCommon(out, schema, text);
  return out;
}

std::string NumbersJson(const std::vector<int32_t>& numbers) {
  return fmt::format("[{}]", fmt::join(numbers, ","));
}

std::string TextsJson(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    AppendJsonString(out, text);
  }
  return out + "]";
}

Result<SchemaBody> ParseSchemaBody(std::string_view body) {
  simdjson::dom::parser parser;
  TRY(const element json, Parse(parser, body));
  SchemaBody parsed;
  TRY(parsed.schema.text, Text(json, "schema"));
  element type;
  if (json["schemaType"].get(type) == simdjson::SUCCESS && !type.is_null()) {
    TRY(const std::string name, Text(json, "schemaType"));
    TRY(parsed.schema.type, schemas::SchemaTypeOf(name));
  }
  simdjson::dom::array references;
  if (json["references"].get(references) == simdjson::SUCCESS) {
    for (const element item : references) {
      if (!item.is_object()) return BadJson("a reference is no object");
      schemas::Reference reference;
      TRY(reference.name, Text(item, "name"));
      TRY(reference.subject, Text(item, "subject"));
      TRY(const auto version, Number(item, "version"));
      reference.version = version.value_or(0);
      parsed.schema.references.push_back(std::move(reference));
    }
  }
  TRY(parsed.id, Number(json, "id"));
  TRY(parsed.version, Number(json, "version"));
  return parsed;
}

Result<std::string> ParseTextBody(std::string_view body, std::string_view key) {
  simdjson::dom::parser parser;
  TRY(const element json, Parse(parser, body));
  return Text(json, key);
}

}  // namespace millrace::http
