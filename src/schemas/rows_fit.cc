#include "schemas/rows_fit.h"

#include <algorithm>

#include "rows/decode.h"
#include "schemas/fields.h"

namespace millrace::schemas {

namespace {

// A value of the kind that a type takes if it takes any; of arrays, with as many elements.
std::vector<std::string> SamplesOf(JsonKind kind, const duckdb::LogicalType& type) {
  switch (kind) {
    case kJsonNull:
      return {"null"};
    case kJsonBoolean:
      return {"true"};
    case kJsonNumber:
      return {"0"};
    case kJsonObject:
      return {"{}"};
    case kJsonArray: {
      if (type.id() != duckdb::LogicalTypeId::ARRAY) return {"[]"};
      std::string nulls;
      for (duckdb::idx_t i = 0; i < duckdb::ArrayType::GetSize(type); ++i)
        nulls += i == 0 ? "null" : ",null";
      return {"[" + nulls + "]"};
    }
    default:
      return {};
  }
}

// Asked of what decodes rows, so that both say the same.
bool Takes(const rows::Column& column, uint8_t kinds) {
  if ((kinds & kJsonText) != 0) return true;  // a text may be whatever it says
  rows::Schema one;
  one.columns.push_back(column);
  one.columns[0].name = "c";
  one.columns[0].aliases.clear();
  rows::JsonDecoder decoder(one, {0});
  for (const JsonKind kind : {kJsonNull, kJsonBoolean, kJsonNumber, kJsonArray, kJsonObject}) {
    if ((kinds & kind) == 0) continue;
    for (const std::string& sample : SamplesOf(kind, column.type)) {
      const std::string row = "{\"c\":" + sample + "}";
      const std::string_view value = row;
      if (decoder.Decode({&value, 1}).errors.empty()) return true;
    }
  }
  return false;
}

std::string KindsText(uint8_t kinds) {
  std::string text;
  const auto add = [&](JsonKind kind, std::string_view name) {
    if ((kinds & kind) != 0) text += fmt::format("{}{}", text.empty() ? "" : " or ", name);
  };
  add(kJsonNull, "null");
  add(kJsonBoolean, "a boolean");
  add(kJsonNumber, "a number");
  add(kJsonArray, "an array");
  add(kJsonObject, "an object");
  return text;
}

std::vector<std::string> ProblemsOf(const Fields& fields, const rows::Schema& columns) {
  std::vector<std::string> problems;
  std::vector<bool> has_field(columns.columns.size(), false);
  for (const Fields::Field& field : fields.fields) {
    const auto found = columns.FindField(field.name);
    if (!found) continue;
    const rows::Column& column = columns.columns[*found];
    has_field[*found] = true;
    if (Takes(column, field.kinds)) continue;
    problems.push_back(
        fmt::format("column {} is {}{}, which the field {} can never be: it is {}; give the field "
                    "the column's type, or a text",
                    Quoted(column.name), column.type.ToString(), column.not_null ? " NOT NULL" : "",
                    Quoted(field.name), KindsText(field.kinds)));
  }
  for (size_t i = 0; i < has_field.size(); ++i) {
    const rows::Column& column = columns.columns[i];
    if (has_field[i] || fields.open || !column.not_null || column.default_value) continue;
    problems.push_back(fmt::format(
        "column {} is NOT NULL without a DEFAULT, and the schema has no field for it; add the "
        "field, or give the column a DEFAULT or DROP NOT NULL with ALTER STREAM",
        Quoted(column.name)));
  }
  return problems;
}

}  // namespace

std::vector<std::string> RowProblems(const Schema& schema, const rows::Schema& columns) {
  const std::vector<Fields> shapes = FieldsOf(schema);
  if (shapes.empty()) return {"a row is an object with fields, and no value of the schema is one"};
  std::vector<std::string> problems;
  for (const Fields& fields : shapes) {
    problems = ProblemsOf(fields, columns);
    if (problems.empty()) return {};
  }
  return problems;
}

}  // namespace millrace::schemas
