// Words of a statement that mean something of the session, beside relations of the user:
// current_user, current_database(), version(), …; and the database before a schema. DuckDB would
// answer for itself.
// Pure function.
#pragma once

#include <string>

#include "base/result.h"
#include "pg/system_catalog.h"

namespace millrace::pg {

// The text with constants in their places, without the database; where there is none, as it was.
// 42704: current_setting of a variable that there is not.
enum class SessionWords { kAll, kDatabase };
Result<std::string> WithSessionWords(std::string text, const CatalogAsker& asker,
                                     SessionWords words = SessionWords::kAll);

}  // namespace millrace::pg
