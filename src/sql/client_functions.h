// Functions whose value is the client's or the server's: current_user, version(), …. DuckDB has
// constants for some of them, which say nothing of Millrace. Internal to sql.
#pragma once

#include "duckdb.hpp"

namespace millrace::sql {

// Puts volatile ones in their places, so that a view that names one is refused with its name. They
// cannot be run.
void RegisterClientFunctions(duckdb::Connection& connection);

// For queries: current_user and its like say the QueryContext's user.
void RegisterUserFunctions(duckdb::Connection& connection);

// Whether a statement may name one of those.
bool MayAskForUser(std::string_view text);

}  // namespace millrace::sql
