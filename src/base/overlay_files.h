// OverlayFiles shows the files below it and keeps every change in memory: for opening what must not
// be touched. What is written is seen by whoever reads through the same overlay, and by nobody
// else; it is gone with the overlay.
//
// Memory: the blocks that were written, 64 KiB each. Nothing here is durable, so syncing does
// nothing; a file that was opened stays open. Thread-safe. The files below must not change
// meanwhile, and must outlive the overlay.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/files.h"

namespace millrace {

class OverlayFiles final : public Files {
 public:
  explicit OverlayFiles(Files& below) : below_(below) {}
  ~OverlayFiles() override;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<bool> Exists(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Status CreateDirectories(const std::string& directory) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& file) override;
  Status RemoveAll(const std::string& directory) override;
  Status SyncDirectory(const std::string& directory) override;
  // Of this overlay alone: what is below is not locked.
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  Result<DiskSpace> Space(const std::string& directory) override;
  size_t OpenFilesMax() override { return below_.OpenFilesMax(); }

 private:
  class Content;
  class OpenFile;
  // What the overlay says about a path. Neither: the path was removed.
  struct Entry {
    std::shared_ptr<Content> file;
    bool directory = false;
  };

  // nullptr: what is below counts. REQUIRES: mutex_ is held, as for all of these.
  const Entry* Find(const std::string& path) const;
  Result<bool> ExistsLocked(const std::string& path);
  Result<bool> IsDirectory(const std::string& path);
  Result<std::vector<std::string>> ListLocked(const std::string& directory);
  Result<std::shared_ptr<Content>> ContentOf(const std::string& path);
  Status MoveLocked(const std::string& from, const std::string& to);
  Status RemoveTree(const std::string& path);

  Files& below_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // guarded by mutex_
};

}  // namespace millrace
