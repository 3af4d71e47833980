#include "sql/resident_functions.h"

#include <set>

#include "duckdb/function/function_binder.hpp"
#include "duckdb/function/lambda_functions.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "stream/session.h"

namespace millrace::sql {
namespace {

bool KeepsItsConnection(const duckdb::BoundFunctionExpression& call) {
  static const std::set<std::string> names = {"list_sort", "array_sort", "list_reverse_sort",
                                              "array_reverse_sort"};
  return names.contains(call.function.name);
}

}  // namespace

Result<std::unique_ptr<ResidentFunctions>> ResidentFunctions::Open(duckdb::DuckDB& database) {
  TRY(auto connection, stream::OpenSession(*database.instance));
  connection->BeginTransaction();  // to look into the catalog; nothing is ever written
  return std::unique_ptr<ResidentFunctions>(new ResidentFunctions(std::move(connection)));
}

void ResidentFunctions::Bind(duckdb::LogicalOperator& plan) {
  const std::lock_guard lock(mutex_);
  const std::function<void(duckdb::LogicalOperator&)> visit = [&](duckdb::LogicalOperator& op) {
    duckdb::LogicalOperatorVisitor::EnumerateExpressions(
        op, [&](duckdb::unique_ptr<duckdb::Expression>* expression) { BindIn(*expression); });
    for (auto& child : op.children) visit(*child);
  };
  visit(plan);
}

void ResidentFunctions::BindIn(duckdb::unique_ptr<duckdb::Expression>& expression) {
  duckdb::ExpressionIterator::EnumerateChildren(
      *expression, [&](duckdb::unique_ptr<duckdb::Expression>& child) { BindIn(child); });
  if (expression->GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION) return;
  auto& call = expression->Cast<duckdb::BoundFunctionExpression>();
  if (auto* lambda = dynamic_cast<duckdb::ListLambdaBindData*>(call.bind_info.get());
      lambda != nullptr && lambda->lambda_expr) {
    BindIn(lambda->lambda_expr);
  }
  if (!KeepsItsConnection(call)) return;
  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> children;
  for (const auto& child : call.children) children.push_back(child->Copy());
  duckdb::ErrorData error;
  auto bound =
      duckdb::FunctionBinder(*connection_->context)
          .BindScalarFunction(DEFAULT_SCHEMA, call.function.name, std::move(children), error);
  if (!bound) error.Throw();
  bound->alias = call.alias;
  bound->SetQueryLocation(call.GetQueryLocation());
  expression = std::move(bound);
}

}  // namespace millrace::sql
