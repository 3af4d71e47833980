#include "http/sql_request.h"

#include <simdjson.h>

#include <utility>
#include <vector>

#include "http/negotiation.h"
#include "http/problem.h"
#include "rows/json_parse.h"

namespace millrace::http {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr int kNestingMax = 16;

Result<duckdb::Value> ToValue(const element& json, int depth);

Result<duckdb::Value> ToList(const simdjson::dom::array& array, int depth) {
  duckdb::vector<duckdb::Value> values;
  duckdb::LogicalType type = duckdb::LogicalType::SQLNULL;
  for (const element item : array) {
    TRY(duckdb::Value value, ToValue(item, depth));
    type = duckdb::LogicalType::ForceMaxLogicalType(type, value.type());
    values.push_back(std::move(value));
  }
  try {
    return duckdb::Value::LIST(type, std::move(values));
  } catch (const std::exception&) {
    return BadJson("the elements of a list have no type in common");
  }
}

Result<duckdb::Value> ToStruct(const simdjson::dom::object& object, int depth) {
  duckdb::child_list_t<duckdb::Value> fields;
  for (const auto field : object) {
    TRY(duckdb::Value value, ToValue(field.value, depth));
    fields.emplace_back(std::string(field.key), std::move(value));
  }
  if (fields.empty()) return BadJson("a parameter is an empty object");
  return duckdb::Value::STRUCT(std::move(fields));
}

// Takes the content of `json` out as a T. REQUIRES: it is one.
template <typename T>
T Content(const element& json) {
  T content{};
  const simdjson::error_code failed = json.get(content);
  CHECK(failed == simdjson::SUCCESS);
  return content;
}

// Integers stay exact: those that 64 bits do not hold are strings by now, as is what no double
// holds. Other numbers with a fraction are DOUBLEs: send a string where a DECIMAL must be exact.
Result<duckdb::Value> ToValue(const element& json, int depth) {
  if (depth > kNestingMax) return BadJson("a parameter is nested too deeply");
  switch (json.type()) {
    case element_type::NULL_VALUE:
      return duckdb::Value();
    case element_type::BOOL:
      return duckdb::Value::BOOLEAN(Content<bool>(json));
    case element_type::INT64:
      return duckdb::Value::BIGINT(Content<int64_t>(json));
    case element_type::UINT64:
      return duckdb::Value::UBIGINT(Content<uint64_t>(json));
    case element_type::DOUBLE:
      return duckdb::Value::DOUBLE(Content<double>(json));
    case element_type::STRING:
      return duckdb::Value(std::string(Content<std::string_view>(json)));
    case element_type::ARRAY:
      return ToList(Content<simdjson::dom::array>(json), depth + 1);
    case element_type::OBJECT:
      return ToStruct(Content<simdjson::dom::object>(json), depth + 1);
  }
  return BadJson("a parameter is of an unknown kind");
}

Result<std::map<std::string, duckdb::Value>> ToParameters(const element& json) {
  std::map<std::string, duckdb::Value> parameters;
  if (json.is_array()) {
    for (const element item : Content<simdjson::dom::array>(json)) {
      TRY(duckdb::Value value, ToValue(item, 0));
      const std::string position = std::to_string(parameters.size() + 1);
      parameters.emplace(position, std::move(value));
    }
    return parameters;
  }
  if (!json.is_object()) return BadJson("params must be an array or an object");
  for (const auto field : Content<simdjson::dom::object>(json)) {
    TRY(duckdb::Value value, ToValue(field.value, 0));
    parameters.emplace(std::string(field.key), std::move(value));
  }
  return parameters;
}

Result<SqlRequest> FromJson(std::string_view body) {
  simdjson::dom::parser parser;
  element json;
  if (const Status parsed = rows::ParseJson(body, parser, json); !parsed.ok())
    return BadJson(parsed.error().message());
  constexpr const char* kExample = R"(send {"sql": "SELECT 1", "params": []})";
  if (!json.is_object()) return BadJson("it must be an object").Hint(kExample);
  SqlRequest request;
  bool has_sql = false;
  for (const auto field : Content<simdjson::dom::object>(json)) {
    if (field.key == "sql" && field.value.is_string()) {
      request.sql = std::string(Content<std::string_view>(field.value));
      has_sql = true;
    } else if (field.key == "params") {
      TRY(request.parameters, ToParameters(field.value));
    } else {
      return BadJson(fmt::format("field {} is not understood", Quoted(field.key))).Hint(kExample);
    }
  }
  if (!has_sql) return BadJson("sql is missing").Hint(kExample);
  return request;
}

}  // namespace

Result<SqlRequest> ParseSqlRequest(std::optional<std::string_view> content_type, std::string body) {
  const std::string type = BareMediaType(content_type.value_or(std::string_view()));
  if (type == "application/json") return FromJson(body);
  if (type == "application/sql" || type == "text/plain") return SqlRequest{std::move(body), {}};
  return Error(Code::kNotSupported, "Content-Type {} is not understood", Quoted(type))
      .Hint(
          "send application/sql (the text), or application/json: {\"sql\": \"…\", \"params\": "
          "[…]}");
}

}  // namespace millrace::http
