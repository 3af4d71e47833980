// predict(model, …) as a vectorised scalar function: a chunk is one batch of the model. What it
// takes and gives follows from the model's signature (docs/models.md). Internal to sql.
#pragma once

#include "duckdb.hpp"

namespace millrace::sql {

// The model is looked up in the catalog of the call (QueryContext) when it is bound, and kept by
// what was bound: a running view goes on with the one that it was made with.
void RegisterPredictFunction(duckdb::Connection& connection);

}  // namespace millrace::sql
