// Looks at the files of a log that nobody has opened, for damage that reading would not meet: what
// stands twice may have lost one copy, and still be read. Changes nothing.
#pragma once

#include <functional>
#include <string>

#include "base/files.h"
#include "base/result.h"

namespace millrace::log {

// `damaged` gets the path of each such file and what is wrong with it. Small files only: batches
// and their entries are checked by reading them (Log::Read).
Status VerifySmallFiles(
    Files& files, const std::string& directory,
    const std::function<void(const std::string& path, const std::string& problem)>& damaged);

}  // namespace millrace::log
