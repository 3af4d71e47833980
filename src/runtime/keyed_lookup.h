// Recognises a keyed look-up in the text of a SELECT: see endpoints.h.
#pragma once

#include <optional>
#include <string>

#include "runtime/endpoints.h"

namespace duckdb {
class QueryNode;
}

namespace millrace::runtime {

// nullopt: something else, which DuckDB answers. REQUIRES: the SELECT was bound without error.
std::optional<KeyedLookup> RecogniseKeyedLookup(const catalog::EndpointDefinition& endpoint,
                                                const Relations& relations);

// The parsed SELECT; nullptr: whatever it is, it was bound, so DuckDB can answer it.
std::unique_ptr<duckdb::QueryNode> ParseSelect(const std::string& select);

// Whether the SELECT says in which order its rows come. REQUIRES: it was bound without error.
bool HasOrder(const std::string& select);

}  // namespace millrace::runtime
