// `millrace run PROJECT`: starts a node on the project's data directory, applies the project,
// serves until SIGINT or SIGTERM.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace millrace::cli {

struct RunOptions {
  std::string project;
  std::map<std::string, std::string> flags;  // of the settings
  std::vector<std::string> allow_drop;
  int64_t step_rows_max = 0;  // 0: default
};
Status Run(const RunOptions& options);

}  // namespace millrace::cli
