#include "cli/verify.h"

#include <cstdio>
#include <filesystem>

#include "base/clock.h"
#include "base/files.h"
#include "cli/backup_manifest.h"
#include "cli/copy_file.h"
#include "cli/plan.h"
#include "runtime/verify.h"

namespace millrace::cli {

namespace {

namespace fs = std::filesystem;

class Verification {
 public:
  explicit Verification(bool quiet) : quiet_(quiet) {}

  Status Data(const std::string& directory) {
    const auto start = Tick();
    Progress progress("verify " + directory, BytesBelow(directory), !quiet_);
    const auto verified =
        runtime::VerifyData(directory, {[this](const std::string& problem) { Damaged(problem); },
                                        [&](uint64_t bytes) { progress.Add(bytes); }});
    TRY(verified);
    std::printf("%s: %lld records in %lld batches, %lld steps of the journal, %s read in %.1f s\n",
                directory.c_str(), static_cast<long long>(verified->records),
                static_cast<long long>(verified->batches), static_cast<long long>(verified->steps),
                BytesText(static_cast<int64_t>(verified->bytes)).c_str(), SecondsSince(start));
    return Ok();
  }

  Status Backup(const std::string& directory) {
    const auto manifest = ReadManifest(directory);
    if (!manifest.ok()) {
      Damaged(manifest.error().ToString());
      return Ok();
    }
    Progress progress("verify " + directory, BytesBelow(directory), !quiet_);
    for (const BackupFile& file : manifest->files) {
      const std::string path = directory + "/" + file.path;
      const auto crc = ChecksumOf(path, file.bytes, progress);
      if (!crc.ok()) {
        Damaged(crc.error().ToString());
      } else if (*crc != file.crc) {
        Damaged(fmt::format("{}: its checksum is {:08x}, and was {:08x}", path, *crc, file.crc));
      }
    }
    return Data(directory);
  }

  int64_t damaged() const { return damaged_; }

 private:
  void Damaged(const std::string& problem) {
    ++damaged_;
    std::printf("damaged: %s\n", problem.c_str());
  }
  // For the progress only.
  static uint64_t BytesBelow(const std::string& directory) {
    uint64_t bytes = 0;
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(directory, error)) {
      std::error_code ignored;
      const uintmax_t size = entry.file_size(ignored);
      if (!ignored) bytes += size;
    }
    return bytes;
  }

  const bool quiet_;
  int64_t damaged_ = 0;
};

}  // namespace

Status Verify(const VerifyOptions& options) {
  const std::string& directory = options.data;
  Verification verification(options.quiet);
  TRY(const bool is_backup, Files::System().Exists(directory + "/" + kManifestFile));
  TRY(const bool is_data, Files::System().Exists(directory + "/wal"));
  if (is_backup) {
    TRY(verification.Backup(directory));
  } else if (is_data) {
    TRY(verification.Data(directory));
  } else {
    TRY(const auto numbers, ListBackups(directory));
    if (numbers.empty()) {
      return Error(Code::kNotFound, "{} is neither a data directory nor does it hold backups",
                   directory);
    }
    for (const int64_t number : numbers) TRY(verification.Backup(BackupPath(directory, number)));
  }
  if (verification.damaged() == 0) {
    std::printf("sound\n");
    return Ok();
  }
  return Error(Code::kCorruption, "{} things are damaged", verification.damaged())
      .Hint("a node goes on with what is readable; millrace restore takes all of it from a backup");
}

}  // namespace millrace::cli
