// Writes the sorted files of one flush, ready to be ingested: entries of all tables in key order,
// cut into one stretch for each thread.
#pragma once

#include <rocksdb/options.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "state/disk.h"

namespace millrace::state {

struct FlushFiles {
  std::vector<std::string> paths;  // a later one is newer than what it shares keys with
  FlushResult result;
};

// The files' paths begin with `prefix`. `last` comes after the entries of the job, its keys above
// all of theirs. A job of few entries takes one thread, whatever `threads` allows.
Result<FlushFiles> WriteFlushFiles(FlushJob& job, const std::vector<Mutation>& last,
                                   const rocksdb::Options& options, const std::string& prefix,
                                   size_t threads);

}  // namespace millrace::state
