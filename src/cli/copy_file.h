// Copies files durably, checks them, and no faster than allowed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

namespace millrace::cli {

// Holds whoever moves bytes to a speed. Not thread-safe.
class Throttle {
 public:
  explicit Throttle(uint64_t bytes_per_second);  // 0: no limit
  // Waits until `bytes` more may be moved.
  void Take(uint64_t bytes);

 private:
  const uint64_t bytes_per_second_;
  std::chrono::steady_clock::time_point free_at_;
};

// Progress of long work: one line on standard error every few seconds, where that is wanted.
class Progress {
 public:
  Progress(std::string what, uint64_t bytes_total, bool shown);
  void Add(uint64_t bytes);

 private:
  const std::string what_;
  const uint64_t bytes_total_;
  const bool shown_;
  uint64_t bytes_ = 0;
  std::chrono::steady_clock::time_point last_;
};

// The first `bytes` of `from`, as a new file that is synced; its name is not. Returns the CRC32C.
// kCorruption: `from` is shorter. kOverloaded: no space left.
Result<uint32_t> CopyFile(const std::string& from, const std::string& to, uint64_t bytes,
                          Throttle& throttle, Progress& progress);
// CRC32C of a whole file; kCorruption where it has not `bytes` bytes.
Result<uint32_t> ChecksumOf(const std::string& path, uint64_t bytes, Progress& progress);

// Makes the folders of the file `path` below `to`, each with the permissions that it has below
// `from`: one that is closed to other users stays so.
Status MakeFoldersLike(const std::string& from, const std::string& to, const std::string& path);

// Syncs every folder at and below `root`.
Status SyncFolders(const std::string& root);

}  // namespace millrace::cli
