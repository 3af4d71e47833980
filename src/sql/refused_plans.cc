#include "sql/refused_plans.h"

#include <fmt/format.h>

#include "duckdb/common/exception.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"

namespace millrace::sql {
namespace {

void Visit(const duckdb::LogicalOperator& op) {
  for (const auto& child : op.children) Visit(*child);
  if (op.type != duckdb::LogicalOperatorType::LOGICAL_ASOF_JOIN) return;
  const auto& join = op.Cast<duckdb::LogicalComparisonJoin>();
  const auto wrong = WrongIn(join);
  if (!wrong) return;
  throw duckdb::Exception(
      duckdb::Exception::InitializeExtraInfo(join.conditions.front().left->GetQueryLocation()),
      duckdb::ExceptionType::NOT_IMPLEMENTED,
      *wrong +
          " is answered wrongly by DuckDB and therefore refused; join on its parts or on its "
          "text instead");
}

void Optimize(duckdb::OptimizerExtensionInput&, duckdb::unique_ptr<duckdb::LogicalOperator>& plan) {
  Visit(*plan);
}

}  // namespace

std::optional<std::string> WrongIn(const duckdb::LogicalComparisonJoin& join) {
  for (const duckdb::JoinCondition& condition : join.conditions) {
    const duckdb::LogicalType& type = condition.left->return_type;
    if (type.IsNested())
      return fmt::format("an ASOF join on a {}", duckdb::LogicalTypeIdToString(type.id()));
  }
  return std::nullopt;
}

void RegisterRefusedPlans(duckdb::DBConfig& config) {
  duckdb::OptimizerExtension extension;
  extension.optimize_function = Optimize;
  duckdb::OptimizerExtension::Register(config, extension);
}

}  // namespace millrace::sql
