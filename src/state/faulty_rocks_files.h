// FaultyRocksFiles is a file system for tests. It passes everything on to the machine's, counts the
// calls that change something, fails those that it is told to fail, and can take back whatever was
// not synced, as a power failure may.
//
// It knows what is durable by a model: a sync makes a file's bytes durable, a sync of a directory
// makes its names durable.
//
// Thread-safe, except RestoreDurable.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace millrace::state {

class FaultyRocksFiles final : public rocksdb::FileSystemWrapper {
 public:
  enum class Fault {
    kOne,       // the n-th call fails, later ones succeed
    kAllAfter,  // the n-th call and all after it fail: the machine is gone
  };

  FaultyRocksFiles();
  const char* Name() const override { return "FaultyRocksFiles"; }

  // From now on count calls; the n-th one (from 1) fails, with `error`.
  void Arm(Fault fault, int n, rocksdb::IOStatus error);
  // Stops failing. Returns whether any call failed.
  bool Disarm();
  // Makes the files in `directory` and its folder `incoming` be what is durable. REQUIRES: nothing
  // has them open.
  void RestoreDurable(const std::string& directory);

  // For the files of this file system: the error that this call has to fail with, or OK.
  rocksdb::IOStatus OnChange();
  struct Inode {
    std::string durable;
  };
  void OnSynced(const std::shared_ptr<Inode>& inode, const std::string& path);
  void OnDirectorySynced(const std::string& directory);

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override;

 private:
  std::mutex mutex_;
  Fault fault_ = Fault::kOne;
  int calls_left_ = 0;  // until the one that fails; 0: not armed
  bool gone_ = false;
  bool fired_ = false;
  rocksdb::IOStatus error_;
  std::map<std::string, std::shared_ptr<Inode>> live_;
  std::map<std::string, std::shared_ptr<Inode>> durable_;
};

}  // namespace millrace::state
