// The user's own types and macros in DuckDB: each connection has those of the catalog that it
// serves as temporary objects of its own, so that nothing of them is global. DuckDB expands macros
// and resolves types itself; what comes out of its binder names neither. Thread rule: of the lease.
#pragma once

#include "base/result.h"
#include "catalog/catalog.h"
#include "sql/connection_pool.h"

namespace millrace::sql {

// Gives the connection the types and macros of the catalog in place of those that it has. Cheap
// where they are the same. REQUIRES: its context resolves relations against that catalog, and no
// transaction is open. May throw DuckDB's exceptions.
Status Teach(PooledConnection& connection, const catalog::Catalog& catalog);

// Whether DuckDB has a function of this name itself. As Teach.
bool IsBuiltInFunction(PooledConnection& connection, const std::string& name);

// Makes the macro and takes it back again: the error of its body, if there is one. As Teach.
Status TryMacro(PooledConnection& connection, const catalog::MacroDefinition& macro);

// What DuckDB is given before a macro's body: its places count from there.
std::string MacroHead(const catalog::MacroDefinition& macro);

}  // namespace millrace::sql
