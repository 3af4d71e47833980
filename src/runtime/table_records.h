// Records that clients of the log's protocol send to a keyed table, as the records of its
// changelog: checked, and rewritten as the table's own statements write them, so that one key is
// one key to compaction.
//
// The value is the row, a JSON object; none deletes the row of the key. The key is a JSON object of
// the primary key's columns, an array of their values, or the value alone where that is one column;
// beside a row it may be missing.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "ingest/row_checker.h"
#include "runtime/relation.h"

namespace millrace::runtime {

// Batch by batch, with the same count of records each, so that their producers' sequences fit.
// kInvalidArgument: a record is no row (the message says which and why). kNotSupported: a
// transaction's, or a table without primary key. kCorruption.
Result<std::string> ChangelogOf(const Relation& table, ingest::RowChecker& checker,
                                std::string_view batches);

}  // namespace millrace::runtime
