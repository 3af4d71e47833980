// The files of the embedded DuckDB. A statement may read files below the allowed folders, of which
// the node's own folder is mostly one: what that holds (the log, passwords' verifiers, spilled
// pages of other queries) is not for it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "duckdb/common/file_system.hpp"

namespace millrace::sql {

// Refuses statements, once `guards` is set, every file whose path, with its links followed, is one
// of `closed` or below one. DuckDB's own use of files there goes on.
duckdb::unique_ptr<duckdb::FileSystem> MakeGuardedFiles(
    const std::vector<std::string>& closed, std::shared_ptr<const std::atomic<bool>> guards);

}  // namespace millrace::sql
