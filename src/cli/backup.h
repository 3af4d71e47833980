// `millrace backup`: copies a running node's data to a folder of backups.
//
//   DIR/lock         one backup at a time
//   DIR/N            a backup, complete: laid out as a data directory, with a manifest
//   DIR/N.partial    one that is being made, or was cut off; the next backup removes it
//
// A file that has not changed since the newest backup is linked to its copy there, so a backup
// costs what has changed. The copying is done here, not in the node, and no faster than allowed.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/find_node.h"

namespace millrace::cli {

struct BackupOptions {
  std::string directory;
  NodeFlags node;
  uint64_t megabytes_per_second = 100;  // 0: no limit
  int64_t keep = 0;                     // the newest; 0: all
  bool quiet = false;
};

// kUnavailable: no node, or it runs on another machine. kOverloaded: no space left; earlier backups
// are whole in any case.
Status Backup(const BackupOptions& options);

}  // namespace millrace::cli
