// The rows of pg_catalog's tables that follow from Millrace's catalog.
// Pure functions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "duckdb.hpp"

namespace millrace::pg {

// By table; each row has all of the table's columns, in their order.
using TableRows = std::map<std::string, std::vector<std::vector<duckdb::Value>>>;

// `system`: the tables of schema millrace.
using SystemTables = std::vector<std::pair<std::string, rows::Schema>>;
TableRows CatalogRows(const catalog::Catalog& catalog, const SystemTables& system);
// Of what never changes.
TableRows TypeRows();

// The OID of an object: a function of its kind and name alone, so that it is the same in every
// session and after every start. (`kind` is any word.)
uint32_t OidOf(std::string_view kind, std::string_view name);

}  // namespace millrace::pg
