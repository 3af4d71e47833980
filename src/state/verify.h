// Reads every block of a store's files and checks its checksum, without changing anything. For a
// directory that nobody runs.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace millrace::state {

struct VerifyWatcher {
  std::function<void(const std::string& file, const std::string& problem)> damaged;
  std::function<void(uint64_t bytes)> read;  // since the last call
};

// Damage goes to the watcher; the error is one that ends the work.
Status VerifyFiles(const std::string& directory, const VerifyWatcher& watcher);

}  // namespace millrace::state
