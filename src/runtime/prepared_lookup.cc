#include "runtime/prepared_lookup.h"

#include "runtime/keyed_lookup.h"

namespace millrace::runtime {

namespace {

// The value in the parameter's type, where that changes nothing of it.
bool InType(duckdb::Value& value, const duckdb::LogicalType& type) {
  if (value.type() == type) return true;
  if (value.IsNull()) {
    value = duckdb::Value(type);
    return true;
  }
  if (!value.type().IsIntegral() || !type.IsIntegral()) return false;
  return value.DefaultTryCastAs(type);
}

}  // namespace

std::shared_ptr<const PreparedLookup> PreparedLookup::Recognise(
    const Published& published, const std::string& select, const sql::ParameterTypes& parameters) {
  catalog::EndpointDefinition definition;
  definition.select = select;
  for (const auto& [name, type] : parameters)
    definition.parameters.push_back({name, type, std::nullopt, ""});
  std::optional<KeyedLookup> lookup = RecogniseKeyedLookup(definition, *published.relations);
  if (!lookup) return nullptr;
  return std::shared_ptr<const PreparedLookup>(
      new PreparedLookup(published.catalog->version(), *std::move(lookup), parameters));
}

Result<std::optional<sql::QueryResult>> PreparedLookup::Answer(
    const Published& published, const std::map<std::string, duckdb::Value>& values) const {
  std::optional<sql::QueryResult> none;
  if (published.catalog->version() != catalog_version_) return none;
  std::map<std::string, duckdb::Value> typed = values;
  for (const auto& [name, type] : parameters_) {
    const auto value = typed.find(name);
    if (value == typed.end() || !InType(value->second, type)) return none;
  }
  bool indexed = true;
  Result<sql::QueryResult> rows =
      AnswerKeyed(lookup_, typed, published.state.step, [&]() -> Status {
        indexed = false;
        return Error(Code::kUnavailable, "no index has all rows");
      });
  if (!indexed) return none;
  if (!rows.ok()) return rows.error();
  return std::optional<sql::QueryResult>(*std::move(rows));
}

bool PreparedLookup::IsQuick(const Published& published) const {
  return published.catalog->version() == catalog_version_ &&
         lookup_.relation->content->cold_entry_count() == 0;
}

}  // namespace millrace::runtime
