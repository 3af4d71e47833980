// The border to DuckDB, which reports by exception, while inside Millrace errors are values.
// Internal to columnar. Thread-safe.
#pragma once

#include <exception>
#include <type_traits>

#include "base/result.h"
#include "duckdb/common/error_data.hpp"

namespace millrace::columnar {

// Runs a call into DuckDB that gives a Status or Result.
template <typename Call>
auto Guarded(Call&& call) -> std::invoke_result_t<Call> {
  try {
    return call();
  } catch (const std::exception& exception) {
    const duckdb::ErrorData error(exception);
    const Code code =
        error.Type() == duckdb::ExceptionType::OUT_OF_MEMORY ? Code::kTooLarge : Code::kInternal;
    return Error(code, "{}", error.RawMessage());
  }
}

}  // namespace millrace::columnar
