// Recognises a keyed look-up in the text of a SELECT: see endpoints.h.
#pragma once

#include <optional>
#include <string>

#include "runtime/endpoints.h"

namespace millrace::runtime {

// nullopt: something else, which DuckDB answers. REQUIRES: the SELECT was bound without error.
std::optional<KeyedLookup> RecogniseKeyedLookup(const catalog::EndpointDefinition& endpoint,
                                                const Relations& relations);

}  // namespace millrace::runtime
