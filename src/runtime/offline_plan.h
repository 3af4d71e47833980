// Plans a project against a data directory that no node holds, and changes nothing in it: the log
// is opened over an overlay in memory (where recovery may write what it likes), the state read
// only. Needs no permission to write.
#pragma once

#include <vector>

#include "base/result.h"
#include "runtime/node.h"

namespace millrace::runtime {

// Of `options` the data directory, the memory and the allowed files count. A directory that does
// not exist or holds nothing is planned against as empty. kConflict: a node holds it; ask that one.
// Rows are counted as of the last flush of the state; a notice says so where later steps are in the
// log.
Result<ProjectPlan> PlanOffline(const NodeOptions& options, const std::vector<ProjectFile>& files);

}  // namespace millrace::runtime
