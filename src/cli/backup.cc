#include "cli/backup.h"

#include <simdjson.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <map>

#include "base/clock.h"
#include "base/files.h"
#include "cli/backup_manifest.h"
#include "cli/copy_file.h"
#include "cli/find_node.h"
#include "cli/plan.h"
#include "runtime/backup_source.h"

namespace millrace::cli {

namespace {

namespace fs = std::filesystem;

constexpr char kPartial[] = ".partial";

// What the node holds still, given back at the end.
class Source {
 public:
  static Result<std::unique_ptr<Source>> Begin(const NodeFlags& node) {
    std::unique_ptr<Source> source(new Source);
    TRY(net::HttpClient client, FindNode(node));
    source->client_ = std::make_unique<net::HttpClient>(std::move(client));
    TRY(const net::ClientAnswer answer,
        source->client_->Post("/v1/backup", "application/json", ""));
    if (answer.status != 200) return ErrorOfAnswer(answer);
    simdjson::dom::parser parser;
    simdjson::dom::element document;
    const simdjson::padded_string padded(answer.body);
    std::string_view directory;
    if (parser.parse(padded).get(document) != simdjson::SUCCESS ||
        document["directory"].get(directory) != simdjson::SUCCESS ||
        document["step"].get(source->step) != simdjson::SUCCESS ||
        document["frame"].get(source->frame) != simdjson::SUCCESS) {
      return Error(Code::kInternal, "the node's answer cannot be read: {}",
                   answer.body.substr(0, 500));
    }
    source->data = directory;
    TRY(const bool here, Files::System().Exists(source->data + "/" + runtime::kBackupLogFiles));
    if (!here) {
      return Error(Code::kUnavailable, "the node's data directory {} is not on this machine",
                   source->data)
          .Hint("run millrace backup where the node runs, as a user who may read its files");
    }
    TRY(source->lock_, Files::System().Lock(source->data + "/" + runtime::kBackupLock));
    return source;
  }

  ~Source() {
    if (data.empty()) return;
    net::ClientRequest request;
    request.method = "DELETE";
    request.target = "/v1/backup";
    const auto answer = client_->Send(request);
    if (!answer.ok() || answer->status != 200) {
      std::fprintf(stderr, "note: %s stays until the next backup or start of the node\n",
                   directory().c_str());
    }
  }

  std::string directory() const { return data + "/" + runtime::kBackupSource; }
  // Of each file of the log, how much of it counts.
  Result<std::map<std::string, uint64_t>> LogBytes() const {
    TRY(const std::string text, Files::System().ReadAll(data + "/" + runtime::kBackupLogFiles));
    std::map<std::string, uint64_t> bytes;
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      uint64_t size = 0;
      const auto [at, error] = std::from_chars(line.data(), line.data() + line.size(), size);
      if (error != std::errc() || at == line.data() + line.size())
        return Error(Code::kInternal, "the node's list of files has a line {}", Quoted(line));
      bytes[std::string(at + 1, line.data() + line.size())] = size;
    }
    return bytes;
  }

  std::string data;  // the node's directory
  int64_t step = 0;
  uint64_t frame = 0;

 private:
  Source() = default;
  std::unique_ptr<net::HttpClient> client_;
  std::unique_ptr<FileLock> lock_;
};

Result<std::vector<BackupFile>> FilesOf(const Source& source) {
  TRY(const auto log_bytes, source.LogBytes());
  const fs::path root = source.directory();
  std::vector<BackupFile> files;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(root, error)) {
    if (!entry.is_regular_file()) continue;
    struct stat status {};
    if (::stat(entry.path().c_str(), &status) != 0) {
      return Error(Code::kIo, "{}: {}", entry.path().string(),
                   std::generic_category().message(errno));
    }
    BackupFile file;
    file.path = entry.path().lexically_relative(root).string();
    file.bytes = static_cast<uint64_t>(status.st_size);
    file.inode = status.st_ino;
    file.modified_nanos = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
    const auto in_log = log_bytes.find(file.path);
    if (in_log != log_bytes.end()) file.bytes = in_log->second;
    files.push_back(std::move(file));
  }
  if (error) return Error(Code::kIo, "list {}: {}", root.string(), error.message());
  std::sort(files.begin(), files.end(),
            [](const BackupFile& a, const BackupFile& b) { return a.path < b.path; });
  return files;
}

// The newest backup, of which unchanged files are linked.
struct Former {
  std::string path;
  std::map<std::string, BackupFile> files;

  // nullptr: changed, or not there.
  const BackupFile* Find(const BackupFile& file) const {
    const auto at = files.find(file.path);
    if (at == files.end()) return nullptr;
    const BackupFile& former = at->second;
    const bool same = former.bytes == file.bytes && former.inode == file.inode &&
                      former.modified_nanos == file.modified_nanos;
    return same ? &former : nullptr;
  }
};

Former ReadFormer(const std::string& directory, const std::vector<int64_t>& numbers) {
  Former former;
  if (numbers.empty()) return former;
  former.path = BackupPath(directory, numbers.back());
  const auto manifest = ReadManifest(former.path);
  if (!manifest.ok()) {
    std::fprintf(stderr, "warning: %s; everything is copied anew\n",
                 manifest.error().ToString().c_str());
    return former;
  }
  for (const BackupFile& file : manifest->files) former.files[file.path] = file;
  return former;
}

Status RemoveFolder(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? Error(Code::kIo, "remove {}: {}", path, error.message()) : Ok();
}

Status RemovePartial(const std::string& directory) {
  TRY(const auto names, Files::System().List(directory));
  for (const std::string& name : names) {
    if (name.ends_with(kPartial)) TRY(RemoveFolder(directory + "/" + name));
  }
  return Ok();
}

Status CheckSpace(const std::string& directory, uint64_t bytes) {
  TRY(const DiskSpace space, Files::System().Space(directory));
  if (space.free_bytes > bytes) return Ok();
  return Error(Code::kOverloaded, "the backup needs {} in {}, where {} are free",
               BytesText(static_cast<int64_t>(bytes)), directory,
               BytesText(static_cast<int64_t>(space.free_bytes)))
      .Hint("make room, or remove old backups: --keep N");
}

struct Made {
  BackupManifest manifest;
  uint64_t bytes = 0;
  uint64_t new_bytes = 0;
};

// Puts the files into `to`, links or copies, and the manifest last.
Result<Made> CopyFiles(const BackupOptions& options, const Source& source, const Former& former,
                       const std::string& to) {
  Made made;
  made.manifest.step = source.step;
  made.manifest.frame = source.frame;
  made.manifest.made_at = Clock::System().Now().value;
  TRY(std::vector<BackupFile> files, FilesOf(source));
  for (const BackupFile& file : files) {
    made.bytes += file.bytes;
    if (former.Find(file) == nullptr) made.new_bytes += file.bytes;
  }
  TRY(CheckSpace(options.directory, made.new_bytes));
  Throttle throttle(options.megabytes_per_second * 1'000'000);
  Progress progress("backup", made.new_bytes, !options.quiet);
  for (BackupFile& file : files) {
    const fs::path path = fs::path(to) / file.path;
    TRY(MakeFoldersLike(source.directory(), to, file.path));
    if (const BackupFile* same = former.Find(file); same != nullptr) {
      std::error_code error;
      fs::create_hard_link(fs::path(former.path) / file.path, path, error);
      if (!error) {
        file.crc = same->crc;
        continue;
      }
    }
    TRY(file.crc, CopyFile(source.directory() + "/" + file.path, path.string(), file.bytes,
                           throttle, progress));
  }
  made.manifest.files = std::move(files);
  TRY(Files::System().Replace(to + "/" + kManifestFile, EncodeManifest(made.manifest)));
  TRY(SyncFolders(to));
  return made;
}

Status RemoveOld(const BackupOptions& options, std::vector<int64_t> numbers) {
  if (options.keep <= 0) return Ok();
  while (numbers.size() > static_cast<size_t>(options.keep)) {
    const std::string path = BackupPath(options.directory, numbers.front());
    // Renamed first: half of a backup must not look like one.
    TRY(Files::System().Rename(path, path + kPartial));
    TRY(Files::System().SyncDirectory(options.directory));
    TRY(RemoveFolder(path + kPartial));
    numbers.erase(numbers.begin());
  }
  return Ok();
}

}  // namespace

Status Backup(const BackupOptions& options) {
  const auto start = Tick();
  TRY(Files::System().CreateDirectories(options.directory));
  auto lock = Files::System().Lock(options.directory + "/lock");
  if (!lock.ok() && lock.error().code() == Code::kConflict)
    return Error(Code::kConflict, "another backup to {} is running", options.directory);
  if (!lock.ok()) return lock.error();
  TRY(RemovePartial(options.directory));
  TRY(std::vector<int64_t> numbers, ListBackups(options.directory));
  const Former former = ReadFormer(options.directory, numbers);
  TRY(const auto source, Source::Begin(options.node));
  const int64_t number = numbers.empty() ? 1 : numbers.back() + 1;
  const std::string path = BackupPath(options.directory, number);
  auto made = CopyFiles(options, *source, former, path + kPartial);
  if (!made.ok()) {
    const Status removed = RemoveFolder(path + kPartial);
    if (!removed.ok()) std::fprintf(stderr, "note: %s\n", removed.error().ToString().c_str());
    return std::move(made).error().With("earlier backups are as they were; this one failed");
  }
  TRY(Files::System().Rename(path + kPartial, path));
  TRY(Files::System().SyncDirectory(options.directory));
  numbers.push_back(number);
  TRY(RemoveOld(options, numbers));
  std::printf("backup %s: step %lld, %zu files, %s, of which %s are new, in %.1f s\n", path.c_str(),
              static_cast<long long>(made->manifest.step), made->manifest.files.size(),
              BytesText(static_cast<int64_t>(made->bytes)).c_str(),
              BytesText(static_cast<int64_t>(made->new_bytes)).c_str(), SecondsSince(start));
  return Ok();
}

}  // namespace millrace::cli
