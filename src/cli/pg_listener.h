// The PostgreSQL listener of a node, from its setting: --pg.
#pragma once

#include <memory>
#include <string>

#include "auth/access.h"
#include "base/result.h"
#include "cli/settings.h"
#include "net/tls_identity.h"
#include "pg/server.h"

namespace millrace::cli {

// Listens from now on; nullptr where the setting is "off". `tls` is for where the settings want
// TLS. The node, `access` and `tls` must outlive it.
Result<std::unique_ptr<pg::Server>> StartPg(const Settings& settings, runtime::Node& node,
                                            const auth::Access& access,
                                            const net::TlsIdentity* tls);

}  // namespace millrace::cli
