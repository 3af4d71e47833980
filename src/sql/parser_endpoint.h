// What an endpoint's path and SELECT must keep to.
// Pure functions, thread-safe.
#pragma once

#include "base/result.h"
#include "catalog/definitions.h"
#include "sql/parser_cursor.h"

namespace millrace::sql {

// '/a/{parameter}/b': segments that are plain or one declared parameter each. `path_begin`: where
// the path stands in the text, in bytes.
Status CheckEndpointPath(const Cursor& cursor, const catalog::EndpointDefinition& endpoint,
                         size_t path_begin);

// Every $name of the SELECT, which begins at the cursor's position `select_at`, is declared. Leaves
// the cursor at the end.
Status CheckEndpointParameters(Cursor& cursor, const catalog::EndpointDefinition& endpoint,
                               size_t select_at);

}  // namespace millrace::sql
