// The manifest of a backup: every file of it, with what is needed to check it and to know it again.
// Format: docs/formats/backup.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::cli {

struct BackupFile {
  std::string path;  // within the backup, laid out as a data directory
  uint64_t bytes = 0;
  uint32_t crc = 0;  // CRC32C
  // Of the file that it was copied from: with path and bytes they say that it has not changed.
  uint64_t inode = 0;
  int64_t modified_nanos = 0;
};

struct BackupManifest {
  int64_t step = 0;     // everything up to it is in the state
  uint64_t frame = 0;   // everything up to it is in the log
  int64_t made_at = 0;  // microseconds since 1970
  std::vector<BackupFile> files;
};

std::string EncodeManifest(const BackupManifest& manifest);
// kCorruption: damaged, or a path that leads out of the backup. kNotSupported: a newer version.
Result<BackupManifest> DecodeManifest(std::string_view text);

inline constexpr char kManifestFile[] = "manifest";

// The backups in a folder, numbers ascending; those that were not finished are left out. kNotFound
// where the folder does not exist.
Result<std::vector<int64_t>> ListBackups(const std::string& directory);
std::string BackupPath(const std::string& directory, int64_t number);
Result<BackupManifest> ReadManifest(const std::string& backup);

}  // namespace millrace::cli
