// SQL texts inside definitions: column types, constants, and whether two texts mean the same. The
// one place of this module where DuckDB's parser is called and its exceptions end. Thread-safe:
// calls that need a DuckDB context share one private in-memory database, one at a time.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "duckdb.hpp"

namespace millrace::catalog {

// "DECIMAL(10,2)" → the type. kNotFound (with the nearest type) or kInvalidArgument.
Result<duckdb::LogicalType> ParseType(std::string_view text);
// The type as text that ParseType takes back: "DECIMAL(10,2)".
std::string TypeText(const duckdb::LogicalType& type);

// The value of a constant expression, cast to `type`. Errors: not a constant (kInvalidArgument,
// with a hint for now()), not of that type.
Result<duckdb::Value> ConstantFromSql(std::string_view sql, const duckdb::LogicalType& type);
// The value as text that ConstantFromSql takes back.
std::string ConstantText(const duckdb::Value& value);

// True where the texts parse to the same SELECT statements, or are byte for byte the same.
bool SameSelect(std::string_view a, std::string_view b);
// The same for expressions.
bool SameExpression(std::string_view a, std::string_view b);

}  // namespace millrace::catalog
