// Files is the one seam for the whole file system: everything that Millrace keeps on disk goes
// through it, so that a test can take the disk away at any moment (base/faulty_files.h).
//
// Durability is explicit. Written bytes survive a power loss only after File::Sync of that file; a
// created, renamed or removed name only after SyncDirectory of the folder that holds it. After a
// Sync that failed nobody knows what is on disk, and a second Sync would lie: the owner must write
// the content anew elsewhere or stop.
//
// Errors: kIo with path, action and the operating system's words; a full disk is kOverloaded (space
// may come back); a missing file is kNotFound. Sizes and offsets are bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace {

// An open file. Thread-safe as far as the calls do not overlap in the bytes that they touch.
class File {
 public:
  virtual ~File() = default;

  // Writes all of `bytes` at `offset`, growing the file where needed.
  [[nodiscard]] virtual Status Write(std::string_view bytes, uint64_t offset) = 0;
  // Writes the pieces one after the other, beginning at `offset`, in as few system calls as
  // possible.
  [[nodiscard]] virtual Status WriteGather(std::span<const std::string_view> pieces,
                                           uint64_t offset) = 0;
  // Reads up to `size` bytes; fewer only at the end of the file.
  [[nodiscard]] virtual Result<size_t> Read(char* to, size_t size, uint64_t offset) const = 0;
  // fdatasync: content and size are on disk when it returns.
  [[nodiscard]] virtual Status Sync() = 0;
  // Reserves blocks for [0, size) without changing the file's size. A file system that cannot does
  // nothing.
  [[nodiscard]] virtual Status Preallocate(uint64_t size) = 0;
  // Cuts or extends (with zeros) to `size` and gives reserved blocks behind it back.
  [[nodiscard]] virtual Status Truncate(uint64_t size) = 0;
  [[nodiscard]] virtual Result<uint64_t> Size() const = 0;
};

// Held by one process at a time; released by its destructor or by the end of the process.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // read and write; made when absent, content kept when present
  // Write only, must exist: past the page cache, so that neither a copy nor memory is spent on it
  // (O_DIRECT). Memory, offset and size of every write are multiples of kDirectAlignment. A file
  // system that cannot do it writes through the page cache instead. Sync is needed all the same.
  kDirect,
};
inline constexpr uint64_t kDirectAlignment = 4096;

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;  // to an ordinary user
};
// What is to stay free for writes that cannot be refused, as those of the state: 5 % of the disk,
// from 1 to 4 GiB.
uint64_t DefaultDiskReserve(const DiskSpace& disk);

// The folder of a path without its last name; "" where it has but one.
std::string ParentOf(const std::string& path);

// Thread-safe. Paths are separated by '/'.
class Files {
 public:
  virtual ~Files() = default;

  [[nodiscard]] virtual Result<std::unique_ptr<File>> Open(const std::string& path,
                                                           OpenMode mode) = 0;
  [[nodiscard]] virtual Result<bool> Exists(const std::string& path) = 0;
  // Names (not paths) of the entries of a folder, sorted, without "." and "..".
  [[nodiscard]] virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;
  // Makes the folder and its parents; one that exists is fine. The names are durable when it
  // returns.
  [[nodiscard]] virtual Status CreateDirectories(const std::string& directory) = 0;
  // Replaces `to` when it is a file. Works for folders where `to` does not exist.
  [[nodiscard]] virtual Status Rename(const std::string& from, const std::string& to) = 0;
  [[nodiscard]] virtual Status Remove(const std::string& file) = 0;
  // Removes a folder with everything in it; an absent one is fine.
  [[nodiscard]] virtual Status RemoveAll(const std::string& directory) = 0;
  [[nodiscard]] virtual Status SyncDirectory(const std::string& directory) = 0;
  // Takes the lock file, made when absent. kConflict when another holder has it.
  [[nodiscard]] virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
  [[nodiscard]] virtual Result<DiskSpace> Space(const std::string& directory) = 0;
  // How many files this process may hold open, after raising the limit as far as it is allowed to.
  virtual size_t OpenFilesMax() = 0;

  // The whole content.
  [[nodiscard]] Result<std::string> ReadAll(const std::string& path);
  // Puts `bytes` in place of the file as one durable step: a temporary file, synced, renamed, the
  // folder synced. A crash leaves the old content or the new.
  [[nodiscard]] Status Replace(const std::string& path, std::string_view bytes);

  // The operating system's.
  static Files& System();
};

}  // namespace millrace
