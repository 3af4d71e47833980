// Whether clients of a node must sign in, from its settings and from who may use it.
#pragma once

#include "auth/access.h"
#include "base/result.h"
#include "cli/settings.h"

namespace millrace::cli {

// By the setting `auth`. "auto": clients sign in where a listener can be reached from other
// machines, and where a user or a token exists. kInvalidArgument: they would have to, and there is
// none. Warns of what is open to others. Before the listeners start.
Status ApplyAccessPolicy(const Settings& settings, auth::Access& access);

}  // namespace millrace::cli
