// SQL texts inside definitions: column types, constants, and whether two texts mean the same. The
// one place of this module where DuckDB's parser is called and its exceptions end. Thread-safe:
// calls that need a DuckDB context share one private in-memory database, one at a time.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "duckdb.hpp"

namespace millrace::catalog {

// Types of the user's own, by lower-case name.
struct NamedType {
  std::string name;
  std::vector<std::string> values;  // of the ENUM
};
using NamedTypes = std::map<std::string, NamedType>;

// "DECIMAL(10,2)" → the type. kNotFound (with the nearest type) or kInvalidArgument. A type of
// `named` comes out as what it is: ENUM(…).
Result<duckdb::LogicalType> ParseType(std::string_view text, const NamedTypes& named = {});
// Whether DuckDB has a type of this name itself.
bool IsBuiltInType(std::string_view name);
// "ENUM('a', 'b')".
std::string EnumText(const std::vector<std::string>& values);
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
// The same for what stands behind the name in CREATE MACRO.
bool SameMacro(std::string_view a, std::string_view b);

}  // namespace millrace::catalog
