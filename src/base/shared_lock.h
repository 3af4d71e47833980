// A lock for those who only look: it is had while no other process holds the lock file alone
// (Files::Lock), and keeps others from taking it. Nothing on disk changes, not even a time stamp.
#pragma once

#include <memory>
#include <string>

#include "base/files.h"

namespace millrace {

// kConflict: another process holds it. kNotFound: there is no such file.
Result<std::unique_ptr<FileLock>> LockShared(const std::string& path);

}  // namespace millrace
