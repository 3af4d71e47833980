// CarefulFiles is the file system that the state's RocksDB runs on: the machine's, except that no
// sorted file is deleted while an ingestion is under way, or after one has failed.
//
// Why: when syncing the manifest fails, RocksDB 7.8 deletes the files that it was ingesting, though
// the record that names them may have reached the disk; the next open then fails for a missing
// file. Kept files do no harm: what the manifest does not name is deleted by the next open.
//
// Thread-safe.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace millrace::state {

class CarefulFiles final : public rocksdb::FileSystemWrapper {
 public:
  explicit CarefulFiles(const std::shared_ptr<rocksdb::FileSystem>& files)
      : FileSystemWrapper(files) {}
  const char* Name() const override { return "millrace.CarefulFiles"; }

  // Puts off deletions from now on.
  void BeginIngestion();
  // REQUIRES: the ingestion succeeded. After a failed one this is not called any more.
  void EndIngestion();

  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  std::mutex mutex_;
  bool ingesting_ = false;
  std::vector<std::string> put_off_;
};

}  // namespace millrace::state
