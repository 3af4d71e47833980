#include "rows/duckdb_exception.h"

#include <new>

#include "base/utf8.h"
#include "duckdb/common/error_data.hpp"

namespace millrace::rows {

std::string ReadableMessage(const std::exception& exception) {
  return ValidUtf8(duckdb::ErrorData(exception).RawMessage());
}

Code CodeOf(const std::exception& exception) {
  const bool no_memory =
      duckdb::ErrorData(exception).Type() == duckdb::ExceptionType::OUT_OF_MEMORY ||
      dynamic_cast<const std::bad_alloc*>(&exception) != nullptr;
  return no_memory ? Code::kTooLarge : Code::kInternal;
}

}  // namespace millrace::rows
