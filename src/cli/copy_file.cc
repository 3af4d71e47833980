#include "cli/copy_file.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/coding.h"
#include "base/files.h"

namespace millrace::cli {

namespace {

using std::chrono::steady_clock;

constexpr size_t kPieceBytes = 1 << 20;
// Written back this often, so that the disk never has much of it to do at once.
constexpr uint64_t kSyncBytes = 8 << 20;
constexpr std::chrono::seconds kProgressInterval{5};

// Gives the file's first `bytes` to `take`, in pieces.
Status ReadPieces(const std::string& path, uint64_t bytes,
                  const std::function<Status(std::string_view piece, uint64_t at)>& take) {
  TRY(const auto file, Files::System().Open(path, OpenMode::kRead));
  std::vector<char> buffer(kPieceBytes);
  for (uint64_t at = 0; at < bytes;) {
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(buffer.size(), bytes - at));
    TRY(const size_t size, file->Read(buffer.data(), wanted, at));
    if (size == 0)
      return Error(Code::kCorruption, "{} has {} bytes; {} are expected", path, at, bytes);
    TRY(take({buffer.data(), size}, at));
    at += size;
  }
  return Ok();
}

}  // namespace

Throttle::Throttle(uint64_t bytes_per_second)
    : bytes_per_second_(bytes_per_second), free_at_(steady_clock::now()) {}

void Throttle::Take(uint64_t bytes) {
  if (bytes_per_second_ == 0) return;
  std::this_thread::sleep_until(free_at_);
  const double seconds = static_cast<double>(bytes) / static_cast<double>(bytes_per_second_);
  free_at_ =
      std::max(free_at_, steady_clock::now()) +
      std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(seconds));
}

Progress::Progress(std::string what, uint64_t bytes_total, bool shown)
    : what_(std::move(what)),
      bytes_total_(bytes_total),
      shown_(shown),
      last_(steady_clock::now()) {}

void Progress::Add(uint64_t bytes) {
  bytes_ += bytes;
  const auto now = steady_clock::now();
  if (!shown_ || now - last_ < kProgressInterval) return;
  last_ = now;
  std::fprintf(stderr, "%s: %llu of %llu MB\n", what_.c_str(),
               static_cast<unsigned long long>(bytes_ / 1'000'000),
               static_cast<unsigned long long>(bytes_total_ / 1'000'000));
}

Result<uint32_t> CopyFile(const std::string& from, const std::string& to, uint64_t bytes,
                          Throttle& throttle, Progress& progress) {
  TRY(const auto out, Files::System().Open(to, OpenMode::kCreate));
  uint32_t crc = 0;
  uint64_t unsynced = 0;
  TRY(ReadPieces(from, bytes, [&](std::string_view piece, uint64_t at) -> Status {
    throttle.Take(piece.size());
    TRY(out->Write(piece, at));
    crc = Crc32c(piece, crc);
    progress.Add(piece.size());
    unsynced += piece.size();
    if (unsynced < kSyncBytes) return Ok();
    unsynced = 0;
    return out->Sync();
  }));
  TRY(out->Sync());
  return crc;
}

Result<uint32_t> ChecksumOf(const std::string& path, uint64_t bytes, Progress& progress) {
  TRY(const auto file, Files::System().Open(path, OpenMode::kRead));
  TRY(const uint64_t size, file->Size());
  if (size != bytes)
    return Error(Code::kCorruption, "{} has {} bytes; {} are expected", path, size, bytes);
  uint32_t crc = 0;
  TRY(ReadPieces(path, bytes, [&](std::string_view piece, uint64_t) -> Status {
    crc = Crc32c(piece, crc);
    progress.Add(piece.size());
    return Ok();
  }));
  return crc;
}

Status MakeFoldersLike(const std::string& from, const std::string& to, const std::string& path) {
  namespace fs = std::filesystem;
  TRY(Files::System().CreateDirectories(to));
  fs::path below;
  for (const fs::path& part : fs::path(path).parent_path()) {
    below /= part;
    const fs::path folder = fs::path(to) / below;
    std::error_code error;
    // With its permissions from the start.
    fs::create_directory(folder, fs::path(from) / below, error);
    if (error) return Error(Code::kIo, "make folder {}: {}", folder.string(), error.message());
  }
  return Ok();
}

Status SyncFolders(const std::string& root) {
  TRY(Files::System().SyncDirectory(root));
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root, error)) {
    if (entry.is_directory()) TRY(Files::System().SyncDirectory(entry.path().string()));
  }
  return error ? Error(Code::kIo, "list {}: {}", root, error.message()) : Ok();
}

}  // namespace millrace::cli
