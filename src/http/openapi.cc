#include "http/openapi.h"

#include <algorithm>

#include "http/json_build.h"
#include "http/negotiation.h"
#include "http/openapi_models.h"
#include "http/url.h"
#include "rows/encode.h"
#include "runtime/keyed_lookup.h"

namespace millrace::http {
namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;

std::string Ref(std::string_view part, std::string_view name) {
  return JsonObject({{"$ref", JsonText(fmt::format("#/components/{}/{}", part, name))}});
}

std::string Simple(std::string_view type, std::string_view format = {}) {
  return JsonObject({{"type", JsonText(type)}, {"format", format.empty() ? "" : JsonText(format)}});
}

std::string AnyOf(const std::vector<std::string>& schemas) {
  return JsonObject({{"anyOf", JsonArray(schemas)}});
}

std::string OrNull(std::string schema) { return AnyOf({std::move(schema), Simple("null")}); }

// As docs/types.md has the values in JSON answers.
std::string SchemaOf(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      return Simple("boolean");
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
      return Simple("integer", "int32");
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::BIGINT:
      return Simple("integer", "int64");
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
      return AnyOf({Simple("integer"), JsonObject({{"type", JsonText("string")},
                                                   {"pattern", JsonText("^-?[0-9]+$")}})});
    case LogicalTypeId::DECIMAL:
      return Simple("number");
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
      return AnyOf({Simple("number"), JsonObject({{"enum", R"(["NaN","Infinity","-Infinity"])"}})});
    case LogicalTypeId::UUID:
      return Simple("string", "uuid");
    case LogicalTypeId::BLOB:
      return JsonObject({{"type", JsonText("string")}, {"contentEncoding", JsonText("base64")}});
    case LogicalTypeId::DATE:
      return Simple("string", "date");
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIME_TZ:
      return Simple("string", "time");
    case LogicalTypeId::TIMESTAMP_TZ:
      return Simple("string", "date-time");
    case LogicalTypeId::INTERVAL:
      return Simple("string", "duration");
    case LogicalTypeId::ENUM: {
      std::vector<std::string> values;
      for (duckdb::idx_t i = 0; i < duckdb::EnumType::GetSize(type); ++i)
        values.push_back(JsonText(duckdb::EnumType::GetString(type, i).GetString()));
      return JsonObject({{"type", JsonText("string")}, {"enum", JsonArray(values)}});
    }
    case LogicalTypeId::LIST:
      return JsonObject({{"type", JsonText("array")},
                         {"items", OrNull(SchemaOf(duckdb::ListType::GetChildType(type)))}});
    case LogicalTypeId::ARRAY:
      return JsonObject({{"type", JsonText("array")},
                         {"items", OrNull(SchemaOf(duckdb::ArrayType::GetChildType(type)))}});
    case LogicalTypeId::STRUCT: {
      JsonMembers fields;
      for (const auto& [name, child] : duckdb::StructType::GetChildTypes(type))
        fields.emplace_back(name, OrNull(SchemaOf(child)));
      return JsonObject({{"type", JsonText("object")}, {"properties", JsonObject(fields)}});
    }
    case LogicalTypeId::MAP: {
      const std::string value = OrNull(SchemaOf(duckdb::MapType::ValueType(type)));
      if (duckdb::MapType::KeyType(type).id() == LogicalTypeId::VARCHAR)
        return JsonObject({{"type", JsonText("object")}, {"additionalProperties", value}});
      const std::string pair =
          JsonObject({{"key", SchemaOf(duckdb::MapType::KeyType(type))}, {"value", value}});
      return JsonObject(
          {{"type", JsonText("array")},
           {"items", JsonObject({{"type", JsonText("object")}, {"properties", pair}})}});
    }
    case LogicalTypeId::VARCHAR:
      return type.IsJSONType() ? "true" : Simple("string");
    default:  // TIMESTAMP without zone and its kin, BIT
      return Simple("string");
  }
}

std::string Default(const std::optional<duckdb::Value>& value) {
  return value && !value->IsNull() ? rows::ValueToJson(*value) : "";
}

// As an answer has it.
std::string AnswerSchema(const rows::Schema& schema) {
  JsonMembers columns;
  std::vector<std::string> required;
  for (const rows::Column& column : schema.columns) {
    columns.emplace_back(column.name, OrNull(SchemaOf(column.type)));
    required.push_back(JsonText(column.name));
  }
  return JsonObject({{"type", JsonText("object")},
                     {"properties", JsonObject(columns)},
                     {"required", JsonArray(required)}});
}

// As a client sends it: it may leave out what may be NULL or has a default, and `optional`.
std::string RowSchema(const rows::Schema& schema, const catalog::Comments& comments,
                      const std::vector<std::string>& optional) {
  JsonMembers columns;
  std::vector<std::string> required;
  for (const rows::Column& column : schema.columns) {
    const std::string type =
        column.not_null ? SchemaOf(column.type) : OrNull(SchemaOf(column.type));
    const auto comment = comments.columns.find(rows::LowerName(column.name));
    const std::string description =
        comment == comments.columns.end() ? std::string() : JsonText(comment->second);
    const std::string initial = Default(column.default_value);
    if (description.empty() && initial.empty()) {
      columns.emplace_back(column.name, type);
    } else {
      columns.emplace_back(column.name, JsonObject({{"allOf", JsonArray({type})},
                                                    {"description", description},
                                                    {"default", initial}}));
    }
    const bool may_lack = std::any_of(optional.begin(), optional.end(), [&](const auto& name) {
      return rows::EqualNames(name, column.name);
    });
    if (column.not_null && initial.empty() && !may_lack) required.push_back(JsonText(column.name));
  }
  return JsonObject({{"type", JsonText("object")},
                     {"properties", JsonObject(columns)},
                     {"required", required.empty() ? "" : JsonArray(required)}});
}

// A result in each of its formats.
JsonMembers RowsContent(std::string json, std::string line) {
  JsonMembers content = {{"application/json", std::move(json)},
                         {"application/x-ndjson", std::move(line)},
                         {"text/csv", Simple("string")}};
  for (const Format format : {Format::kArrow, Format::kParquet})
    content.emplace_back(MediaType(format), Simple("string", "binary"));
  return content;
}

std::string Content(const JsonMembers& schemas) {
  JsonMembers types;
  for (const auto& [type, schema] : schemas)
    types.emplace_back(type, JsonObject({{"schema", schema}}));
  return JsonObject(types);
}

std::string Response(std::string_view description, const std::string& content = {},
                     const std::string& headers = {}) {
  return JsonObject(
      {{"description", JsonText(description)}, {"headers", headers}, {"content", content}});
}

std::string Header(std::string_view description) {
  return JsonObject({{"description", JsonText(description)}, {"schema", Simple("string")}});
}

std::string Parameter(std::string_view name, std::string_view in, bool required,
                      std::string_view description, const std::string& schema) {
  return JsonObject({{"name", JsonText(name)},
                     {"in", JsonText(in)},
                     {"required", required ? "true" : ""},
                     {"description", description.empty() ? "" : JsonText(description)},
                     {"schema", schema}});
}

// The errors that every route may answer, beside its own answers.
std::string Responses(JsonMembers own) {
  for (const auto& [status, description] :
       std::initializer_list<std::pair<const char*, const char*>>{
           {"400", "the request is wrong as it stands"},
           {"401", "no token, or one that is not valid"},
           {"403", "the token lacks a scope"},
           {"429", "try again later"},
           {"503", "the node is starting, stopping, or has too much to do"}})
    own.emplace_back(
        status, Response(description, Content({{"application/json", Ref("schemas", "Error")}})));
  return JsonObject(own);
}

std::string ErrorResponse(std::string_view description) {
  return Response(description, Content({{"application/json", Ref("schemas", "Error")}}));
}

std::vector<std::string> CommonParameters() {
  return {Ref("parameters", "after"), Ref("parameters", "timeout"), Ref("parameters", "numbers")};
}

// A name as components may have one.
std::string ComponentName(std::string name) {
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_';
    if (!plain) c = '_';
  }
  return name;
}

std::string Summary(const catalog::Object& object, std::string_view otherwise) {
  return JsonText(object.comments.object.empty() ? otherwise : object.comments.object);
}

// With page_size or cursor.
std::string PageSchema(const std::string& rows) {
  return JsonObject(
      {{"type", JsonText("object")},
       {"properties", JsonObject({{"rows", rows}, {"next", OrNull(Simple("string"))}})},
       {"required", R"(["rows","next"])"}});
}

std::string OfEndpoint(const catalog::Object& object, const ColumnsOf& columns_of) {
  const auto& endpoint = std::get<catalog::EndpointDefinition>(object.definition);
  std::vector<std::string> parameters;
  for (const auto& parameter : endpoint.parameters) {
    const bool in_path = endpoint.path.find("{" + parameter.name + "}") != std::string::npos;
    JsonMembers schema = {{"allOf", JsonArray({SchemaOf(parameter.type)})},
                          {"default", Default(parameter.default_value)}};
    parameters.push_back(
        Parameter(parameter.name, in_path ? "path" : "query", in_path || !parameter.default_value,
                  parameter.check.empty() ? std::string() : "CHECK (" + parameter.check + ")",
                  JsonObject(schema)));
  }
  for (std::string& common : CommonParameters()) parameters.push_back(std::move(common));
  parameters.push_back(Ref("parameters", "last_event_id"));
  const bool paged = runtime::HasOrder(endpoint.select);
  if (paged) {
    parameters.push_back(Ref("parameters", "page_size"));
    parameters.push_back(Ref("parameters", "cursor"));
  }
  const auto columns = columns_of(endpoint);
  const std::string row = columns.ok() ? AnswerSchema(*columns) : Simple("object");
  std::string rows = JsonObject({{"type", JsonText("array")}, {"items", row}});
  if (paged) rows = AnyOf({rows, PageSchema(rows)});
  JsonMembers formats = RowsContent(rows, row);
  formats.emplace_back(kEventStream, Simple("string"));
  const std::string headers = JsonObject(
      {{"ETag", Header("the step of the content")},
       {"Link", paged ? Header("of a page: the next one, rel=\"next\"") : ""},
       {"X-Data-Timestamp", Header("how far event time has come in the streams behind it")}});
  return JsonObject(
      {{"get",
        JsonObject(
            {{"operationId", JsonText(endpoint.name)},
             {"summary", Summary(object, endpoint.name)},
             {"tags", JsonArray({JsonText("endpoints")})},
             {"parameters", JsonArray(parameters)},
             {"responses",
              Responses({{"101", Response("a WebSocket: the rows and every change of them")},
                         {"200", Response("the rows, or with text/event-stream these and every "
                                          "change of them",
                                          Content(formats), headers)},
                         {"304", Response("nothing has changed since the tag of If-None-Match")},
                         {"504", ErrorResponse("the query took longer than the timeout")}})}})}});
}

std::string OfStream(const catalog::Object& object) {
  const auto& stream = std::get<catalog::StreamDefinition>(object.definition);
  const std::string row = Ref("schemas", "stream." + ComponentName(stream.name));
  const std::string body = JsonObject(
      {{"required", "true"},
       {"content",
        Content({{"application/json",
                  AnyOf({row, JsonObject({{"type", JsonText("array")}, {"items", row}})})},
                 {"application/x-ndjson", row},
                 {"text/csv", Simple("string")},
                 {"application/cloudevents+json", row},
                 {"application/cloudevents-batch+json",
                  JsonObject({{"type", JsonText("array")}, {"items", row}})}})}});
  return JsonObject(
      {{"post",
        JsonObject(
            {{"operationId", JsonText("append_to_" + stream.name)},
             {"summary", Summary(object, "append rows to " + stream.name)},
             {"tags", JsonArray({JsonText("streams")})},
             {"parameters",
              JsonArray({Ref("parameters", "timeout"),
                         Parameter("wait", "query", false, "answer when the views have the rows",
                                   JsonObject({{"enum", R"(["visible"])"}})),
                         Parameter("Idempotency-Key", "header", false, "append once",
                                   Simple("string"))})},
             {"requestBody", body},
             {"responses", Responses({{"200", Response("the rows are on disk",
                                                       Content({{"application/json",
                                                                 Ref("schemas", "Appended")}}))},
                                      {"413", ErrorResponse("too large")},
                                      {"415", ErrorResponse("content type or encoding")},
                                      {"422", ErrorResponse("every row was rejected")}})}})}});
}

std::string OfTable(const catalog::Object& object) {
  const auto& table = std::get<catalog::TableDefinition>(object.definition);
  const std::string row = Ref("schemas", "table." + ComponentName(table.name));
  const std::string content = Content({{"application/json", row}});
  const std::string tag = JsonObject({{"ETag", Header("a tag of the row's values")}});
  std::string key = "the value of " + Quoted(table.primary_key.front());
  if (table.primary_key.size() > 1) {
    key = "a JSON array of the values of";
    for (const std::string& column : table.primary_key) key += " " + Quoted(column);
  }
  const auto condition = [](std::string_view name) {
    return Parameter(name, "header", false, "a list of tags, or *", Simple("string"));
  };
  const auto operation = [&](std::string_view method, std::vector<std::string> parameters,
                             JsonMembers more, JsonMembers answers) {
    for (std::string& common : CommonParameters()) parameters.push_back(std::move(common));
    JsonMembers members = {
        {"operationId", JsonText(fmt::format("{}_row_of_{}", method, table.name))},
        {"summary", Summary(object, fmt::format("{} a row of {}", method, table.name))},
        {"tags", JsonArray({JsonText("tables")})},
        {"parameters", JsonArray(parameters)}};
    members.insert(members.end(), more.begin(), more.end());
    members.emplace_back("responses", Responses(std::move(answers)));
    return JsonObject(members);
  };
  const std::string none = ErrorResponse("there is no row with this key");
  JsonMembers path = {
      {"parameters", JsonArray({Parameter("key", "path", true, key, Simple("string"))})},
      {"get", operation("get", {condition("If-None-Match")}, {},
                        {{"200", Response("the row", content, tag)},
                         {"304", Response("it has the tag of If-None-Match")},
                         {"404", none}})}};
  const std::string refused = ErrorResponse("the row is not what the condition says");
  path.emplace_back(
      "put", operation("put", {condition("If-Match"), condition("If-None-Match")},
                       {{"requestBody", JsonObject({{"required", "true"}, {"content", content}})}},
                       {{"200", Response("another row had its place", content, tag)},
                        {"201", Response("it is new", content, tag)},
                        {"204", Response("it has been deleted again since")},
                        {"412", refused}}));
  path.emplace_back("delete",
                    operation("delete", {condition("If-Match")}, {},
                              {{"204", Response("it is gone")}, {"404", none}, {"412", refused}}));
  return JsonObject(path);
}

std::string OfStatements() {
  const std::string request =
      JsonObject({{"type", JsonText("object")},
                  {"required", R"(["sql"])"},
                  {"properties", JsonObject({{"sql", Simple("string")}, {"params", "true"}})}});
  const std::string result = JsonObject(
      {{"type", JsonText("object")},
       {"properties",
        R"({"columns":{"type":"array"},"rows":{"type":"array"},"step":{"type":"integer"},)"
        R"("tag":{"type":"string"},"token":{"type":"string"}})"}});
  return JsonObject(
      {{"post",
        JsonObject(
            {{"operationId", JsonText("run_statements")},
             {"summary", JsonText("run SQL statements")},
             {"tags", JsonArray({JsonText("sql")})},
             {"parameters", JsonArray(CommonParameters())},
             {"requestBody",
              JsonObject({{"required", "true"},
                          {"content", Content({{"application/json", request},
                                               {"application/sql", Simple("string")}})}})},
             {"responses",
              Responses({{"200", Response("the last statement's result",
                                          Content(RowsContent(result, Simple("object"))))}})}})}});
}

std::string OfState(std::string_view id, std::string_view summary, std::string_view type) {
  return JsonObject(
      {{"get",
        JsonObject(
            {{"operationId", JsonText(id)},
             {"summary", JsonText(summary)},
             {"tags", JsonArray({JsonText("node")})},
             {"responses",
              Responses({{"200", Response(summary, Content({{std::string(type), "true"}}))}})}})}});
}

std::string Components(JsonMembers schemas) {
  schemas.emplace_back(
      "Error",
      R"({"type":"object","required":["error"],"properties":{"error":{"type":"object",)"
      R"("required":["code","message"],"properties":{"code":{"type":"string"},)"
      R"("message":{"type":"string"},"hint":{"type":"string"},"position":{"type":"object"}}}},)"
      R"("examples":[{"error":{"code":"not_found","message":"stream \"click\" does not exist",)"
      R"("hint":"did you mean \"clicks\"?"}}]})");
  schemas.emplace_back(
      "Appended", R"({"type":"object","properties":{"accepted":{"type":"integer"},)"
                  R"("quarantined":{"type":"integer"},"rejected":{"type":"array"},)"
                  R"("rejected_count":{"type":"integer"},"token":{"type":"string"}},)"
                  R"("examples":[{"accepted":1,"quarantined":0,"rejected":[],"rejected_count":0,)"
                  R"("token":"AAAAAAAAACo"}]})");
  const JsonMembers parameters = {
      {"after",
       Parameter("after", "query", false, "a token: wait until it is visible", Simple("string"))},
      {"timeout", Parameter("timeout", "query", false, "5s, 250ms, 2m", Simple("string"))},
      {"last_event_id", Parameter("last_event_id", "query", false,
                                  "of a live answer: the id of the last event that the client has",
                                  Simple("string"))},
      {"page_size",
       Parameter("page_size", "query", false, "answer with a page: an object {rows, next}",
                 R"({"type":"integer","minimum":1,"maximum":10000,"default":100})")},
      {"cursor", Parameter("cursor", "query", false, "next of the page before", Simple("string"))},
      {"numbers", Parameter("numbers", "query", false, "64-bit integers and decimals as strings",
                            JsonObject({{"enum", R"(["string"])"}}))}};
  return JsonObject({{"schemas", JsonObject(schemas)},
                     {"parameters", JsonObject(parameters)},
                     {"securitySchemes", R"({"token":{"type":"http","scheme":"bearer"}})"}});
}

}  // namespace

std::string OpenApiText(const catalog::Catalog& catalog, const std::string& version,
                        const ColumnsOf& columns_of) {
  JsonMembers paths;
  JsonMembers schemas;
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kEndpoint)) {
    const auto& endpoint = std::get<catalog::EndpointDefinition>(object->definition);
    paths.emplace_back(endpoint.path, OfEndpoint(*object, columns_of));
  }
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kStream)) {
    const auto& stream = std::get<catalog::StreamDefinition>(object->definition);
    if (stream.format == catalog::StreamDefinition::Format::kRaw) continue;
    paths.emplace_back("/v1/streams/" + PercentEncode(stream.name), OfStream(*object));
    schemas.emplace_back("stream." + ComponentName(stream.name),
                         RowSchema(stream.schema, object->comments, {}));
  }
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kTable)) {
    const auto& table = std::get<catalog::TableDefinition>(object->definition);
    if (table.primary_key.empty()) continue;
    paths.emplace_back("/v1/tables/" + PercentEncode(table.name) + "/{key}", OfTable(*object));
    schemas.emplace_back("table." + ComponentName(table.name),
                         RowSchema(table.schema, object->comments, table.primary_key));
  }
  for (auto& path : ModelPaths(catalog)) paths.push_back(std::move(path));
  for (auto& schema : ModelSchemas(catalog)) schemas.push_back(std::move(schema));
  paths.emplace_back("/v1/sql", OfStatements());
  paths.emplace_back("/v1/ledger", OfState("ledger", "the books of every hop", "application/json"));
  paths.emplace_back("/metrics", OfState("metrics", "figures for Prometheus", "text/plain"));
  paths.emplace_back("/healthz", OfState("healthz", "is it alive", "application/json"));
  paths.emplace_back("/readyz", OfState("readyz", "can it take requests", "application/json"));
  return JsonObject({{"openapi", JsonText("3.1.0")},
                     {"info", JsonObject({{"title", JsonText("Millrace")},
                                          {"version", JsonText(version)}})},
                     {"servers", R"([{"url":"/"}])"},
                     {"security", R"([{"token":[]},{}])"},
                     {"paths", JsonObject(paths)},
                     {"components", Components(std::move(schemas))}}) +
         "\n";
}

}  // namespace millrace::http
