#include "cli/restore.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/clock.h"
#include "base/files.h"
#include "cli/backup_manifest.h"
#include "cli/copy_file.h"
#include "cli/plan.h"
#include "kafka_groups/skip_producer_ids.h"
#include "log/log.h"

namespace millrace::cli {

namespace {

namespace fs = std::filesystem;

Result<std::string> ChooseBackup(const RestoreOptions& options) {
  TRY(const bool is_one, Files::System().Exists(options.directory + "/" + kManifestFile));
  if (is_one && options.number == 0) return options.directory;
  TRY(const auto numbers, ListBackups(options.directory));
  if (numbers.empty()) return Error(Code::kNotFound, "{} holds no backup", options.directory);
  if (options.number == 0) return BackupPath(options.directory, numbers.back());
  if (std::find(numbers.begin(), numbers.end(), options.number) == numbers.end()) {
    return Error(Code::kNotFound, "{} holds no backup {}; the newest is {}", options.directory,
                 options.number, numbers.back());
  }
  return BackupPath(options.directory, options.number);
}

Status CheckEmpty(const std::string& data) {
  std::error_code error;
  if (!fs::exists(data, error)) return Ok();
  if (!fs::is_directory(data, error) || !fs::is_empty(data, error) || error) {
    return Error(Code::kConflict, "{} is not empty", data)
        .Hint("name a folder that does not exist: nothing is ever overwritten");
  }
  return Ok();
}

Status CopyChecked(const std::string& backup, const BackupManifest& manifest, const std::string& to,
                   bool quiet) {
  uint64_t total = 0;
  for (const BackupFile& file : manifest.files) total += file.bytes;
  Throttle throttle(0);
  Progress progress("restore", total, !quiet);
  for (const BackupFile& file : manifest.files) {
    const fs::path path = fs::path(to) / file.path;
    TRY(MakeFoldersLike(backup, to, file.path));
    const std::string from = backup + "/" + file.path;
    TRY(const uint32_t crc, CopyFile(from, path.string(), file.bytes, throttle, progress));
    if (crc == file.crc) continue;
    return Error(Code::kCorruption, "{} is damaged: its checksum is {:08x}, and was {:08x}", from,
                 crc, file.crc)
        .Hint("restore an earlier backup: --number N");
  }
  return Ok();
}

// Makes the copy a cluster of its own.
Status Reincarnate(const std::string& directory) {
  const std::string path = directory + "/wal/checkpoint";
  TRY(const std::string former, Files::System().ReadAll(path));
  TRY(const std::string checkpoint, log::Log::CheckpointOfCopy(former));
  TRY(Files::System().Replace(path, checkpoint));
  log::LogOptions options;
  options.directory = directory;
  options.manual = true;
  TRY(const auto log, log::Log::Open(options));
  TRY(kafka_groups::SkipProducerIds(*log));
  return log->Close();
}

}  // namespace

Status Restore(const RestoreOptions& options) {
  const auto start = Tick();
  TRY(const std::string backup, ChooseBackup(options));
  TRY(const BackupManifest manifest, ReadManifest(backup));
  TRY(CheckEmpty(options.data));
  const fs::path data = fs::absolute(options.data).lexically_normal();
  const fs::path target = data.has_filename() ? data : data.parent_path();
  const std::string building = target.string() + ".restoring";
  const auto remove = [&] {
    std::error_code error;
    fs::remove_all(building, error);
    return error ? Error(Code::kIo, "remove {}: {}", building, error.message()) : Ok();
  };
  const auto build = [&]() -> Status {
    TRY(CopyChecked(backup, manifest, building, options.quiet));
    TRY(Reincarnate(building));
    TRY(SyncFolders(building));
    std::error_code error;
    fs::rename(building, target, error);  // an empty folder makes way
    if (error)
      return Error(Code::kIo, "rename {} to {}: {}", building, target.string(), error.message());
    return Files::System().SyncDirectory(target.parent_path().string());
  };
  TRY(remove());
  Status built = build();
  if (!built.ok()) {
    const Status removed = remove();
    if (!removed.ok()) std::fprintf(stderr, "note: %s\n", removed.error().ToString().c_str());
    return built;
  }
  std::printf("restored %s to %s: step %lld, %zu files, in %.1f s\n", backup.c_str(),
              target.c_str(), static_cast<long long>(manifest.step), manifest.files.size(),
              SecondsSince(start));
  return Ok();
}

}  // namespace millrace::cli
