// Answers keyed look-ups (keyed_lookup.h) from the content of their view or table.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/keyed_lookup.h"
#include "runtime/published.h"

namespace millrace::runtime {

using LookupValues = std::map<std::string, duckdb::Value>;

// The rows as of the step. nullopt: DuckDB has to answer, for no index has all rows now, a value is
// of another type, or there are too many keys or rows. `go_on`: a look-up of one key then goes
// through all rows, which gives the same ones in the same order, and ends with the error of
// `go_on`, which is asked again and again meanwhile. Thread-safe.
Result<std::optional<sql::QueryResult>> AnswerKeyed(const KeyedLookup& lookup,
                                                    const LookupValues& values, state::Step step,
                                                    const std::function<Status()>& go_on = nullptr);

// Whether AnswerKeyed reads memory only, and few rows: it may stand on an I/O thread.
bool IsQuick(const KeyedLookup& lookup);

// Whether its relation is the one of that name in `published`: a view that is replaced is another
// from a step on, and endpoints follow a little later.
bool IsInForce(const KeyedLookup& lookup, const Published& published);

}  // namespace millrace::runtime
