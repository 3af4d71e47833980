// COMMENT ON, as a change of the object.
// Pure functions.
#pragma once

#include "base/result.h"
#include "catalog/catalog.h"
#include "sql/statement.h"

namespace millrace::runtime {

// Sets or takes away the comment. REQUIRES: the statement names this object, and a column of it
// only where it is a relation. Error: there is no such column.
Status SetComment(catalog::Object& object, const sql::CommentStatement& comment);

}  // namespace millrace::runtime
