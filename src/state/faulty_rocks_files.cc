#include "state/faulty_rocks_files.h"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace millrace::state {
namespace {

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

// "/a//b" and "/a/b" name one file.
std::string Normal(const std::string& path) {
  return std::filesystem::path(path).lexically_normal().string();
}
std::string DirectoryOf(const std::string& path) {
  return std::filesystem::path(Normal(path)).parent_path().string();
}

class FaultyFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::string path,
             std::shared_ptr<FaultyRocksFiles::Inode> inode, FaultyRocksFiles& files)
      : FSWritableFileOwnerWrapper(std::move(file)),
        path_(std::move(path)),
        inode_(std::move(inode)),
        files_(files) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    if (auto status = files_.OnChange(); !status.ok()) return status;
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& info,
                           rocksdb::IODebugContext* debug) override {
    if (auto status = files_.OnChange(); !status.ok()) return status;
    return FSWritableFileOwnerWrapper::Append(data, options, info, debug);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override {
    if (auto status = files_.OnChange(); !status.ok()) return status;
    auto status = FSWritableFileOwnerWrapper::Sync(options, debug);
    if (status.ok()) files_.OnSynced(inode_, path_);
    return status;
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    if (auto status = files_.OnChange(); !status.ok()) return status;
    auto status = FSWritableFileOwnerWrapper::Fsync(options, debug);
    if (status.ok()) files_.OnSynced(inode_, path_);
    return status;
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    auto status = FSWritableFileOwnerWrapper::Close(options, debug);
    if (auto fault = files_.OnChange(); !fault.ok()) return fault;
    return status;
  }

 private:
  const std::string path_;
  const std::shared_ptr<FaultyRocksFiles::Inode> inode_;
  FaultyRocksFiles& files_;
};

class FaultyDirectory final : public rocksdb::FSDirectory {
 public:
  FaultyDirectory(std::unique_ptr<rocksdb::FSDirectory> directory, std::string path,
                  FaultyRocksFiles& files)
      : directory_(std::move(directory)), path_(std::move(path)), files_(files) {}
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    if (auto status = files_.OnChange(); !status.ok()) return status;
    auto status = directory_->Fsync(options, debug);
    if (status.ok()) files_.OnDirectorySynced(path_);
    return status;
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return directory_->Close(options, debug);
  }

 private:
  const std::unique_ptr<rocksdb::FSDirectory> directory_;
  const std::string path_;
  FaultyRocksFiles& files_;
};

}  // namespace

FaultyRocksFiles::FaultyRocksFiles() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

void FaultyRocksFiles::Arm(Fault fault, int n, rocksdb::IOStatus error) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  calls_left_ = n;
  gone_ = false;
  fired_ = false;
  error_ = std::move(error);
}

bool FaultyRocksFiles::Disarm() {
  const std::lock_guard lock(mutex_);
  calls_left_ = 0;
  gone_ = false;
  return fired_;
}

rocksdb::IOStatus FaultyRocksFiles::OnChange() {
  const std::lock_guard lock(mutex_);
  if (gone_) return error_;
  if (calls_left_ == 0 || --calls_left_ > 0) return rocksdb::IOStatus::OK();
  fired_ = true;
  gone_ = fault_ == Fault::kAllAfter;
  return error_;
}

void FaultyRocksFiles::OnSynced(const std::shared_ptr<Inode>& inode, const std::string& path) {
  const std::lock_guard lock(mutex_);
  inode->durable = Slurp(path);
}

void FaultyRocksFiles::OnDirectorySynced(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  std::erase_if(durable_, [&](const auto& entry) { return DirectoryOf(entry.first) == directory; });
  for (const auto& [path, inode] : live_) {
    if (DirectoryOf(path) == directory) durable_[path] = inode;
  }
}

void FaultyRocksFiles::RestoreDurable(const std::string& directory) {
  for (const std::string& folder : {directory, directory + "/incoming"}) {
    std::error_code missing;
    for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
      const std::string name = entry.path().filename().string();
      if (entry.is_regular_file() && name != "LOCK" && !name.starts_with("LOG")) {
        std::filesystem::remove(entry.path());
      }
    }
  }
  for (const auto& [path, inode] : durable_) {
    std::ofstream(path, std::ios::binary) << inode->durable;
  }
  live_ = durable_;
}

rocksdb::IOStatus FaultyRocksFiles::NewWritableFile(
    const std::string& path, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* debug) {
  if (auto status = OnChange(); !status.ok()) return status;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  auto status = FileSystemWrapper::NewWritableFile(path, options, &file, debug);
  if (!status.ok()) return status;
  auto inode = std::make_shared<Inode>();
  {
    const std::lock_guard lock(mutex_);
    live_[Normal(path)] = inode;
  }
  *result = std::make_unique<FaultyFile>(std::move(file), path, std::move(inode), *this);
  return status;
}

rocksdb::IOStatus FaultyRocksFiles::ReopenWritableFile(
    const std::string& path, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* debug) {
  if (auto status = OnChange(); !status.ok()) return status;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  auto status = FileSystemWrapper::ReopenWritableFile(path, options, &file, debug);
  if (!status.ok()) return status;
  std::shared_ptr<Inode> inode;
  {
    const std::lock_guard lock(mutex_);
    auto& known = live_[Normal(path)];
    if (known == nullptr) known = std::make_shared<Inode>();
    inode = known;
  }
  *result = std::make_unique<FaultyFile>(std::move(file), path, std::move(inode), *this);
  return status;
}

rocksdb::IOStatus FaultyRocksFiles::NewDirectory(const std::string& path,
                                                 const rocksdb::IOOptions& options,
                                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                                 rocksdb::IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  auto status = FileSystemWrapper::NewDirectory(path, options, &directory, debug);
  if (!status.ok()) return status;
  *result = std::make_unique<FaultyDirectory>(std::move(directory), Normal(path), *this);
  return status;
}

rocksdb::IOStatus FaultyRocksFiles::DeleteFile(const std::string& path,
                                               const rocksdb::IOOptions& options,
                                               rocksdb::IODebugContext* debug) {
  if (auto status = OnChange(); !status.ok()) return status;
  auto status = FileSystemWrapper::DeleteFile(path, options, debug);
  const std::lock_guard lock(mutex_);
  if (status.ok()) live_.erase(Normal(path));
  return status;
}

rocksdb::IOStatus FaultyRocksFiles::RenameFile(const std::string& from, const std::string& to,
                                               const rocksdb::IOOptions& options,
                                               rocksdb::IODebugContext* debug) {
  if (auto status = OnChange(); !status.ok()) return status;
  auto status = FileSystemWrapper::RenameFile(from, to, options, debug);
  const std::lock_guard lock(mutex_);
  if (const auto found = live_.find(Normal(from)); status.ok() && found != live_.end()) {
    live_[Normal(to)] = found->second;
    live_.erase(Normal(from));
  }
  return status;
}

rocksdb::IOStatus FaultyRocksFiles::LinkFile(const std::string& from, const std::string& to,
                                             const rocksdb::IOOptions& options,
                                             rocksdb::IODebugContext* debug) {
  if (auto status = OnChange(); !status.ok()) return status;
  auto status = FileSystemWrapper::LinkFile(from, to, options, debug);
  const std::lock_guard lock(mutex_);
  if (const auto found = live_.find(Normal(from)); status.ok() && found != live_.end()) {
    live_[Normal(to)] = found->second;
  }
  return status;
}

}  // namespace millrace::state
