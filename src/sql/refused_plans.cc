#include "sql/refused_plans.h"

#include <fmt/format.h>

#include "duckdb/common/exception.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"

namespace millrace::sql {
namespace {

void RefuseBelow(const duckdb::LogicalOperator& op) {
  for (const auto& child : op.children) RefuseBelow(*child);
  if (op.type != duckdb::LogicalOperatorType::LOGICAL_ASOF_JOIN) return;
  for (const auto& condition : op.Cast<duckdb::LogicalComparisonJoin>().conditions) {
    const duckdb::LogicalType& type = condition.left->return_type;
    if (!type.IsNested()) continue;
    throw duckdb::Exception(
        duckdb::Exception::InitializeExtraInfo(condition.left->GetQueryLocation()),
        duckdb::ExceptionType::NOT_IMPLEMENTED,
        fmt::format(
            "an ASOF join on a {} is answered wrongly by DuckDB and therefore refused; join "
            "on its parts or on its text instead",
            duckdb::LogicalTypeIdToString(type.id())));
  }
}

void Refuse(duckdb::OptimizerExtensionInput&, duckdb::unique_ptr<duckdb::LogicalOperator>& plan) {
  RefuseBelow(*plan);
}

}  // namespace

void RegisterRefusedPlans(duckdb::DBConfig& config) {
  duckdb::OptimizerExtension extension;
  extension.optimize_function = Refuse;
  duckdb::OptimizerExtension::Register(config, extension);
}

}  // namespace millrace::sql
