// Database::PlanView: parse, bind, optimise with the rules that help a circuit, map.
#include <set>

#include "catalog/sql_text.h"
#include "duckdb/execution/column_binding_resolver.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/planner.hpp"
#include "sql/clock.h"
#include "sql/database_impl.h"
#include "sql/view_planner.h"
#include "sql/vocabulary.h"
#include "sql/volatility.h"

namespace millrace::sql {
namespace {

// Column names as DuckDB's CREATE TABLE AS makes them: a name that stands twice gets a number.
std::vector<std::string> UniqueNames(const duckdb::vector<duckdb::string>& names) {
  std::set<std::string> taken;
  std::vector<std::string> out;
  for (const std::string& name : names) {
    std::string unique = name;
    for (int number = 1; !taken.insert(rows::LowerName(unique)).second; ++number) {
      unique = fmt::format("{}_{}", name, number);
    }
    out.push_back(std::move(unique));
  }
  return out;
}

// The catalog keeps types as text, which says nothing of fields without names (row(1, 2)).
Status CheckStorable(const rows::Column& column) {
  if (!column.type.IsNested() || catalog::ParseType(catalog::TypeText(column.type)).ok())
    return Ok();
  return Error(Code::kNotSupported, "column {} has a type that cannot be stored: {}",
               Quoted(column.name), column.type.ToString())
      .Hint("give its fields names: {'a': 1, 'b': 2} instead of row(1, 2)");
}

// The plan's columns under the names of the SELECT, NULLs without a type as INTEGER (DuckDB's own
// choice for a table).
NodeId NameColumns(PlanBuilder& plan, NodeId root, const std::vector<std::string>& names,
                   duckdb::ClientContext& client) {
  std::vector<stream::Expression> expressions;
  for (size_t i = 0; i < names.size(); ++i) {
    stream::Expression column = plan.Column(root, i);
    if (column->return_type.id() == duckdb::LogicalTypeId::SQLNULL) {
      column = Share(duckdb::BoundCastExpression::AddCastToType(client, column->Copy(),
                                                                duckdb::LogicalType::INTEGER));
    }
    expressions.push_back(std::move(column));
  }
  return plan.Project(root, std::move(expressions), names);
}

Result<ViewPlan> MapView(duckdb::ClientContext& client, ResidentFunctions& resident,
                         const catalog::Catalog& catalog, const catalog::ViewDefinition& view,
                         const Place& place) {
  TRY(auto statement, ParseSelect(view.select, QueryContext::Of(client).session_form));
  duckdb::Planner planner(client);
  planner.CreatePlan(std::move(statement));
  if (!planner.value_map.empty()) {
    return Error(Code::kInvalidArgument, "a view has no parameters: ${} has no value",
                 planner.value_map.begin()->first)
        .SqlState("42P02");
  }
  ReplaceClock(client, *planner.plan);
  if (const auto call = FindVolatile(*planner.plan)) {
    return place.Mark(
        Error(Code::kNotSupported,
              "{}() cannot be used in a materialized view: its value is not decided by the rows",
              call->function),
        call->location);
  }
  duckdb::Optimizer optimizer(*planner.binder, client);
  auto plan = optimizer.Optimize(std::move(planner.plan));
  resident.Bind(*plan);
  duckdb::ColumnBindingResolver resolver;
  plan->ResolveOperatorTypes();
  resolver.VisitOperator(*plan);
  plan->ResolveOperatorTypes();

  ViewPlanner mapper(client, catalog, view.emit_on_close, place);
  if (const duckdb::Expression* clock = ClockOutsideFilters(*plan))
    return mapper.RefuseClock(*clock);
  TRY(NodeId root, mapper.Map(*plan));
  root = NameColumns(mapper.plan(), root, UniqueNames(planner.names), client);
  if (view.emit_on_close) {
    TRY(root, mapper.WhenClosed(root));
  }

  ViewPlan out;
  out.plan = mapper.plan().Finish(root, view.name);
  const stream::Node& output = out.plan.nodes.back();
  for (size_t i = 0; i < output.types.size(); ++i) {
    rows::Column column;
    column.name = output.names[i];
    column.type = output.types[i];
    column.id = static_cast<int>(i);
    TRY(CheckStorable(column));
    out.schema.columns.push_back(std::move(column));
  }
  out.key = mapper.plan().key(root).value_or(Columns());
  out.notices = mapper.notices();
  return out;
}

}  // namespace

Result<ViewPlan> Database::PlanView(const catalog::Catalog& catalog,
                                    const catalog::ViewDefinition& view, const Origin& origin) {
  const Place place = Place::Of(origin, view.select);
  const std::string what = fmt::format("CREATE MATERIALIZED VIEW {}", view.name);
  ConnectionPool::Lease lease = impl_->circuit_connections.Take();
  QueryContext& context = lease->context();
  const auto plan_with = [&](SessionForm session_form) {
    context.Clear();
    context.catalog = &catalog;
    context.session_form = session_form;
    return Guard(
        [&]() -> Result<ViewPlan> {
          TRY(Teach(*lease, catalog));
          std::optional<Result<ViewPlan>> mapped;
          lease->client().RunFunctionInTransaction([&] {
            mapped.emplace(MapView(lease->client(), *impl_->resident, catalog, view, place));
          });
          return *std::move(mapped);
        },
        [&](const duckdb::ErrorData& error) -> Result<ViewPlan> {
          return FromCall(error, place, context);
        });
  };
  Result<ViewPlan> plan = plan_with(SessionForm::kPlannerCalls);
  if (context.session_refused) plan = plan_with(SessionForm::kWindowFunctions);
  if (!plan.ok()) return std::move(plan).With(what);
  plan->reads.assign(context.reads.begin(), context.reads.end());
  return plan;
}

Result<Database::Bound> Database::Bind(const catalog::Catalog& catalog, const std::string& select,
                                       const std::map<std::string, duckdb::LogicalType>& parameters,
                                       const Origin& origin) {
  const Place place = Place::Of(origin, select);
  ConnectionPool::Lease lease = impl_->circuit_connections.Take();
  QueryContext& context = lease->context();
  context.catalog = &catalog;
  const auto bind = [&]() -> Result<Bound> {
    TRY(Teach(*lease, catalog));
    TRY(auto statement, ParseSelect(select));
    for (const auto& [name, index] : statement->named_param_map) {
      if (!parameters.contains(name)) {
        return Error(Code::kInvalidArgument, "parameter ${} is not declared", name)
            .SqlState("42P02");
      }
    }
    Bound bound;
    lease->client().RunFunctionInTransaction([&] {
      duckdb::case_insensitive_map_t<duckdb::BoundParameterData> data;
      for (const auto& [name, type] : parameters)
        data.emplace(name, duckdb::BoundParameterData(duckdb::Value(type)));
      duckdb::Planner planner(lease->client());
      planner.parameter_data = std::move(data);
      planner.CreatePlan(std::move(statement));
      bound.schema = SchemaOf(planner.names, planner.types);
    });
    bound.reads.assign(context.reads.begin(), context.reads.end());
    return bound;
  };
  return Guard(bind, [&](const duckdb::ErrorData& error) -> Result<Bound> {
    return FromCall(error, place, context);
  });
}

}  // namespace millrace::sql
