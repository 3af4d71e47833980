// `millrace restore`: a data directory from a backup.
//
// It goes on where the backup ended, as a cluster of its own: what was acknowledged later is not in
// it. So that nobody mistakes one for the other, it has no cluster id yet (the node makes one), its
// leader epochs are above the original's, and producer ids that the original may have given out
// since are not given out again. Transactions that were open time out and are aborted; those whose
// outcome was decided are completed at the first start.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace millrace::cli {

struct RestoreOptions {
  std::string directory;  // of backups, or one of them
  std::string data;       // must not exist, or be empty
  int64_t number = 0;     // 0: the newest
  bool quiet = false;
};

// Every file is checked against the manifest. kCorruption names the one that is damaged; nothing is
// left in `data` then.
Status Restore(const RestoreOptions& options);

}  // namespace millrace::cli
