// The system tables that show the catalog: millrace.streams, .tables, .views, .indexes, .endpoints,
// .sources, .types, .macros and .columns. Thread-safe.
#pragma once

#include <map>
#include <string>

#include "runtime/system_tables.h"

namespace millrace::runtime {

void AddCatalogTables(SystemTables& tables);

// How many materialized views have each status of millrace.views.
std::map<std::string, int64_t> ViewsByStatus(const Published& published);

}  // namespace millrace::runtime
