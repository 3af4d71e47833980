// What DuckDB throws, as we say it. Pure functions, thread-safe.
#pragma once

#include <exception>
#include <string>

#include "base/result.h"

namespace millrace::rows {

// What of a DuckDB exception a person should read: its message without type tag and JSON, as UTF-8
// (it quotes values byte by byte).
std::string ReadableMessage(const std::exception& exception);
// kTooLarge: no memory; else kInternal.
Code CodeOf(const std::exception& exception);

}  // namespace millrace::rows
