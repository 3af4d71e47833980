// Who may use which route: bearer tokens (RFC 6750) and their scopes.
#pragma once

#include <string_view>

#include "auth/access.h"
#include "http/service.h"

namespace millrace::http {

// Before the handler of a route: true where the request may go on. Else it is answered, 401 or 403;
// 503 where it cannot be known yet.
bool Admit(ServiceContext& context, Exchange& exchange, const Route& route);

// What a statement needs beyond `sql`: one that does not only read or change rows is for `admin`.
// Errors have SQLSTATE 42501, which is answered 403.
inline constexpr std::string_view kInsufficientPrivilege = "42501";
Status CheckStatement(const auth::PrincipalPtr& principal, std::string_view statement);

}  // namespace millrace::http
