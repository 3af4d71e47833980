#include "state/careful_files.h"

#include <utility>

namespace millrace::state {

void CarefulFiles::BeginIngestion() {
  const std::lock_guard lock(mutex_);
  ingesting_ = true;
}

void CarefulFiles::EndIngestion() {
  std::vector<std::string> paths;
  {
    const std::lock_guard lock(mutex_);
    ingesting_ = false;
    paths = std::exchange(put_off_, {});
  }
  // A file that cannot be deleted now is deleted when the store is opened next.
  for (const std::string& path : paths) {
    FileSystemWrapper::DeleteFile(path, {}, nullptr).PermitUncheckedError();
  }
}

rocksdb::IOStatus CarefulFiles::DeleteFile(const std::string& path,
                                           const rocksdb::IOOptions& options,
                                           rocksdb::IODebugContext* debug) {
  if (path.ends_with(".sst")) {
    const std::lock_guard lock(mutex_);
    if (ingesting_) {
      put_off_.push_back(path);
      return rocksdb::IOStatus::OK();
    }
  }
  return FileSystemWrapper::DeleteFile(path, options, debug);
}

}  // namespace millrace::state
