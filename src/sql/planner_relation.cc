#include "base/check.h"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "sql/view_planner.h"

namespace millrace::sql {

Result<NodeId> ViewPlanner::MapGet(duckdb::LogicalGet& op) {
  const ScanBinding* binding = BindingOf(op);
  if (binding == nullptr)
    return Refuse(fmt::format("the table function {}()", op.function.name), op);
  if (!op.children.empty() || !op.table_filters.filters.empty())
    return Refuse("this scan of " + binding->relation, op);
  const NodeId relation = Relation(*binding);
  Columns columns;
  for (const duckdb::ColumnIndex& id : op.GetColumnIds()) {
    // A scan of no column at all serves a count(*): any column does.
    const std::optional<size_t> column = binding->ColumnOf(id.GetPrimaryIndex());
    if (id.HasChildren() && id.IsPushdownExtract())
      return Refuse("this access to a part of a column", op);
    columns.push_back(column.value_or(0));
    if (!column && !id.IsEmptyColumn())
      return Refuse(fmt::format("this column of {}", binding->relation), op);
  }
  if (!op.projection_ids.empty()) {
    Columns projected;
    for (const duckdb::idx_t id : op.projection_ids) projected.push_back(columns[id]);
    columns = std::move(projected);
  }
  return plan_.Select(relation, columns);
}

NodeId ViewPlanner::ConstantRows(const rows::Types& types,
                                 const std::vector<std::vector<duckdb::Value>>& values) {
  stream::Constant constant;
  for (size_t begin = 0; begin < values.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, values.size() - begin);
    auto chunk = std::make_shared<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types);
    for (size_t row = 0; row < count; ++row) {
      for (size_t column = 0; column < types.size(); ++column) {
        chunk->SetValue(column, row, values[begin + row][column]);
      }
    }
    chunk->SetCardinality(count);
    constant.rows.parts.push_back({std::move(chunk), {}});
  }
  stream::Node node{std::move(constant), {}, types, std::vector<std::string>(types.size())};
  return plan_.Add(std::move(node),
                   values.size() <= 1 ? PlanBuilder::Key(Columns()) : std::nullopt);
}

NodeId ViewPlanner::MapOneRow(duckdb::LogicalOperator& op) {
  return ConstantRows(op.types, {std::vector<duckdb::Value>(op.types.size())});
}

Result<NodeId> ViewPlanner::MapExpressionRows(duckdb::LogicalExpressionGet& op) {
  if (op.children.size() != 1 ||
      op.children[0]->type != duckdb::LogicalOperatorType::LOGICAL_DUMMY_SCAN) {
    return Refuse("VALUES over the columns of another relation", op);
  }
  std::vector<std::vector<duckdb::Value>> values;
  for (const auto& row : op.expressions) {
    auto& out = values.emplace_back();
    for (const auto& expression : row) {
      if (!expression->IsScalar())
        return Refuse("VALUES over the columns of another relation", *expression);
      out.push_back(duckdb::ExpressionExecutor::EvaluateScalar(client_, *expression, true));
    }
  }
  return ConstantRows(op.types, values);
}

Result<NodeId> ViewPlanner::MapCollection(duckdb::LogicalColumnDataGet& op) {
  std::vector<std::vector<duckdb::Value>> values;
  for (auto& chunk : op.collection->Chunks()) {
    for (size_t row = 0; row < chunk.size(); ++row) {
      auto& out = values.emplace_back();
      for (size_t column = 0; column < chunk.ColumnCount(); ++column)
        out.push_back(chunk.GetValue(column, row));
    }
  }
  return ConstantRows(op.types, values);
}

Result<NodeId> ViewPlanner::MapMaterializedCte(duckdb::LogicalMaterializedCTE& op) {
  TRY(const NodeId definition, Map(*op.children[0]));
  ctes_[op.table_index] = definition;
  return Map(*op.children[1]);
}

Result<NodeId> ViewPlanner::MapCteReference(duckdb::LogicalCTERef& op) {
  const auto found = ctes_.find(op.cte_index);
  if (found == ctes_.end() || op.is_recurring)
    return Refuse("a recursive common table expression", op);
  return found->second;
}

}  // namespace millrace::sql
