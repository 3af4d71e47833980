// A plain view is a name for its query: where it is read, its query stands in its place.
//
// The names inside must mean what they meant when the view was made, whatever common table
// expressions the reader has. So every relation that the view names gets a schema of our own,
// "\x01" and the views on the way in, which no common table expression and no user can have;
// relation_binding.cc takes it off again. The same path finds a view that reads itself. Pure
// functions, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/definitions.h"
#include "duckdb/parser/tableref/subqueryref.hpp"
#include "sql/window_tables.h"

namespace millrace::sql {

// The views, outermost first, inside which a name stands.
struct ExpandedName {
  std::vector<std::string> views;

  std::string Encode() const;
  // None where the schema is not one of ours.
  static std::optional<ExpandedName> Decode(const std::string& schema);
};

// The view's query, read from inside `outer`. kConflict: the view reads itself.
Result<duckdb::unique_ptr<duckdb::SubqueryRef>> ExpandView(const catalog::ViewDefinition& view,
                                                           const ExpandedName& outer,
                                                           SessionForm session_form);

}  // namespace millrace::sql
