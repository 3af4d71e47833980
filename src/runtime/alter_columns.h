// ALTER of a stream's columns and CHECKs, and what it means for those that read the stream.
// Pure functions over values; thread-safe.
#pragma once

#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "sql/database.h"
#include "sql/statement.h"

namespace millrace::runtime {

// Makes the change in `object`, a stream of the catalog, which keeps the version before it. False:
// there is nothing to change (IF EXISTS, IF NOT EXISTS).
Result<bool> ChangeColumns(sql::Database& database, const catalog::Catalog& catalog,
                           const sql::AlterStatement& alter, catalog::Object& object);

// What goes with changes among which columns of streams are altered: plain views take on the
// columns that they now have. Error: something that stays reads a column that goes, or that becomes
// another. Materialized views are bound to the columns as of their making, so those that do not
// read it go on as they are.
Result<std::vector<catalog::Change>> FollowColumns(sql::Database& database,
                                                   const catalog::Catalog& before,
                                                   const std::vector<catalog::Change>& changes);

}  // namespace millrace::runtime
