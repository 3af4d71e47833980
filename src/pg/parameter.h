// A parameter's bytes, in text or in binary, as a value of DuckDB. Pure functions, thread-safe.
#pragma once

#include <string_view>

#include "base/result.h"
#include "duckdb.hpp"
#include "pg/time_zone.h"

namespace millrace::pg {

// `oid`: as the client says it, or as it was told; 0 or unknown: a text, which DuckDB casts where
// it is used. Errors have SQLSTATE 22P02 (text), 22P03 (binary), 22021 (no UTF-8), 0A000 (a type
// that is not known here). `zone`: of times with time zone that do not say theirs.
Result<duckdb::Value> DecodeParameter(uint32_t oid, int16_t format, std::string_view bytes,
                                      const TimeZone& zone);

// A text as PostgreSQL's input functions take it, as a value of the type: for COPY too.
Result<duckdb::Value> ValueOfText(const duckdb::LogicalType& type, std::string_view text,
                                  const TimeZone& zone);
// REQUIRES: DuckDbTypeOf knows the OID.
Result<duckdb::Value> ValueOfBinary(uint32_t oid, std::string_view bytes);

}  // namespace millrace::pg
