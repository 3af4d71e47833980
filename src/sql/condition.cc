// Database::Condition: a CHECK as one expression over the columns of a row, without a query; and
// Database::CheckMacro.
#include "duckdb/execution/column_binding_resolver.hpp"
#include "duckdb/planner/planner.hpp"
#include "sql/database_impl.h"
#include "sql/plan_builder.h"
#include "sql/relation_binding.h"
#include "sql/vocabulary.h"
#include "sql/volatility.h"

namespace millrace::sql {
namespace {

constexpr const char* kRowRelation = "__millrace_checked";
constexpr std::string_view kPrefix = "SELECT CAST((";

class BoundCondition final : public Database::RowCondition {
 public:
  BoundCondition(duckdb::DuckDB& database, stream::Expression expression)
      : connection_(database),
        expression_(std::move(expression)),
        executor_(*connection_.context, *expression_) {}

  void Evaluate(duckdb::DataChunk& rows, std::vector<uint8_t>& passes) override {
    passes.assign(rows.size(), 0);
    if (TryEvaluate(rows, passes.data())) return;
    // Some row's evaluation fails: each row for itself then.
    duckdb::DataChunk row;
    for (size_t i = 0; i < rows.size(); ++i) {
      duckdb::SelectionVector selection(1);
      selection.set_index(0, i);
      row.Destroy();
      row.InitializeEmpty(rows.GetTypes());
      row.Slice(rows, selection, 1);
      if (!TryEvaluate(row, &passes[i])) passes[i] = 0;
    }
  }

 private:
  bool TryEvaluate(duckdb::DataChunk& rows, uint8_t* passes) {
    return Guard(
        [&] {
          duckdb::Vector result(duckdb::LogicalType::BOOLEAN, rows.size());
          executor_.ExecuteExpression(rows, result);
          duckdb::UnifiedVectorFormat format;
          result.ToUnifiedFormat(rows.size(), format);
          const auto* values = duckdb::UnifiedVectorFormat::GetData<bool>(format);
          for (size_t i = 0; i < rows.size(); ++i) {
            const auto at = format.sel->get_index(i);
            passes[i] = !format.validity.RowIsValid(at) || values[at];
          }
          return true;
        },
        [](const duckdb::ErrorData&) { return false; });
  }

  duckdb::Connection connection_;
  stream::Expression expression_;
  duckdb::ExpressionExecutor executor_;
};

// The condition over the schema's columns by number.
Result<stream::Expression> BindCondition(duckdb::ClientContext& client, const std::string& text,
                                         const Place& place) {
  TRY(auto statement, ParseSelect(text));
  duckdb::Planner planner(client);
  planner.CreatePlan(std::move(statement));
  duckdb::LogicalOperator& plan = *planner.plan;
  if (const auto call = FindVolatile(plan)) {
    return place.Mark(Error(Code::kNotSupported,
                            "{}() cannot be used in a CHECK: its value is not decided by the row",
                            call->function),
                      call->location);
  }
  const bool over_one_row = plan.type == duckdb::LogicalOperatorType::LOGICAL_PROJECTION &&
                            plan.expressions.size() == 1 &&
                            plan.children[0]->type == duckdb::LogicalOperatorType::LOGICAL_GET;
  if (!over_one_row || !planner.value_map.empty()) {
    return Error(Code::kNotSupported,
                 "a CHECK sees the columns of one row: no subquery, aggregate, window function or "
                 "parameter");
  }
  plan.ResolveOperatorTypes();
  duckdb::ColumnBindingResolver().VisitOperator(plan);
  auto& get = plan.children[0]->Cast<duckdb::LogicalGet>();
  const ScanBinding& binding = *BindingOf(get);
  return Renumber(*plan.expressions[0], [&](stream::ColumnIndex column) {
    return binding.ColumnOf(get.GetColumnIds()[column].GetPrimaryIndex()).value_or(0);
  });
}

}  // namespace

Result<std::unique_ptr<Database::RowCondition>> Database::Condition(const catalog::Catalog& catalog,
                                                                    const rows::Schema& schema,
                                                                    const std::string& expression,
                                                                    const Origin& origin) {
  Place place = Place::Of(origin, expression);
  place.prefix = kPrefix.size();
  const std::string text =
      fmt::format("{}{}\n) AS BOOLEAN) FROM {}", kPrefix, expression, kRowRelation);
  ConnectionPool::Lease lease = impl_->circuit_connections.Take();
  QueryContext& context = lease->context();
  context.catalog = &catalog;
  context.inline_relations[kRowRelation] = {{schema, schema.columns.size()}, {}};
  const auto bind = [&]() -> Result<std::unique_ptr<RowCondition>> {
    TRY(Teach(*lease, catalog));
    std::optional<Result<stream::Expression>> bound;
    lease->client().RunFunctionInTransaction(
        [&] { bound.emplace(BindCondition(lease->client(), text, place)); });
    TRY(stream::Expression condition, *std::move(bound));
    return std::unique_ptr<RowCondition>(
        std::make_unique<BoundCondition>(*impl_->circuits, std::move(condition)));
  };
  return Guard(bind, [&](const duckdb::ErrorData& error) -> Result<std::unique_ptr<RowCondition>> {
    return FromCall(error, place, context);
  });
}

Status Database::CheckMacro(const catalog::Catalog& catalog, const catalog::MacroDefinition& macro,
                            const Origin& origin) {
  Place place = Place::Of(origin, macro.body);
  place.prefix = MacroHead(macro).size();
  ConnectionPool::Lease lease = impl_->circuit_connections.Take();
  QueryContext& context = lease->context();
  context.catalog = &catalog;
  const auto check = [&]() -> Status {
    TRY(Teach(*lease, catalog));
    if (IsBuiltInFunction(*lease, macro.name)) {
      return Error(Code::kAlreadyExists, "there is a function {}() already", macro.name)
          .Hint("choose another name")
          .SqlState("42723");
    }
    return TryMacro(*lease, macro);
  };
  return Guard(check, [&](const duckdb::ErrorData& error) -> Status {
    return FromCall(error, place, context);
  });
}

}  // namespace millrace::sql
