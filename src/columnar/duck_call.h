// The border to DuckDB, which reports by exception, while inside Millrace errors are values.
// Internal to columnar. Thread-safe.
#pragma once

#include <exception>
#include <type_traits>

#include "base/result.h"
#include "rows/duckdb_exception.h"

namespace millrace::columnar {

// Runs a call into DuckDB that gives a Status or Result.
template <typename Call>
auto Guarded(Call&& call) -> std::invoke_result_t<Call> {
  try {
    return call();
  } catch (const std::exception& exception) {
    return Error(rows::CodeOf(exception), "{}", rows::ReadableMessage(exception));
  }
}

}  // namespace millrace::columnar
