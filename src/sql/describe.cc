// Database::Describe: what a statement takes and gives, without running it.
#include "sql/database.h"

#include <optional>
#include <set>

#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"
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

struct Attempt {
  ParameterTypes types;  // those that were given, and what follows from them
  std::string unknown;   // the first parameter of which nothing follows; empty: none
  bool planned = false;
  QueryResult result;  // its columns, where planned
  // What the elements of a list of nothing but NULL are compared with; empty: no such list.
  std::optional<duckdb::LogicalType> compared;
};

// `x = ANY(list)` is a join with the list's elements, each cast to what `x` is.
std::optional<duckdb::LogicalType> ComparedWithNulls(duckdb::LogicalOperator& op) {
  if (op.type == duckdb::LogicalOperatorType::LOGICAL_COMPARISON_JOIN ||
      op.type == duckdb::LogicalOperatorType::LOGICAL_DELIM_JOIN) {
    for (const auto& condition : op.Cast<duckdb::LogicalComparisonJoin>().conditions) {
      const duckdb::Expression& right = *condition.right;
      if (right.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CAST &&
          right.Cast<duckdb::BoundCastExpression>().child->return_type.id() ==
              duckdb::LogicalTypeId::SQLNULL)
        return right.return_type;
    }
  }
  for (const auto& child : op.children) {
    if (auto found = ComparedWithNulls(*child)) return found;
  }
  return std::nullopt;
}

// May throw DuckDB's exceptions.
Attempt TryToPlan(duckdb::ClientContext& client, duckdb::SQLStatement& statement,
                  const ParameterTypes& types) {
  Attempt attempt;
  attempt.types = types;
  client.RunFunctionInTransaction([&] {
    duckdb::Planner planner(client);
    GiveTypes(types, planner);
    planner.CreatePlan(statement.Copy());
    for (const auto& [name, data] : planner.value_map) {
      const duckdb::LogicalTypeId id = data->return_type.id();
      if (id == duckdb::LogicalTypeId::UNKNOWN || id == duckdb::LogicalTypeId::INVALID) continue;
      attempt.types.emplace(name, data->return_type);
    }
    size_t unknown_index = 0;
    for (const auto& [name, index] : statement.named_param_map) {
      if (attempt.types.contains(name) || (!attempt.unknown.empty() && index >= unknown_index))
        continue;
      attempt.unknown = name;
      unknown_index = index;
    }
    attempt.planned = attempt.unknown.empty() && planner.plan != nullptr;
    if (attempt.planned) attempt.result.schema = SchemaOf(planner.names, planner.types);
    if (planner.plan != nullptr) attempt.compared = ComparedWithNulls(*planner.plan);
  });
  return attempt;
}

// DuckDB throws it on as a plain Exception where it has looked at it in between.
bool IsBinderError(const std::exception& exception) {
  return duckdb::ErrorData(exception).Type() == duckdb::ExceptionType::BINDER;
}

// What a parameter may be where neither nothing nor a text binds: `$1 + 1`, `x = ANY($1)`.
const std::vector<duckdb::LogicalType>& OtherTypes() {
  using duckdb::LogicalType;
  static const std::vector<LogicalType> types = {LogicalType::BIGINT, LogicalType::DOUBLE,
                                                 LogicalType::TIMESTAMP,
                                                 LogicalType::LIST(LogicalType::SQLNULL)};
  return types;
}

// `open`: parameters that have no type, or that of a text for want of another; the first of them
// that makes the statement bind gets another.
Attempt TryTypes(duckdb::ClientContext& client, duckdb::SQLStatement& statement,
                 const ParameterTypes& types, const std::set<std::string>& open) {
  try {
    return TryToPlan(client, statement, types);
  } catch (const std::exception& exception) {
    if (!IsBinderError(exception)) throw;
    for (const std::string& name : open) {
      for (const duckdb::LogicalType& type : OtherTypes()) {
        ParameterTypes others = types;
        others[name] = type;
        try {
          Attempt attempt = TryToPlan(client, statement, others);
          if (type.id() != duckdb::LogicalTypeId::LIST) return attempt;
          others[name] =
              duckdb::LogicalType::LIST(attempt.compared.value_or(duckdb::LogicalType::VARCHAR));
          return TryToPlan(client, statement, others);
        } catch (const std::exception& other) {
          if (!IsBinderError(other)) throw;  // else the first error says more
        }
      }
    }
    throw;
  }
}

}  // namespace

Result<QueryResult> PlanParameters(duckdb::ClientContext& client, duckdb::SQLStatement& statement,
                                   ParameterTypes& types) {
  // A parameter of which nothing follows is a text. Each that is taken for one may say more of the
  // others: one after the other.
  std::set<std::string> open;
  for (const auto& [name, index] : statement.named_param_map) {
    if (!types.contains(name)) open.insert(name);
  }
  for (size_t count = 0; count <= statement.named_param_map.size() + 1; ++count) {
    Attempt attempt = TryTypes(client, statement, types, open);
    if (attempt.planned) {
      types = std::move(attempt.types);
      return std::move(attempt.result);
    }
    if (!attempt.unknown.empty()) {
      types[attempt.unknown] = duckdb::LogicalType::VARCHAR;
      continue;
    }
    // Some functions bind only once they know all types: the next attempt tells them.
    if (attempt.types.size() == types.size()) break;
    types = std::move(attempt.types);
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
