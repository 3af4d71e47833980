#include <set>

#include "base/check.h"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/execution/column_binding_resolver.hpp"
#include "sql/view_planner.h"

namespace millrace::sql {

Result<NodeId> ViewPlanner::MapGet(duckdb::LogicalGet& op) {
  const ScanBinding* binding = BindingOf(op);
  if (binding == nullptr) return MapFunctionRows(op);
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

// A table function's arguments, in the types that it takes, and what else of their rows is wanted.
Result<NodeId> ViewPlanner::MapArguments(duckdb::LogicalGet& op) {
  if (op.children.empty()) {
    const auto& wanted = op.function.arguments;
    rows::Types types;
    std::vector<duckdb::Value> values;
    for (size_t i = 0; i < op.parameters.size(); ++i) {
      const bool any = i >= wanted.size() || wanted[i].id() == duckdb::LogicalTypeId::ANY;
      types.push_back(any ? op.parameters[i].type() : wanted[i]);
      values.push_back(op.parameters[i].DefaultCastAs(types[i]));
    }
    return ConstantRows(types, {values});
  }
  // What stands below a function is resolved when DuckDB comes to the function.
  op.children[0]->ResolveOperatorTypes();
  duckdb::ColumnBindingResolver().VisitOperator(*op.children[0]);
  TRY(const NodeId input, Map(*op.children[0]));
  std::vector<stream::Expression> cast;
  for (size_t i = 0; i < plan_.width(input); ++i) {
    cast.push_back(plan_.Column(input, i));
    if (i >= op.input_table_types.size()) continue;
    cast[i] = Share(duckdb::BoundCastExpression::AddCastToType(client_, cast[i]->Copy(),
                                                               op.input_table_types[i]));
  }
  std::vector<std::string> names = plan_.names(input);
  return plan_.Project(input, std::move(cast), std::move(names));
}

Result<NodeId> ViewPlanner::MapFunctionRows(duckdb::LogicalGet& op) {
  // What depends on the arguments alone; others read files or the state of the node.
  static const std::set<std::string> kPure = {"range", "generate_series", "unnest", "json_each",
                                              "json_tree"};
  if (!kPure.contains(op.function.name) || op.function.in_out_function == nullptr ||
      !op.named_parameters.empty() || !op.table_filters.filters.empty()) {
    return Refuse(fmt::format("the table function {}()", op.function.name), op);
  }
  TRY(const NodeId input, MapArguments(op));
  const size_t width = plan_.width(input);
  stream::FunctionRows call;
  call.function = std::make_shared<duckdb::TableFunction>(op.function);
  call.bound = std::shared_ptr<const duckdb::FunctionData>(op.bind_data.release());
  call.numbered = op.ordinality_idx.IsValid();
  for (size_t i = 0; i < width - op.projected_input.size(); ++i) call.arguments.push_back(i);
  stream::Node node{std::move(call), {input}, plan_.types(input), plan_.names(input)};
  node.types.insert(node.types.end(), op.returned_types.begin(), op.returned_types.end());
  node.names.insert(node.names.end(), op.names.begin(), op.names.end());
  const NodeId rows = plan_.Add(std::move(node), std::nullopt);
  Columns columns;
  for (const duckdb::ColumnIndex& id : op.GetColumnIds()) {
    // A scan of no column at all serves a count(*): any column does.
    const size_t column = id.IsEmptyColumn() ? 0 : id.GetPrimaryIndex();
    if (column >= op.returned_types.size() || (id.HasChildren() && id.IsPushdownExtract()))
      return Refuse(fmt::format("this column of {}()", op.function.name), op);
    columns.push_back(width + column);
  }
  if (!op.projection_ids.empty()) {
    Columns projected;
    for (const duckdb::idx_t id : op.projection_ids) projected.push_back(columns[id]);
    columns = std::move(projected);
  }
  columns.insert(columns.end(), op.projected_input.begin(), op.projected_input.end());
  return plan_.Select(rows, columns);
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
  if (op.children[0]->type != duckdb::LogicalOperatorType::LOGICAL_DUMMY_SCAN)
    return MapLateralValues(op);
  std::vector<std::vector<duckdb::Value>> values;
  for (const auto& row : op.expressions) {
    auto& out = values.emplace_back();
    for (const auto& expression : row) {
      if (!expression->IsScalar()) return Refuse("this value", *expression);
      out.push_back(duckdb::ExpressionExecutor::EvaluateScalar(client_, *expression, true));
    }
  }
  return ConstantRows(op.types, values);
}

// VALUES over the columns of another relation: its rows once for each row of values.
Result<NodeId> ViewPlanner::MapLateralValues(duckdb::LogicalExpressionGet& op) {
  TRY(const NodeId input, Map(*op.children[0]));
  std::vector<NodeId> parts;
  for (const auto& row : op.expressions) {
    std::vector<stream::Expression> expressions;
    for (const auto& expression : row) expressions.push_back(CopyOf(*expression));
    std::vector<std::string> names(expressions.size());
    parts.push_back(plan_.Project(input, std::move(expressions), std::move(names)));
  }
  if (parts.size() == 1) return parts[0];
  return plan_.Add({stream::UnionAll{}, parts, plan_.types(parts[0]), plan_.names(parts[0])},
                   std::nullopt);
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
    return Refuse("a recursive common table expression", {"recursive"});
  return found->second;
}

}  // namespace millrace::sql
