// The records of a stream, or of a table's topic, that were set aside, with the reason:
// "<stream>.quarantine" and
// "<stream>.late". A view over log and exclusions; nothing is written twice. Thread-safe.
#pragma once

#include <vector>

#include "base/result.h"
#include "log/log.h"
#include "runtime/node_state.h"
#include "runtime/relation.h"
#include "sql/database.h"

namespace millrace::runtime {

enum class SetAside { kQuarantine, kLate };

// _partition, _offset, _reason, _error, _column, _source, _bytes BLOB, _ingested_at
rows::Schema SetAsideSchema();
// One value per column and row, in order of partition and offset, up to the ends of `until`.
Result<std::vector<std::vector<duckdb::Value>>> ReadSetAside(const log::Log& log,
                                                             const catalog::Catalog& catalog,
                                                             const Relation& stream, SetAside what,
                                                             const NodeState& until,
                                                             sql::Database& database);

}  // namespace millrace::runtime
