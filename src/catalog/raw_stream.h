// The columns of a stream of raw records (WITH (format = 'raw')): key BLOB, value BLOB, headers
// STRUCT(key VARCHAR, value BLOB)[], timestamp TIMESTAMP. Pure function.
#pragma once

#include "rows/schema.h"

namespace millrace::catalog {

enum RawColumn : size_t { kRawKey, kRawValue, kRawHeaders, kRawTimestamp };
rows::Schema RawSchema();

}  // namespace millrace::catalog
