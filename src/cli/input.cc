#include "cli/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "base/coding.h"

namespace millrace::cli {

namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kMagicBytes = 4;  // what DetectCompression needs

Result<int> OpenFile(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return Error(errno == ENOENT ? Code::kNotFound : Code::kIo, "open {}: {}", path,
                 std::strerror(errno));
  }
  struct stat info {};
  if (::fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode)) {
    ::close(descriptor);
    return Error(Code::kInvalidArgument, "{} is a folder, not a file", path);
  }
  return descriptor;
}

}  // namespace

Result<std::unique_ptr<Input>> Input::Open(const std::string& path) {
  int descriptor = STDIN_FILENO;
  if (path != "-") {
    TRY(descriptor, OpenFile(path));
  }
  auto input = std::unique_ptr<Input>(new Input(path, descriptor));
  // Of a pipe neither size nor place is to be had.
  struct stat info {};
  if (::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode)) {
    const off_t at = ::lseek(descriptor, 0, SEEK_CUR);
    input->size_ = static_cast<uint64_t>(std::max<off_t>(0, info.st_size - std::max<off_t>(at, 0)));
  }
  return input;
}

Input::~Input() {
  if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
}

// At least the magic bytes where there are as many: a pipe may give one byte at a time.
Result<std::string> Input::ReadPacked() {
  std::string packed(kReadBytes, '\0');
  size_t filled = 0;
  while (filled < kMagicBytes) {
    const ssize_t got = ::read(descriptor_, packed.data() + filled, packed.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error(Code::kIo, "read {}: {}", path_, std::strerror(errno));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  packed.resize(filled);
  read_ += filled;
  return packed;
}

Result<std::string> Input::Next() {
  std::string out;
  const auto sink = [&](std::string_view bytes) -> Status {
    out.append(bytes);
    return Ok();
  };
  while (out.empty() && !ended_) {
    TRY(const std::string packed, ReadPacked());
    if (packed.empty()) {
      ended_ = true;
      if (unpacker_) TRY(unpacker_->Finish().With(path_));
      break;
    }
    if (!unpacker_) unpacker_.emplace(DetectCompression(packed), UINT64_MAX);
    TRY(unpacker_->Feed(packed, sink).With(path_));
  }
  return out;
}

Result<uint64_t> DigestOf(const std::string& path) {
  TRY(const int descriptor, OpenFile(path));
  std::string buffer(kReadBytes, '\0');
  uint64_t digest = 0;
  while (true) {
    const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int number = errno;
      ::close(descriptor);
      return Error(Code::kIo, "read {}: {}", path, std::strerror(number));
    }
    if (got == 0) break;
    digest = StableHash(std::string_view(buffer.data(), static_cast<size_t>(got)), digest);
  }
  ::close(descriptor);
  return digest;
}

std::string FormatOf(const std::string& path) {
  std::string name = path;
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const char* packed : {".zst", ".zstd", ".gz"}) {
    if (!name.ends_with(packed)) continue;
    name.resize(name.size() - std::strlen(packed));
    break;
  }
  if (name.ends_with(".csv")) return "csv";
  if (name.ends_with(".ndjson") || name.ends_with(".jsonl")) return "ndjson";
  if (name.ends_with(".json")) return "json";
  if (name.ends_with(".parquet")) return "parquet";
  return "";
}

}  // namespace millrace::cli
