// Database::Describe: what a statement takes and gives, without running it.
#include "sql/database.h"

#include "duckdb/planner/expression/bound_unnest_expression.hpp"
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
  // What the elements of lists whose type says nothing yet are compared with, by parameter.
  ParameterTypes compared;
};

// The type of a list whose elements are not known yet: those of parameter `name`.
duckdb::LogicalType OpenList(const std::string& name) {
  auto type = duckdb::LogicalType::LIST(duckdb::LogicalType::SQLNULL);
  type.SetAlias(name);
  return type;
}

bool IsOpenList(const duckdb::LogicalType& type) {
  return type.id() == duckdb::LogicalTypeId::LIST &&
         duckdb::ListType::GetChildType(type).id() == duckdb::LogicalTypeId::SQLNULL;
}

// The parameter whose open list is unnested there; empty: none.
std::string UnnestedList(const duckdb::LogicalOperator& op) {
  if (op.type == duckdb::LogicalOperatorType::LOGICAL_UNNEST) {
    for (const auto& expression : op.expressions) {
      const auto& list = expression->Cast<duckdb::BoundUnnestExpression>().child->return_type;
      if (IsOpenList(list)) return list.GetAlias();
    }
  }
  for (const auto& child : op.children) {
    if (std::string name = UnnestedList(*child); !name.empty()) return name;
  }
  return "";
}

// `x = ANY(list)` is a join with the list's elements, each cast to what `x` is.
void FindCompared(const duckdb::LogicalOperator& op, ParameterTypes& compared) {
  if (op.type == duckdb::LogicalOperatorType::LOGICAL_COMPARISON_JOIN ||
      op.type == duckdb::LogicalOperatorType::LOGICAL_DELIM_JOIN) {
    for (const auto& condition : op.Cast<duckdb::LogicalComparisonJoin>().conditions) {
      const std::string name = UnnestedList(*op.children[1]);
      if (!name.empty()) compared.emplace(name, condition.right->return_type);
    }
  }
  for (const auto& child : op.children) FindCompared(*child, compared);
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
    if (planner.plan != nullptr) FindCompared(*planner.plan, attempt.compared);
  });
  return attempt;
}

// DuckDB throws it on as a plain Exception where it has looked at it in between.
bool IsBinderError(const std::exception& exception) {
  return duckdb::ErrorData(exception).Type() == duckdb::ExceptionType::BINDER;
}

// Plans with parameter `name` as a text, or, where no text binds, as the first of these that does:
// a number (`$1 + 1`), a time, a list (`x = ANY($1)`). Notes in `types` what it is.
Attempt TakeParameter(duckdb::ClientContext& client, duckdb::SQLStatement& statement,
                      const std::string& name, ParameterTypes& types) {
  types[name] = duckdb::LogicalType::VARCHAR;
  try {
    return TryToPlan(client, statement, types);
  } catch (const std::exception& exception) {
    if (!IsBinderError(exception)) throw;
    for (const duckdb::LogicalType& type :
         {duckdb::LogicalType(duckdb::LogicalType::BIGINT),
          duckdb::LogicalType(duckdb::LogicalType::DOUBLE),
          duckdb::LogicalType(duckdb::LogicalType::TIMESTAMP), OpenList(name)}) {
      types[name] = type;
      try {
        return TryToPlan(client, statement, types);
      } catch (const std::exception& other) {
        if (!IsBinderError(other)) throw;  // else the first error says more
      }
    }
    throw;
  }
}

// True: there were open lists, whose elements are what they are compared with now, or texts.
bool CloseLists(const ParameterTypes& compared, ParameterTypes& types) {
  bool closed = false;
  for (auto& [name, type] : types) {
    if (!IsOpenList(type)) continue;
    const auto element = compared.find(name);
    type = duckdb::LogicalType::LIST(element == compared.end() ? duckdb::LogicalType::VARCHAR
                                                               : element->second);
    closed = true;
  }
  return closed;
}

}  // namespace

Result<QueryResult> PlanParameters(duckdb::ClientContext& client, duckdb::SQLStatement& statement,
                                   ParameterTypes& types) {
  // A parameter of which nothing follows is a text, if it can be one. Each that is taken for
  // something may say more of the others: one after the other.
  std::string unknown;
  for (size_t count = 0; count <= statement.named_param_map.size() + 2; ++count) {
    Attempt attempt = unknown.empty() ? TryToPlan(client, statement, types)
                                      : TakeParameter(client, statement, unknown, types);
    unknown = attempt.unknown;
    if (!unknown.empty()) continue;
    if (attempt.planned && !CloseLists(attempt.compared, attempt.types)) {
      types = std::move(attempt.types);
      return std::move(attempt.result);
    }
    // Some functions bind only once they know all types: the next attempt tells them.
    if (!attempt.planned && attempt.types.size() == types.size()) break;
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
