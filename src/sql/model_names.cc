#include "sql/model_names.h"

#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "rows/schema.h"

namespace millrace::sql {

std::optional<std::string> ModelNamed(const duckdb::FunctionExpression& call) {
  if (!rows::EqualNames(call.function_name, kPredict) || !call.schema.empty() ||
      call.children.empty())
    return std::nullopt;
  const duckdb::ParsedExpression& first = *call.children[0];
  if (first.GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
    const auto& name = first.Cast<duckdb::ColumnRefExpression>();
    if (!name.IsQualified()) return name.GetColumnName();
  }
  if (first.GetExpressionClass() == duckdb::ExpressionClass::CONSTANT) {
    const duckdb::Value& value = first.Cast<duckdb::ConstantExpression>().value;
    if (value.type().id() == duckdb::LogicalTypeId::VARCHAR && !value.IsNull())
      return duckdb::StringValue::Get(value);
  }
  return std::nullopt;
}

void NameModels(duckdb::unique_ptr<duckdb::ParsedExpression>& expression) {
  if (expression->GetExpressionClass() == duckdb::ExpressionClass::FUNCTION) {
    auto& call = expression->Cast<duckdb::FunctionExpression>();
    if (const auto model = ModelNamed(call)) {
      auto name = duckdb::make_uniq<duckdb::ConstantExpression>(duckdb::Value(*model));
      name->SetQueryLocation(call.children[0]->GetQueryLocation());
      call.children[0] = std::move(name);
    }
  }
  if (expression->GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY)
    NameModels(*expression->Cast<duckdb::SubqueryExpression>().subquery->node);
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      *expression, [](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { NameModels(child); });
}

void NameModels(duckdb::QueryNode& query) {
  duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(
      query, [](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { NameModels(child); });
}

}  // namespace millrace::sql
