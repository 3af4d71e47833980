// Which files hold the log, for whoever copies it.
#include "base/coding.h"
#include "log/log_impl.h"

namespace millrace::log {
namespace {

// More than a log is opened uncleanly in its life.
constexpr int32_t kLeaderEpochsOfOriginal = 1'000'000;

bool IsKept(std::string_view name) {
  return name.ends_with(".log") || name.ends_with(".frames") || name.ends_with(".aborted");
}

}  // namespace

Status Log::WithFiles(const std::function<Status(const LogFiles&)>& use) {
  return impl_->WithFiles(use);
}

Result<std::string> Log::CheckpointOfCopy(std::string_view bytes) {
  TRY(Checkpoint checkpoint, DecodeCheckpoint(bytes));
  if (checkpoint.leader_epoch > INT32_MAX - kLeaderEpochsOfOriginal - 1) {
    return Error(Code::kTooLarge, "the leader epoch is {}: it was copied too often",
                 checkpoint.leader_epoch);
  }
  checkpoint.leader_epoch += kLeaderEpochsOfOriginal;
  checkpoint.position = 0;
  checkpoint.clean = false;
  return EncodeCheckpoint(checkpoint);
}

Status Log::Impl::WithFiles(const std::function<Status(const LogFiles&)>& use) {
  std::lock_guard one_at_a_time(files_mutex_);
  if (options_.manual) return UseFiles(use);
  FilesRequest request{use, {}};
  std::future<Status> outcome = request.outcome.get_future();
  {
    std::lock_guard lock(frames_mutex_);
    if (stop_background_) return Error(Code::kUnavailable, "the log is closed");
    files_request_ = &request;
  }
  background_wakes_.notify_one();
  return outcome.get();
}

// By the background thread.
void Log::Impl::ServeFiles() {
  FilesRequest* request;
  {
    std::lock_guard lock(frames_mutex_);
    request = std::exchange(files_request_, nullptr);
  }
  if (request != nullptr) request->outcome.set_value(UseFiles(request->use));
}

Status Log::Impl::UseFiles(const std::function<Status(const LogFiles&)>& use) {
  TRY(CheckWritable());
  RunBackground(/*room_wanted=*/0, /*force_checkpoint=*/true);
  TRY(CheckWritable());
  if (stalled_ || !unsynced_.empty()) {
    return Error(Code::kOverloaded, "no space left on the disk of {}", options_.directory);
  }
  log::Checkpoint checkpoint = MakeCheckpoint(/*clean=*/false);
  LogFiles files;
  files.frame = {checkpoint_next_.value - 1};
  for (TopicState& topic : checkpoint.topics) {
    for (PartitionState& partition : topic.partitions) {
      // Retention may have moved the start in a later frame, beyond what this one holds.
      partition.start = std::min(partition.start, partition.end);
    }
    TRY(AddFiles(topic, files.files));
  }
  files.checkpoint = EncodeCheckpoint(checkpoint);
  return use(files);
}

Status Log::Impl::AddFiles(const TopicState& topic, std::vector<LogFiles::File>& files) {
  const std::string folder = "log/" + topic.info.name + "/";
  const auto add = [&](const std::string& path, std::optional<uint64_t> bytes) -> Status {
    TRY(const auto file, files_.Open(options_.directory + "/" + path, OpenMode::kRead));
    TRY(const uint64_t size, file->Size());
    if (bytes && *bytes > size) {
      return Error(Code::kCorruption, "{} has {} of {} bytes", path, size, *bytes);
    }
    files.push_back({path, bytes.value_or(size)});
    return Ok();
  };
  TRY(add(folder + "topic", std::nullopt));
  for (size_t p = 0; p < topic.partitions.size(); ++p) {
    const PartitionState& state = topic.partitions[p];
    if (!state.active) continue;
    const std::string directory = folder + std::to_string(p) + "/";
    const std::string active = SegmentName(*state.active);
    TRY(const auto names, files_.List(options_.directory + "/" + directory));
    for (const std::string& name : names) {
      if (!IsKept(name)) continue;
      std::optional<uint64_t> bytes;
      if (name == active + ".log") bytes = state.log_bytes;
      if (name == active + ".frames") {
        bytes = kSegmentHeaderBytes + state.entry_count * kSegmentEntryBytes;
      }
      const auto base = SegmentBaseOf(name);
      if (base && *base > *state.active) continue;
      TRY(add(directory + name, bytes));
    }
  }
  return Ok();
}

}  // namespace millrace::log
