#include "runtime/backup_source.h"

#include <filesystem>
#include <set>

#include "runtime/node_impl.h"

namespace millrace::runtime {

namespace {

namespace fs = std::filesystem;

// What is no part of a backup, or is put there in another way. A copy gets a cluster id of its own.
const std::set<std::string> kLeftOut = {"wal",     "log",        "state", "lock",  "holder",
                                        "address", "cluster_id", "tmp",   "cache", kBackupFolder};

Status Failed(const std::string& action, const std::error_code& error) {
  return Error(error == std::errc::no_space_on_device ? Code::kOverloaded : Code::kIo, "{}: {}",
               action, error.message());
}

Status MakeFolders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? Failed("make folder " + path.string(), error) : Ok();
}

Status LinkLogFiles(const fs::path& data, const log::LogFiles& files) {
  const fs::path source = data / kBackupSource;
  std::string list;
  fs::path folder;
  for (const log::LogFiles::File& file : files.files) {
    const fs::path to = source / file.path;
    if (to.parent_path() != folder) TRY(MakeFolders(to.parent_path()));
    folder = to.parent_path();
    std::error_code error;
    fs::create_hard_link(data / file.path, to, error);
    if (error) return Failed("link " + (data / file.path).string(), error);
    list += fmt::format("{} {}\n", file.bytes, file.path);
  }
  TRY(MakeFolders(source / "wal"));
  TRY(Files::System().Replace((source / "wal/checkpoint").string(), files.checkpoint));
  return Files::System().Replace((data / kBackupLogFiles).string(), list);
}

// Small files that others keep in the data directory.
Status CopyOthers(const fs::path& data) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(data, error)) {
    const std::string name = entry.path().filename().string();
    if (kLeftOut.contains(name) || name.ends_with(".tmp")) continue;
    std::error_code failed;
    fs::copy(entry.path(), data / kBackupSource / name, fs::copy_options::recursive, failed);
    if (failed) return Failed("copy " + entry.path().string(), failed);
  }
  return error ? Failed("list " + data.string(), error) : Ok();
}

Result<Node::BackupSource> Make(Node::Impl& node, const fs::path& data) {
  TRY(MakeFolders(data / kBackupSource));
  Node::BackupSource made;
  TRY(node.loop->AtBoundary([&]() -> Status {
    TRY(node.loop->FlushNow());
    TRY(node.store->CopyTo((data / kBackupSource / "state").string()));
    made.step = node.pipeline->state().step.value;
    return node.log->WithFiles([&](const log::LogFiles& files) -> Status {
      made.frame = files.frame.value;
      return LinkLogFiles(data, files);
    });
  }));
  TRY(CopyOthers(data));
  std::error_code error;
  made.directory = fs::canonical(data, error).string();
  if (error) return Failed("find " + data.string(), error).error();
  return made;
}

}  // namespace

Result<Node::BackupSource> BeginBackup(Node::Impl& node) {
  const fs::path data = node.options.data_directory;
  TRY(MakeFolders(data / kBackupFolder));
  auto lock = Files::System().Lock((data / kBackupLock).string());
  if (!lock.ok() && lock.error().code() == Code::kConflict) {
    return Error(Code::kConflict, "another backup of this node is running")
        .Hint("wait for it, or stop it");
  }
  if (!lock.ok()) return lock.error();
  TRY(EndBackup(node.options.data_directory));
  auto made = Make(node, data);
  if (made.ok()) return made;
  const Status removed = EndBackup(node.options.data_directory);
  if (!removed.ok()) return std::move(made).error().With(removed.error().message());
  return std::move(made).error().With("begin a backup");
}

Status EndBackup(const std::string& data_directory) {
  std::error_code error;
  fs::remove_all(fs::path(data_directory) / kBackupSource, error);
  if (!error) fs::remove(fs::path(data_directory) / kBackupLogFiles, error);
  return error ? Failed("remove " + data_directory + "/" + kBackupSource, error) : Ok();
}

}  // namespace millrace::runtime
