// Errors as HTTP shows them: a status and a JSON body {"error": {"code", "message", "hint",
// "position"}}. Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace millrace::http {

inline Error BadJson(std::string_view what) {
  return Error(Code::kInvalidArgument, "the request's JSON: {}", what);
}

int StatusOf(Code code);
std::string_view ReasonPhrase(int status);

// "hint" and "position" only where there is one.
// The code is the error's, but for statuses that no code has (401, 403).
std::string ErrorBody(const Error& error, int status = 0);

}  // namespace millrace::http
