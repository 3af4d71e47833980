// What a principal may do by SQL, over any protocol. Pure functions, thread-safe.
#pragma once

#include <string_view>

#include "auth/principals.h"
#include "base/result.h"

namespace millrace::auth {

inline constexpr std::string_view kInsufficientPrivilege = "42501";

// What a statement needs beyond `sql`: one that does not only read or change rows is for `admin`.
// nullptr may do everything: nobody has to sign in. Errors have SQLSTATE 42501.
Status CheckStatement(const PrincipalPtr& principal, std::string_view statement);

}  // namespace millrace::auth
