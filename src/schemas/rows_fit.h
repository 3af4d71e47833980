// Whether values of a schema can become rows of a stream. Pure functions; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "rows/schema.h"
#include "schemas/schema.h"

namespace millrace::schemas {

// Why no value of the schema, whatever it holds, is a row of these columns: a column that must be
// there and has no field, or whose field's values are all of a type that it never takes. Each text
// names the column and the way out. Empty: there are values that are rows. Fields that are no
// columns do not matter.
std::vector<std::string> RowProblems(const Schema& schema, const rows::Schema& columns);

}  // namespace millrace::schemas
