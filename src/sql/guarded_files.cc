#include "sql/guarded_files.h"

#include <algorithm>
#include <filesystem>

#include "duckdb/common/exception.hpp"
#include "duckdb/common/file_opener.hpp"
#include "duckdb/common/local_file_system.hpp"
#include "duckdb/common/virtual_file_system.hpp"

namespace millrace::sql {
namespace {

namespace fs = std::filesystem;

// Links of those parts of the path that exist are followed.
fs::path Resolved(const std::string& path) {
  std::error_code failed;
  fs::path resolved = fs::weakly_canonical(fs::absolute(path, failed), failed);
  return failed ? fs::path(path).lexically_normal() : resolved;
}

bool IsBelow(const fs::path& path, const fs::path& folder) {
  const auto [in_folder, in_path] =
      std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return in_folder == folder.end();
}

class GuardedFiles final : public duckdb::LocalFileSystem {
 public:
  GuardedFiles(const std::vector<std::string>& closed,
               std::shared_ptr<const std::atomic<bool>> guards)
      : guards_(std::move(guards)) {
    for (const std::string& folder : closed) closed_.push_back(Resolved(folder));
  }

  duckdb::unique_ptr<duckdb::FileHandle> OpenFile(
      const std::string& path, duckdb::FileOpenFlags flags,
      duckdb::optional_ptr<duckdb::FileOpener> opener) override {
    const bool by_statement = duckdb::FileOpener::TryGetClientContext(opener) != nullptr;
    if (by_statement && *guards_ && IsClosed(Resolved(path))) {
      throw duckdb::PermissionException(
          "Cannot access file \"%s\" - it is in the node's data directory", path);
    }
    return LocalFileSystem::OpenFile(path, flags, opener);
  }

 private:
  bool IsClosed(const fs::path& path) const {
    return std::any_of(closed_.begin(), closed_.end(),
                       [&](const fs::path& folder) { return IsBelow(path, folder); });
  }

  std::vector<fs::path> closed_;
  const std::shared_ptr<const std::atomic<bool>> guards_;
};

}  // namespace

duckdb::unique_ptr<duckdb::FileSystem> MakeGuardedFiles(
    const std::vector<std::string>& closed, std::shared_ptr<const std::atomic<bool>> guards) {
  return duckdb::make_uniq<duckdb::VirtualFileSystem>(
      duckdb::make_uniq<GuardedFiles>(closed, std::move(guards)));
}

}  // namespace millrace::sql
