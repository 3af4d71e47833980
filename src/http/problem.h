// Errors as HTTP shows them: a status and a JSON body {"error": {"code", "message", "hint",
// "position"}}. Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace millrace::http {

int StatusOf(Code code);
std::string_view ReasonPhrase(int status);

// "hint" and "position" only where there is one.
std::string ErrorBody(const Error& error);

}  // namespace millrace::http
