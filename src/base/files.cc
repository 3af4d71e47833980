#include "base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace millrace {
namespace {

Error SystemError(std::string_view action, std::string_view path, int number) {
  Code code = Code::kIo;
  if (number == ENOENT) code = Code::kNotFound;
  if (number == ENOSPC || number == EDQUOT) code = Code::kOverloaded;
  return Error(code, "{} {}: {}", action, path, std::strerror(number));
}

// Calls again when a signal interrupted the call.
template <typename Call>
auto Retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

class SystemFile final : public File {
 public:
  SystemFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~SystemFile() override { ::close(fd_); }

  Status Write(std::string_view bytes, uint64_t offset) override {
    while (!bytes.empty()) {
      const ssize_t n = Retry(
          [&] { return ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
      if (n < 0 && errno == EINVAL && LeaveDirect()) continue;
      if (n < 0) return SystemError("write", path_, errno);
      bytes.remove_prefix(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
    return Ok();
  }

  Status WriteGather(std::span<const std::string_view> pieces, uint64_t offset) override {
    size_t next = 0;
    while (next < pieces.size()) {
      iovec vectors[IOV_MAX];
      size_t count = 0, wanted = 0;
      for (; count < IOV_MAX && next + count < pieces.size(); ++count) {
        const std::string_view piece = pieces[next + count];
        vectors[count] = {const_cast<char*>(piece.data()), piece.size()};
        wanted += piece.size();
      }
      const ssize_t n = Retry([&] {
        return ::pwritev(fd_, vectors, static_cast<int>(count), static_cast<off_t>(offset));
      });
      if (n < 0) return SystemError("write", path_, errno);
      if (static_cast<size_t>(n) < wanted) {
        // A short write: the rest goes piece by piece, where a full disk shows its error.
        TRY(WriteRest(pieces.subspan(next, count), static_cast<size_t>(n), offset));
      }
      offset += wanted;
      next += count;
    }
    return Ok();
  }

  Result<size_t> Read(char* to, size_t size, uint64_t offset) const override {
    size_t done = 0;
    while (done < size) {
      const ssize_t n = Retry(
          [&] { return ::pread(fd_, to + done, size - done, static_cast<off_t>(offset + done)); });
      if (n < 0) return SystemError("read", path_, errno);
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

  Status Sync() override {
    if (Retry([&] { return ::fdatasync(fd_); }) != 0) return SystemError("fdatasync", path_, errno);
    return Ok();
  }

  Status Preallocate(uint64_t size) override {
    const int result =
        Retry([&] { return ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)); });
    if (result != 0 && errno != EOPNOTSUPP) return SystemError("allocate", path_, errno);
    return Ok();
  }

  Status Truncate(uint64_t size) override {
    if (Retry([&] { return ::ftruncate(fd_, static_cast<off_t>(size)); }) != 0) {
      return SystemError("truncate", path_, errno);
    }
    return Ok();
  }

  Result<uint64_t> Size() const override {
    struct stat info;
    if (::fstat(fd_, &info) != 0) return SystemError("stat", path_, errno);
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  // For a device whose blocks are larger than kDirectAlignment, or after a write that was cut short
  // in the middle of a block. False: it was not direct.
  bool LeaveDirect() {
    const int flags = ::fcntl(fd_, F_GETFL);
    return flags >= 0 && (flags & O_DIRECT) != 0 && ::fcntl(fd_, F_SETFL, flags & ~O_DIRECT) == 0;
  }

  Status WriteRest(std::span<const std::string_view> pieces, size_t skip, uint64_t offset) {
    for (std::string_view piece : pieces) {
      const size_t done = std::min(skip, piece.size());
      TRY(Write(piece.substr(done), offset + done));
      skip -= done;
      offset += piece.size();
    }
    return Ok();
  }

  const int fd_;
  const std::string path_;
};

class SystemLock final : public FileLock {
 public:
  explicit SystemLock(int fd) : fd_(fd) {}
  ~SystemLock() override { ::close(fd_); }

 private:
  const int fd_;
};

class SystemFiles final : public Files {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    int flags = O_CLOEXEC | (mode == OpenMode::kRead ? O_RDONLY : O_RDWR);
    if (mode == OpenMode::kCreate) flags |= O_CREAT;
    if (mode == OpenMode::kDirect) flags |= O_DIRECT;
    int fd = Retry([&] { return ::open(path.c_str(), flags, 0644); });
    if (fd < 0 && errno == EINVAL && mode == OpenMode::kDirect) {
      fd = Retry([&] { return ::open(path.c_str(), flags & ~O_DIRECT, 0644); });
    }
    if (fd < 0) return SystemError("open", path, errno);
    return std::unique_ptr<File>(new SystemFile(fd, path));
  }

  Result<bool> Exists(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return SystemError("stat", path, errno);
  }

  Result<std::vector<std::string>> List(const std::string& directory) override {
    DIR* dir = ::opendir(directory.c_str());
    if (dir == nullptr) return SystemError("list", directory, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int number = errno;
    ::closedir(dir);
    if (number != 0) return SystemError("list", directory, number);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status CreateDirectories(const std::string& directory) override {
    if (directory.empty()) return Ok();
    if (::mkdir(directory.c_str(), 0755) == 0) return SyncDirectory(Parent(directory));
    if (errno == EEXIST) return Ok();
    if (errno != ENOENT) return SystemError("create directory", directory, errno);
    const std::string parent = Parent(directory);
    if (parent == directory) return SystemError("create directory", directory, ENOENT);
    TRY(CreateDirectories(parent));
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
      return SystemError("create directory", directory, errno);
    }
    return SyncDirectory(parent);
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return SystemError("rename", from, errno);
    return Ok();
  }

  Status Remove(const std::string& file) override {
    if (::unlink(file.c_str()) != 0) return SystemError("remove", file, errno);
    return Ok();
  }

  Status RemoveAll(const std::string& directory) override {
    Result<std::vector<std::string>> names = List(directory);
    if (!names.ok()) {
      if (names.error().code() == Code::kNotFound) return Ok();
      return std::move(names).error();
    }
    for (const std::string& name : *names) {
      const std::string path = directory + "/" + name;
      struct stat info;
      if (::lstat(path.c_str(), &info) != 0) return SystemError("stat", path, errno);
      if (S_ISDIR(info.st_mode)) {
        TRY(RemoveAll(path));
      } else {
        TRY(Remove(path));
      }
    }
    if (::rmdir(directory.c_str()) != 0) return SystemError("remove", directory, errno);
    return Ok();
  }

  Status SyncDirectory(const std::string& directory) override {
    const std::string path = directory.empty() ? "." : directory;
    const int fd = Retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (fd < 0) return SystemError("open", path, errno);
    const int result = Retry([&] { return ::fsync(fd); });
    const int number = errno;
    ::close(fd);
    if (result != 0) return SystemError("fsync", path, number);
    return Ok();
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    const int fd = Retry([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644); });
    if (fd < 0) return SystemError("open", path, errno);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int number = errno;
      ::close(fd);
      if (number == EWOULDBLOCK) {
        return Error(Code::kConflict, "lock {}: another process holds it", path);
      }
      return SystemError("lock", path, number);
    }
    return std::unique_ptr<FileLock>(new SystemLock(fd));
  }

  Result<DiskSpace> Space(const std::string& directory) override {
    struct statvfs info;
    if (::statvfs(directory.c_str(), &info) != 0) {
      return SystemError("ask free space of", directory, errno);
    }
    // Blocks kept back for root count as used, as `df` counts.
    const uint64_t used = (info.f_blocks - info.f_bfree) * info.f_frsize;
    const uint64_t free = info.f_bavail * info.f_frsize;
    return DiskSpace{used + free, free};
  }

  size_t OpenFilesMax() override {
    rlimit limit;
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;  // POSIX systems' usual default
    if (limit.rlim_cur < limit.rlim_max) {
      rlimit raised = limit;
      raised.rlim_cur = limit.rlim_max;
      if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return static_cast<size_t>(limit.rlim_cur);
  }

 private:
  static std::string Parent(const std::string& path) {
    const size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
  }
};

}  // namespace

uint64_t DefaultDiskReserve(const DiskSpace& disk) {
  return std::clamp<uint64_t>(disk.total_bytes / 20, 1ull << 30, 4ull << 30);
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

Result<std::string> Files::ReadAll(const std::string& path) {
  TRY(const auto file, Open(path, OpenMode::kRead));
  TRY(const uint64_t size, file->Size());
  std::string bytes(size, '\0');
  TRY(const size_t read, file->Read(bytes.data(), bytes.size(), 0));
  bytes.resize(read);
  return bytes;
}

Status Files::Replace(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".tmp";
  {
    TRY(const auto file, Open(temporary, OpenMode::kCreate));
    TRY(file->Truncate(0));
    TRY(file->Write(bytes, 0));
    TRY(file->Sync());
  }
  TRY(Rename(temporary, path));
  // The rename is not durable otherwise.
  const size_t slash = path.find_last_of('/');
  return SyncDirectory(slash == std::string::npos ? "." : path.substr(0, slash));
}

Files& Files::System() {
  static SystemFiles files;
  return files;
}

}  // namespace millrace
