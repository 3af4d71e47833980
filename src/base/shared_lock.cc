#include "base/shared_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace millrace {

namespace {

class HeldShared final : public FileLock {
 public:
  explicit HeldShared(int descriptor) : descriptor_(descriptor) {}
  ~HeldShared() override { ::close(descriptor_); }

 private:
  const int descriptor_;
};

}  // namespace

Result<std::unique_ptr<FileLock>> LockShared(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return Error(errno == ENOENT ? Code::kNotFound : Code::kIo, "open {}: {}", path,
                 std::strerror(errno));
  }
  if (::flock(descriptor, LOCK_SH | LOCK_NB) != 0) {
    const int number = errno;
    ::close(descriptor);
    return Error(number == EWOULDBLOCK ? Code::kConflict : Code::kIo, "lock {}: {}", path,
                 number == EWOULDBLOCK ? "another process holds it" : std::strerror(number));
  }
  return std::unique_ptr<FileLock>(new HeldShared(descriptor));
}

}  // namespace millrace
