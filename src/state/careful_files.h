// CarefulFiles is the file system that the state's RocksDB runs on: the machine's, except for two
// defects of RocksDB 7.8.
//
// No sorted file is deleted while an ingestion is under way, or after one has failed: when syncing
// the manifest fails, RocksDB deletes the files that it was ingesting, though the record that names
// them may have reached the disk; the next open then fails for a missing file. Kept files do no
// harm: what the manifest does not name is deleted by the next open.
//
// A sorted file without entries cannot fail: a compaction of which nothing is left (the drops of
// tables) writes one and deletes it unread; where writing it fails, as on a full disk, RocksDB asks
// for the file's first key and ends the process. Entries are counted by a collector of table
// properties, on the thread that writes the file.
//
// Thread-safe.
#pragma once

#include <rocksdb/file_system.h>
#include <rocksdb/table_properties.h>

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

  // To be among the options of the RocksDB, once.
  static std::shared_ptr<rocksdb::TablePropertiesCollectorFactory> EntryCounter();

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  std::mutex mutex_;
  bool ingesting_ = false;
  std::vector<std::string> put_off_;
};

}  // namespace millrace::state
