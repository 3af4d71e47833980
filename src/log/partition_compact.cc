// What compaction needs of a partition: which segments it may touch, and the swap of a segment's
// files. The new .log has a name of its own, the next version; it and .frames.clean are synced,
// with their names. Then .frames.clean becomes .frames, which decides for both, since its header
// tells the version. What a crash leaves of the other version is removed at the next start.
#include <algorithm>
#include <charconv>
#include <set>

#include "log/partition.h"

namespace millrace::log {
namespace {

constexpr std::string_view kClean = ".frames.clean";

struct SegmentFile {
  Offset base;
  std::string_view extension;  // ".frames", ".aborted", or ".log" of any version
  uint32_t version = 0;
};

std::optional<SegmentFile> ParseName(std::string_view name) {
  SegmentFile file;
  const char* const end = name.data() + name.size();
  const auto base = std::from_chars(name.data(), end, file.base.value);
  if (base.ec != std::errc() || file.base.value < 0) return std::nullopt;
  file.extension = {base.ptr, static_cast<size_t>(end - base.ptr)};
  if (file.extension == ".log" || file.extension == ".frames" || file.extension == ".aborted") {
    return file;
  }
  if (!file.extension.starts_with(".")) return std::nullopt;
  const auto version = std::from_chars(base.ptr + 1, end, file.version);
  if (version.ec != std::errc() || std::string_view(version.ptr, end) != ".log") {
    return std::nullopt;
  }
  file.extension = ".log";
  return file;
}

}  // namespace

std::optional<Offset> SegmentBaseOf(std::string_view name) {
  const std::optional<SegmentFile> file = ParseName(name);
  if (!file) return std::nullopt;
  return file->base;
}

std::vector<Partition::ClosedSegment> Partition::CompactableSegments() const {
  std::lock_guard lock(mutex_);
  std::vector<ClosedSegment> closed;
  if (!floor_) return closed;
  const Offset end = std::min(*floor_, producers_.transactions().Stable(start_, end_));
  for (auto at = segments_.begin(); at != segments_.end(); ++at) {
    const auto behind = std::next(at);
    if (behind == segments_.end() || behind->first > closed_end_ || behind->first > end) break;
    if (behind->first <= start_) continue;
    closed.push_back({at->second, behind->first});
  }
  return closed;
}

Status Partition::SwapIn(const std::shared_ptr<Segment>& segment) {
  Files& files = files_.files();
  TRY(files.Rename(directory_ + "/" + SegmentName(segment->base()) + std::string(kClean),
                   segment->frames_path()));
  TRY(files.SyncDirectory(directory_));
  TRY(auto compacted,
      Segment::OpenClosed(files_, directory_, segment->base(), segment->version().number + 1));
  {
    std::lock_guard lock(mutex_);
    segments_[segment->base()] = std::move(compacted);
  }
  return files.Remove(segment->log_path());
}

Result<std::map<Offset, uint32_t>> Partition::ChooseVersions(Files& files,
                                                             const std::string& directory) {
  std::map<Offset, std::vector<uint32_t>> logs;
  TRY(const auto names, files.List(directory));
  std::vector<std::string> needless;
  std::set<Offset> undecided;
  for (const std::string& name : names) {
    if (name.ends_with(kClean)) {
      needless.push_back(name);
      if (const auto base = SegmentBaseOf(name.substr(0, name.size() - kClean.size()) + ".log")) {
        undecided.insert(*base);
      }
    }
    const std::optional<SegmentFile> file = ParseName(name);
    if (file && file->extension == ".log") logs[file->base].push_back(file->version);
  }
  std::map<Offset, uint32_t> chosen;
  for (const auto& [base, versions] : logs) {
    // One log is the right one; the header of .frames decides between more, and where it is
    // damaged, whether the new .frames had taken its place.
    const auto [oldest, newest] = std::minmax_element(versions.begin(), versions.end());
    chosen[base] = undecided.contains(base) ? *oldest : *newest;
    if (versions.size() == 1) continue;
    const std::string frames = directory + "/" + SegmentName(base) + ".frames";
    const Result<std::unique_ptr<File>> file = files.Open(frames, OpenMode::kRead);
    if (!file.ok() && file.error().code() != Code::kNotFound) return file.error();
    char header[kSegmentHeaderBytes];
    size_t read = 0;
    if (file.ok()) {
      TRY(read, (*file)->Read(header, sizeof(header), 0));
    }
    const auto decoded = DecodeSegmentHeader({header, read});
    if (decoded && std::find(versions.begin(), versions.end(), decoded->number) != versions.end()) {
      chosen[base] = decoded->number;
    }
    for (const uint32_t version : versions) {
      if (version == chosen[base]) continue;
      const std::string infix = version == 0 ? "" : fmt::format(".{}", version);
      needless.push_back(SegmentName(base) + infix + ".log");
    }
  }
  if (needless.empty()) return chosen;
  // What decided may not be durable yet.
  TRY(files.SyncDirectory(directory));
  for (const std::string& name : needless) TRY(files.Remove(directory + "/" + name));
  TRY(files.SyncDirectory(directory));
  return chosen;
}

}  // namespace millrace::log
