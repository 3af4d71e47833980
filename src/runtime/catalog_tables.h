// The system tables that show the catalog: millrace.streams, .tables, .views, .indexes, .endpoints,
// .sources, .types, .macros and .columns. Thread-safe.
#pragma once

#include "runtime/system_tables.h"

namespace millrace::runtime {

void AddCatalogTables(SystemTables& tables);

}  // namespace millrace::runtime
