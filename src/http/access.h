// Who may use which route: bearer tokens (RFC 6750) and their scopes.
#pragma once

#include <string_view>

#include "auth/access.h"
#include "http/service.h"

namespace millrace::http {

// Before the handler of a route: true where the request may go on. Else it is answered, 401 or 403;
// 429 beyond the rate of who asks, 503 where it cannot be known yet.
bool Admit(ServiceContext& context, Exchange& exchange, const Route& route);

// Of an answer without end: whether its client may go on, which signed in when it began. The error
// is one for status `kSignedOut`.
Status CheckStillAdmitted(const ServiceContext& context, Exchange& exchange,
                          auth::Permission needed);
inline constexpr int kSignedOut = 401;

}  // namespace millrace::http
