// predict(churn, a, b): the first argument is the name of a model, which to DuckDB looks like a
// column. It becomes a text before DuckDB binds anything. Pure functions, thread-safe. Internal to
// sql.
#pragma once

#include <optional>
#include <string>

#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/query_node.hpp"

namespace millrace::sql {

inline constexpr const char* kPredict = "predict";

// The model that a call of predict() names, as a name or a text; nullopt: it is no such call.
std::optional<std::string> ModelNamed(const duckdb::FunctionExpression& call);

// Makes texts of the names of models, wherever they stand in it.
void NameModels(duckdb::QueryNode& query);
void NameModels(duckdb::unique_ptr<duckdb::ParsedExpression>& expression);

}  // namespace millrace::sql
