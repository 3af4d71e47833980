#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "rows/schema.h"
#include "sql/model_names.h"
#include "sql/statement.h"

namespace millrace::sql {
namespace {

// column, column.field, relation.column.
bool Rename(duckdb::ParsedExpression& expression, std::string_view relation, std::string_view from,
            std::string_view to) {
  bool renamed = false;
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
    auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
    const bool qualified = names.size() > 1 && rows::EqualNames(names[0], relation);
    std::string& column = names[qualified ? 1 : 0];
    renamed = rows::EqualNames(column, from);
    if (renamed) column = to;
  }
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      expression, [&](duckdb::ParsedExpression& child) {
        renamed = Rename(child, relation, from, to) || renamed;
      });
  return renamed;
}

}  // namespace

std::string ColumnRenamed(std::string_view expression, std::string_view relation,
                          std::string_view from, std::string_view to) {
  try {
    auto parsed = duckdb::Parser::ParseExpressionList(std::string(expression));
    for (auto& each : parsed) NameModels(each);  // they are no columns
    if (parsed.size() == 1 && Rename(*parsed[0], relation, from, to)) return parsed[0]->ToString();
  } catch (const std::exception&) {
    // What cannot be parsed names no column; whoever binds it says what is wrong.
  }
  return std::string(expression);
}

}  // namespace millrace::sql
