// The body of POST /v1/sql: plain SQL, or JSON {"sql": "…", "params": […] or {name: …}}.
// Pure functions, thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "rows/batch.h"

namespace millrace::http {

struct SqlRequest {
  std::string sql;
  // By name; positional ones as "1", "2", …
  std::map<std::string, duckdb::Value> parameters;
};

// kInvalidArgument says what is wrong with the body; a media type that is not understood is
// kNotSupported (415).
Result<SqlRequest> ParseSqlRequest(std::optional<std::string_view> content_type, std::string body);

}  // namespace millrace::http
