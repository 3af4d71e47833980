// FaultyFiles is a file system in memory for tests, whose disk can fail in every way that matters.
// It keeps apart what was written and what would survive a power loss: bytes survive by File::Sync,
// names by SyncDirectory.
//
//   FaultyFiles files;
//   files.LosePowerAt(17);                    // the 17th call from now on fails, and so does
//   everything after it RunTheProgram(files); auto after = files.AfterPowerLoss({});    // what the
//   disk holds when power is back
//
// Every call that reaches the disk counts, reads too. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/random.h"

namespace millrace {

class FaultyFiles final : public Files {
 public:
  FaultyFiles();
  ~FaultyFiles() override;

  // ---- Faults ----

  // From the n-th call from now on (1: the next), every call fails and changes nothing.
  void LosePowerAt(uint64_t nth_call);
  // The n-th call from now on fails once with this error and changes nothing, except that a failed
  // Sync loses what it should have made durable, as Linux does: later syncs succeed without it.
  void FailCallAt(uint64_t nth_call, Error error);
  // Whether the fault set last has struck. Setting a fault resets it.
  bool Fired() const;
  uint64_t calls() const;
  // How many writes went to files that are open with OpenMode::kDirect.
  uint64_t direct_writes() const;

  // What becomes of writes and names that were not synced.
  struct PowerLoss {
    bool keep_some =
        false;  // each is kept, lost, or (a write) kept in part, by chance; otherwise all are lost
    uint64_t seed = 0;
  };
  // The disk after a power loss now. This one stays as it is.
  std::unique_ptr<FaultyFiles> AfterPowerLoss(PowerLoss how) const;
  // The disk after the process alone has died: everything written is there.
  std::unique_ptr<FaultyFiles> AfterCrash() const;

  // Inverts one byte, durably. False: the file is not that long.
  bool FlipByte(const std::string& path, uint64_t offset);
  void SetReadOnly(bool read_only);
  // Default: 1 TiB, all of it free. Files take their length from it; writes beyond it fail with
  // kOverloaded.
  void SetTotalBytes(uint64_t total_bytes);
  // Paths of all files, sorted.
  std::vector<std::string> Paths() const;

  // ---- Files ----

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<bool> Exists(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Status CreateDirectories(const std::string& directory) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& file) override;
  Status RemoveAll(const std::string& directory) override;
  Status SyncDirectory(const std::string& directory) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  Result<DiskSpace> Space(const std::string& directory) override;
  size_t OpenFilesMax() override;

 private:
  class OpenFile;
  class HeldLock;
  // A change of a file's content since its last sync.
  struct Change {
    bool truncate = false;
    uint64_t offset = 0;  // truncate: the new size
    std::string bytes;
  };
  // A file or folder, whatever its names. Shared by names, open files and the durable state.
  struct Node {
    bool directory = false;
    std::string content;
    std::string durable;
    std::vector<Change> unsynced;
    std::map<std::string, std::shared_ptr<Node>> names;
    std::map<std::string, std::shared_ptr<Node>> durable_names;
  };
  using NodePtr = std::shared_ptr<Node>;

  // The fault that this call meets, if any. REQUIRES: mutex_ is held.
  Status CountCall(std::string_view action, std::string_view path, bool writes);
  NodePtr Find(const std::string& path) const;
  static void Apply(std::string& content, const Change& change);
  static NodePtr Survivor(const Node& node, Random* keep_some,
                          std::map<const Node*, NodePtr>& done);
  static NodePtr Copy(const Node& node, std::map<const Node*, NodePtr>& done);
  void CollectPaths(const Node& node, const std::string& path, std::vector<std::string>& out) const;
  uint64_t UsedBytes(const Node& node) const;
  Status Write(Node& node, Change change, std::string_view path);

  mutable std::mutex mutex_;
  NodePtr root_;
  std::set<std::string> locks_;
  uint64_t calls_ = 0;
  uint64_t direct_writes_ = 0;
  uint64_t power_lost_at_ = UINT64_MAX;
  uint64_t fail_at_ = UINT64_MAX;
  std::optional<Error> fail_with_;
  bool fired_ = false;
  bool read_only_ = false;
  uint64_t total_bytes_ = 1ull << 40;
};

}  // namespace millrace
