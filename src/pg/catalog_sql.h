// The SQL that makes the catalog's tables, functions and views, in the order in which it is to be
// run. Constants.
#pragma once

namespace millrace::pg {

extern const char* const kCatalogTables;      // types and tables; rows of those that never change
extern const char* const kCatalogFunctions;   // macros over them
extern const char* const kCatalogViews;       // pg_tables, pg_views, …
extern const char* const kInformationSchema;  // schema information_schema_

}  // namespace millrace::pg
