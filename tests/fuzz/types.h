// The column types that the generator knows, each with a few values: few, so that keys meet; among
// them the values at the edges of the type. Pure data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace::fuzz {

struct Type {
  std::string name;  // as the rules of the grammar call it
  std::string sql;
  std::vector<std::string> values;  // SQL literals
  // Some values are equal to SQL and still different (0.0 and -0.0, 30 days and a month). Which one
  // a group shows is open, so no rule makes texts or other values of them.
  bool tricky = false;
  bool key = true;     // may be a table's primary key
  bool column = true;  // may be a column of a stream or table

  bool nested() const {
    return sql.ends_with("]") || sql.starts_with("STRUCT") || sql.starts_with("MAP");
  }
};

const std::vector<Type>& Types();
// REQUIRES: there is one of this name.
const Type& TypeOf(std::string_view name);

struct Column {
  std::string name;  // with the alias of its relation before it, where there is one
  const Type* type;
};
using Columns = std::vector<Column>;
// As they are called where `alias` is the relation's name.
Columns Prefixed(const std::string& alias, Columns columns);

// "a, b, c"
std::string List(const Columns& columns);

}  // namespace millrace::fuzz
