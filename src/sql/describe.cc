// Database::Describe: what a statement takes and gives, without running it.
#include "sql/database.h"

#include "duckdb/planner/planner.hpp"
#include "sql/vocabulary.h"
#include "sql/write_statement.h"

namespace millrace::sql {
namespace {

// The types of parameters as DuckDB takes them: values that are NULL.
void GiveTypes(const ParameterTypes& types, duckdb::Planner& planner) {
  for (const auto& [name, type] : types)
    planner.parameter_data.emplace(name, duckdb::BoundParameterData(duckdb::Value(type)));
}

}  // namespace

Result<QueryResult> PlanParameters(duckdb::ClientContext& client, duckdb::SQLStatement& statement,
                                   ParameterTypes& types) {
  // A parameter of which nothing follows is a text. Each that is taken for one may say more of the
  // others: one after the other.
  for (size_t attempt = 0; attempt <= statement.named_param_map.size() + 1; ++attempt) {
    QueryResult result;
    std::string unknown;
    bool resolved = false;
    bool hopeless = false;
    client.RunFunctionInTransaction([&] {
      duckdb::Planner planner(client);
      GiveTypes(types, planner);
      planner.CreatePlan(statement.Copy());
      ParameterTypes found = types;
      for (const auto& [name, data] : planner.value_map) {
        const duckdb::LogicalTypeId id = data->return_type.id();
        if (id == duckdb::LogicalTypeId::UNKNOWN || id == duckdb::LogicalTypeId::INVALID) continue;
        found.emplace(name, data->return_type);
      }
      size_t unknown_index = 0;
      for (const auto& [name, index] : statement.named_param_map) {
        if (found.contains(name) || (!unknown.empty() && index >= unknown_index)) continue;
        unknown = name;
        unknown_index = index;
      }
      resolved = unknown.empty() && planner.plan != nullptr;
      // Some functions bind only once they know all types: the next attempt tells them.
      const bool all_found = unknown.empty() && found.size() > types.size();
      if (resolved || all_found) types = std::move(found);
      if (resolved) result.schema = SchemaOf(planner.names, planner.types);
      hopeless = unknown.empty() && !all_found;
    });
    if (resolved) return result;
    if (hopeless) break;
    if (!unknown.empty()) types[unknown] = duckdb::LogicalType::VARCHAR;
  }
  return Error(Code::kInvalidArgument, "the types of the parameters do not follow from the query")
      .Hint("cast them: $1::BIGINT")
      .SqlState("42P18");
}

Result<Database::Described> Database::Describe(std::shared_ptr<const Snapshot> snapshot,
                                               const Statement& statement,
                                               const ParameterTypes& given) {
  const auto* select = std::get_if<SelectStatement>(&statement.statement);
  const auto* write = std::get_if<WriteStatement>(&statement.statement);
  Described described;
  described.parameters = given;
  if (select == nullptr && write == nullptr) return described;
  const std::string& text = select != nullptr ? select->text : write->text;
  const Place place = Place::OfWhole(text);
  const auto describe_write = [&]() -> Result<Described> {
    static const std::map<std::string, duckdb::Value> kNone;
    WriteEvaluation evaluation(*this, *impl_, snapshot, place, kNone, {});
    TRY(described.schema, evaluation.Describe(*write, described.parameters));
    return described;
  };
  if (write != nullptr) {
    return Guard(describe_write, [&](const duckdb::ErrorData& error) -> Result<Described> {
      return FromDuckDb(error, place, "", {});
    });
  }
  ConnectionPool::Lease lease = impl_->query_connections.Take();
  QueryContext& context = lease->context();
  context.catalog = &snapshot->catalog();
  context.snapshot = snapshot.get();
  const auto describe = [&]() -> Result<Described> {
    TRY(Teach(*lease, snapshot->catalog()));
    TRY(const auto parsed, ParseSelect(text));
    TRY(QueryResult result, PlanParameters(lease->client(), *parsed, described.parameters));
    described.schema = std::move(result.schema);
    return described;
  };
  return Guard(describe, [&](const duckdb::ErrorData& error) -> Result<Described> {
    return FromCall(error, place, context);
  });
}

}  // namespace millrace::sql
