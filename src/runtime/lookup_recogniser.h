// Reads from a parsed SELECT what a keyed look-up has to know (keyed_lookup.h), but for the index.
#pragma once

#include <optional>

#include "duckdb/parser/query_node/select_node.hpp"
#include "runtime/keyed_lookup.h"

namespace millrace::runtime {

// nullopt: it is of another form, or compares with another type than the column's.
std::optional<KeyedLookup> RecogniseSelect(const duckdb::SelectNode& select,
                                           const LookupContext& context);

}  // namespace millrace::runtime
