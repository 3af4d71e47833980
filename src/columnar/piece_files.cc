#include "columnar/piece_files.h"

#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "duckdb/common/file_system.hpp"

namespace millrace::columnar {
namespace {

constexpr const char* kPrefix = "millrace-piece://";

class Handle final : public duckdb::FileHandle {
 public:
  Handle(duckdb::FileSystem& system, const std::string& path, duckdb::FileOpenFlags flags,
         std::shared_ptr<std::string> content)
      : FileHandle(system, path, flags), bytes(std::move(content)) {}
  void Close() override {}

  const std::shared_ptr<std::string> bytes;
  size_t written = 0;
};

}  // namespace

struct PieceFiles::Table {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<std::string>> files;  // guarded by mutex
  uint64_t next = 0;                                          // guarded by mutex
};

class PieceFiles::System final : public duckdb::FileSystem {
 public:
  explicit System(std::shared_ptr<Table> table) : table_(std::move(table)) {}

  std::string GetName() const override { return "MillracePieces"; }
  bool CanHandleFile(const std::string& path) override { return path.starts_with(kPrefix); }

  duckdb::unique_ptr<duckdb::FileHandle> OpenFile(
      const std::string& path, duckdb::FileOpenFlags flags,
      duckdb::optional_ptr<duckdb::FileOpener> /*opener*/) override {
    const std::lock_guard lock(table_->mutex);
    const auto found = table_->files.find(path);
    if (found == table_->files.end()) throw duckdb::IOException("there is no file %s", path);
    return duckdb::make_uniq<Handle>(*this, path, flags, found->second);
  }
  int64_t Write(duckdb::FileHandle& handle, void* buffer, int64_t bytes) override {
    auto& file = handle.Cast<Handle>();
    file.bytes->append(static_cast<const char*>(buffer), static_cast<size_t>(bytes));
    file.written += static_cast<size_t>(bytes);
    return bytes;
  }
  int64_t GetFileSize(duckdb::FileHandle& handle) override {
    return static_cast<int64_t>(handle.Cast<Handle>().written);
  }
  duckdb::idx_t SeekPosition(duckdb::FileHandle& handle) override {
    return handle.Cast<Handle>().written;
  }
  void FileSync(duckdb::FileHandle& /*handle*/) override {}
  bool CanSeek() override { return false; }
  bool OnDiskFile(duckdb::FileHandle& /*handle*/) override { return false; }

 private:
  const std::shared_ptr<Table> table_;
};

PieceFiles::PieceFiles() : table_(std::make_shared<Table>()) {}
PieceFiles::~PieceFiles() = default;

void PieceFiles::Register(duckdb::DuckDB& database) {
  database.instance->GetFileSystem().RegisterSubSystem(duckdb::make_uniq<System>(table_));
}

PieceFiles::File::File(PieceFiles& files) : files_(files), bytes_(std::make_shared<std::string>()) {
  const std::lock_guard lock(files_.table_->mutex);
  path_ = kPrefix + std::to_string(files_.table_->next++);
  files_.table_->files.emplace(path_, bytes_);
}

PieceFiles::File::~File() {
  const std::lock_guard lock(files_.table_->mutex);
  files_.table_->files.erase(path_);
}

std::string PieceFiles::File::Take() { return std::exchange(*bytes_, {}); }

}  // namespace millrace::columnar
