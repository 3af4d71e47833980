// A client's query for the catalog, in the words of DuckDB: names of pg_catalog and
// information_schema, reg* casts, OPERATOR(…), COLLATE, what is of the session. Works on tokens:
// the query need not be one that DuckDB can parse. Pure function.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "pg/system_catalog.h"

namespace millrace::pg {

// Errors: of the lexer, and 42704 for a variable that there is not.
Result<std::string> RewriteCatalogQuery(std::string_view text, const CatalogAsker& asker);

// How PostgreSQL would name a column that DuckDB names after its expression, unless the query
// names it itself.
std::string PlainColumnName(const std::string& name, std::string_view query);

}  // namespace millrace::pg
