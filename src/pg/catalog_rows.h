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
// A name as SQL has it: in quotes where it needs them.
std::string NameText(const std::string& name);
// The types that PostgreSQL has itself.
void AppendBaseTypes(TableRows& rows);
// An ENUM type of schema public, and the arrays of it.
inline constexpr int16_t kEnumBytes = 4;  // as PostgreSQL keeps a value
void AppendEnumType(uint32_t oid, uint32_t array_oid, const std::string& name, TableRows& rows);

// The OID of an object: a function of its kind and name alone, so that it is the same in every
// session and after every start. (`kind` is any word.)
uint32_t OidOf(std::string_view kind, std::string_view name);

}  // namespace millrace::pg
