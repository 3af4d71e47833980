// `millrace verify`: reads all of a data directory, or of backups, and names what is damaged.
#pragma once

#include <string>

#include "base/result.h"

namespace millrace::cli {

struct VerifyOptions {
  std::string data;  // a data directory, a backup, or a folder of backups
  bool quiet = false;
};

// Prints a line for each damaged thing, and one that sums up. kCorruption: something is damaged.
Status Verify(const VerifyOptions& options);

}  // namespace millrace::cli
