// The columns of a stream of raw records (WITH (format = 'raw')): key BLOB, value BLOB, headers
// STRUCT(key VARCHAR, value BLOB)[], timestamp TIMESTAMP; and what stands on them. Pure functions.
#pragma once

#include "base/result.h"
#include "catalog/definitions.h"
#include "rows/schema.h"

namespace millrace::catalog {

enum RawColumn : size_t { kRawKey, kRawValue, kRawHeaders, kRawTimestamp };
rows::Schema RawSchema();

// That the table of a topic may stand on `target`, a raw stream.
Status CheckHoldsRecords(const Object& target, const Object& table);

}  // namespace millrace::catalog
