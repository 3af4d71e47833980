#include "cli/backup_manifest.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/coding.h"
#include "base/files.h"

namespace millrace::cli {

namespace {

constexpr std::string_view kFirstLine = "millrace backup 1";
constexpr std::string_view kFirstWords = "millrace backup ";

// Takes the text up to `end`, and `end` with it.
Result<std::string_view> TakeUpTo(std::string_view& text, char end) {
  const size_t at = text.find(end);
  if (at == std::string_view::npos) return Error(Code::kCorruption, "the manifest ends too early");
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at + 1);
  return taken;
}

template <typename T>
Result<T> TakeNumber(std::string_view& text, char end, int base = 10) {
  TRY(const std::string_view digits, TakeUpTo(text, end));
  T value = 0;
  const auto [at, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || at != digits.data() + digits.size())
    return Error(Code::kCorruption, "the manifest has {} where a number is expected",
                 Quoted(digits.substr(0, 100)));
  return value;
}

bool StaysWithin(std::string_view path) {
  if (path.empty() || path.front() == '/') return false;
  for (const auto& part : std::filesystem::path(path)) {
    if (part == ".." || part.empty()) return false;
  }
  return true;
}

}  // namespace

std::string EncodeManifest(const BackupManifest& manifest) {
  std::string out = fmt::format("{}\nstep {}\nframe {}\nmade_at {}\n", kFirstLine, manifest.step,
                                manifest.frame, manifest.made_at);
  for (const BackupFile& file : manifest.files) {
    out += fmt::format("file {:08x} {} {} {} {}\n", file.crc, file.bytes, file.inode,
                       file.modified_nanos, file.path);
  }
  return out + fmt::format("end {:08x}\n", Crc32c(out));
}

Result<BackupManifest> DecodeManifest(std::string_view text) {
  if (text.starts_with(kFirstWords) && !text.starts_with(kFirstLine)) {
    return Error(Code::kNotSupported, "the backup was made by a newer version: {}",
                 text.substr(0, text.find('\n')));
  }
  constexpr size_t kLastLineBytes = sizeof("end 01234567\n") - 1;
  if (text.size() < kLastLineBytes)
    return Error(Code::kCorruption, "the manifest has {} bytes", text.size());
  std::string_view body = text.substr(0, text.size() - kLastLineBytes);
  if (text.substr(body.size()) != fmt::format("end {:08x}\n", Crc32c(body)))
    return Error(Code::kCorruption, "the manifest's checksum does not hold");
  BackupManifest manifest;
  TRY(const std::string_view first, TakeUpTo(body, '\n'));
  if (first != kFirstLine) return Error(Code::kCorruption, "no manifest of a backup");
  while (!body.empty()) {
    TRY(const std::string_view word, TakeUpTo(body, ' '));
    if (word == "step") {
      TRY(manifest.step, TakeNumber<int64_t>(body, '\n'));
    } else if (word == "frame") {
      TRY(manifest.frame, TakeNumber<uint64_t>(body, '\n'));
    } else if (word == "made_at") {
      TRY(manifest.made_at, TakeNumber<int64_t>(body, '\n'));
    } else if (word == "file") {
      BackupFile file;
      TRY(file.crc, TakeNumber<uint32_t>(body, ' ', 16));
      TRY(file.bytes, TakeNumber<uint64_t>(body, ' '));
      TRY(file.inode, TakeNumber<uint64_t>(body, ' '));
      TRY(file.modified_nanos, TakeNumber<int64_t>(body, ' '));
      TRY(file.path, TakeUpTo(body, '\n'));
      if (!StaysWithin(file.path))
        return Error(Code::kCorruption, "the manifest names {}", Quoted(file.path));
      manifest.files.push_back(std::move(file));
    } else {
      return Error(Code::kCorruption, "the manifest has a line {}", Quoted(word.substr(0, 100)));
    }
  }
  return manifest;
}

Result<std::vector<int64_t>> ListBackups(const std::string& directory) {
  std::vector<int64_t> numbers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    int64_t number = 0;
    const auto [at, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (failed == std::errc() && at == name.data() + name.size() && number > 0)
      numbers.push_back(number);
  }
  if (error) {
    return Error(error == std::errc::no_such_file_or_directory ? Code::kNotFound : Code::kIo,
                 "{}: {}", directory, error.message());
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string BackupPath(const std::string& directory, int64_t number) {
  return fmt::format("{}/{}", directory, number);
}

Result<BackupManifest> ReadManifest(const std::string& backup) {
  const std::string path = backup + "/" + kManifestFile;
  TRY(const std::string text, Files::System().ReadAll(path));
  return DecodeManifest(text).With(path);
}

}  // namespace millrace::cli
