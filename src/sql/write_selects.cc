#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/parser/expression/list.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/list.hpp"
#include "sql/model_names.h"
#include "sql/write_statement.h"

namespace millrace::sql {
namespace {

// Of the rows that a statement changes, in memory: far more than may be written at once.
constexpr uint64_t kWriteBytesMax = uint64_t{128} << 20;

void CollectParameters(duckdb::QueryNode& node, duckdb::case_insensitive_map_t<duckdb::idx_t>& out);

void CollectParameters(duckdb::ParsedExpression& expression,
                       duckdb::case_insensitive_map_t<duckdb::idx_t>& out) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::PARAMETER) {
    out.emplace(expression.Cast<duckdb::ParameterExpression>().identifier, out.size() + 1);
  }
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
    CollectParameters(*expression.Cast<duckdb::SubqueryExpression>().subquery->node, out);
  }
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      expression, [&](duckdb::ParsedExpression& child) { CollectParameters(child, out); });
}

void CollectParameters(duckdb::QueryNode& node,
                       duckdb::case_insensitive_map_t<duckdb::idx_t>& out) {
  duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(
      node,
      [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { CollectParameters(*child, out); });
}

}  // namespace

Result<QueryResult> WriteEvaluation::Run(duckdb::unique_ptr<duckdb::SelectStatement> select) {
  NameModels(*select->node);
  CollectParameters(*select->node, select->named_param_map);
  if (describing_ != nullptr) return PlanParameters(lease_->client(), *select, *describing_);
  const auto prepared = lease_->connection().Prepare(std::move(select));
  if (prepared->HasError()) return FromCall(prepared->error, place_, lease_->context());
  QueryLimits limits = limits_;
  limits.rows_max = 0;
  limits.rows_bytes_max = kWriteBytesMax;
  return impl_.Run(*lease_, *prepared, parameters_, limits, place_);
}

Result<QueryResult> WriteEvaluation::Run(SelectPtr node) {
  auto select = duckdb::make_uniq<duckdb::SelectStatement>();
  select->node = std::move(node);
  return Run(std::move(select));
}

Status WriteEvaluation::PrepareValues(duckdb::ExpressionListRef& values,
                                      const std::vector<size_t>& columns) {
  for (auto& row : values.values) {
    if (row.size() != columns.size()) {
      return Error(Code::kInvalidArgument, "INSERT INTO {} has {} columns, but a row has {} values",
                   target_.name, columns.size(), row.size())
          .SqlState("42601");
    }
    for (size_t i = 0; i < row.size(); ++i) {
      if (row[i]->GetExpressionClass() != duckdb::ExpressionClass::DEFAULT) continue;
      row[i] = duckdb::make_uniq<duckdb::ConstantExpression>(target_.Default(columns[i]));
    }
  }
  // Each value is cast to its column's type by itself: without this a column of values would first
  // get one type of its own.
  values.expected_types.clear();
  for (const size_t column : columns)
    values.expected_types.push_back(target_.schema.columns[column].type);
  return Ok();
}

Result<Chunks> WriteEvaluation::NewRows(duckdb::InsertStatement& insert) {
  const size_t width = target_.schema.columns.size();
  std::vector<size_t> columns;
  for (const std::string& name : insert.columns) {
    TRY(const size_t column, target_.Column(name));
    if (std::find(columns.begin(), columns.end(), column) != columns.end()) {
      return Error(Code::kInvalidArgument, "INSERT INTO {} names column {} twice", target_.name,
                   Quoted(name))
          .SqlState("42701");
    }
    columns.push_back(column);
  }
  if (insert.columns.empty()) {
    for (size_t i = 0; i < width; ++i) columns.push_back(i);
  }
  QueryResult given;
  if (insert.default_values) {
    columns.clear();
    auto one = std::make_shared<duckdb::DataChunk>();
    one->SetCardinality(1);
    given.chunks.push_back(std::move(one));
  } else {
    if (auto values = insert.GetValuesList()) TRY(PrepareValues(*values, columns));
    for (auto& entry : insert.cte_map.map) {
      insert.select_statement->node->cte_map.map.insert(entry.first, std::move(entry.second));
    }
    TRY(given, Run(std::move(insert.select_statement)));
  }
  if (insert.column_order == duckdb::InsertColumnOrder::INSERT_BY_NAME && !insert.default_values) {
    columns.clear();
    for (const rows::Column& named : given.schema.columns) {
      TRY(const size_t column, target_.Column(named.name));
      columns.push_back(column);
    }
  }
  if (given.schema.columns.size() != columns.size()) {
    return Error(Code::kInvalidArgument, "INSERT INTO {} has {} columns, but the query gives {}",
                 target_.name, columns.size(), given.schema.columns.size())
        .SqlState("42601");
  }
  Chunks out;
  const rows::Types types = target_.schema.types();
  for (const auto& chunk : given.chunks) {
    auto full = std::make_shared<duckdb::DataChunk>();
    full->Initialize(duckdb::Allocator::DefaultAllocator(), types,
                     std::max<size_t>(chunk->size(), 1));
    std::vector<bool> filled(width, false);
    for (size_t i = 0; i < columns.size(); ++i) {
      duckdb::VectorOperations::Cast(lease_->client(), chunk->data[i], full->data[columns[i]],
                                     chunk->size());
      filled[columns[i]] = true;
    }
    for (size_t i = 0; i < width; ++i) {
      if (!filled[i]) full->data[i].Reference(target_.Default(i));
    }
    full->SetCardinality(chunk->size());
    full->Flatten();
    out.push_back(std::move(full));
  }
  return out;
}

WriteEvaluation::Expressions WriteEvaluation::TargetColumns(const std::string& alias) const {
  Expressions list;
  list.push_back(duckdb::make_uniq<duckdb::ColumnRefExpression>(kRowNumberColumn, alias));
  for (const rows::Column& column : target_.schema.columns) {
    list.push_back(duckdb::make_uniq<duckdb::ColumnRefExpression>(column.name, alias));
  }
  return list;
}

duckdb::unique_ptr<duckdb::ParsedExpression> WriteEvaluation::Assigned(
    duckdb::unique_ptr<duckdb::ParsedExpression> value, size_t column) const {
  if (value->GetExpressionClass() == duckdb::ExpressionClass::DEFAULT) {
    value = duckdb::make_uniq<duckdb::ConstantExpression>(target_.Default(column));
  }
  const auto location = value->GetQueryLocation();
  auto cast = duckdb::make_uniq<duckdb::CastExpression>(target_.schema.columns[column].type,
                                                        std::move(value));
  cast->SetQueryLocation(location);
  return cast;
}

Result<QueryResult> WriteEvaluation::Returning(Expressions& list, const std::string& alias,
                                               const Chunks& rows) {
  if (list.empty()) return QueryResult();
  constexpr const char* kRows = "__millrace_written";
  lease_->context().inline_relations[kRows] = {{target_.schema, target_.schema.columns.size()},
                                               rows};
  auto node = duckdb::make_uniq<duckdb::SelectNode>();
  node->select_list = std::move(list);
  auto from = duckdb::make_uniq<duckdb::BaseTableRef>();
  from->table_name = kRows;
  from->alias = alias;
  node->from_table = std::move(from);
  return Run(std::move(node));
}

}  // namespace millrace::sql
