// Opening: trust the checkpoint, replay the frames behind it into the segments, write a new
// checkpoint, begin a new generation of frames. The cost depends on the frames behind the
// checkpoint and the number of partitions, not on the size of the log.
#include <algorithm>

#include "base/coding.h"
#include "base/logging.h"
#include "log/log_impl.h"

namespace millrace::log {
namespace {

constexpr uint64_t kReplayBytesPerFillMax = 16 << 20;
constexpr uint64_t kBytesMax = 1 << 30;

}  // namespace

Status Log::Impl::CheckOptions() const {
  const auto refuse = [](std::string_view what) {
    return Error(Code::kInvalidArgument, "{}", what);
  };
  const uint64_t frame = std::max(options_.request_bytes_max, options_.frame_bytes_target);
  if (options_.directory.empty()) return refuse("no directory given");
  // A frame of the smallest batches is about twice as large as they are.
  if (options_.write_ahead_bytes_max < 4 * frame) {
    return refuse(
        "write_ahead_bytes_max must be at least four times request_bytes_max and "
        "frame_bytes_target");
  }
  if (frame > kBytesMax || options_.segment_bytes > kBytesMax) {
    return refuse("request_bytes_max, frame_bytes_target and segment_bytes must not exceed 1 GiB");
  }
  if (options_.segment_bytes < kRecordBatchHeaderBytes) return refuse("segment_bytes is too small");
  return Ok();
}

Status Log::Impl::Open() {
  const auto started = Tick();
  TRY(CheckOptions());
  TRY(files_.CreateDirectories(options_.directory + "/wal"));
  TRY(files_.CreateDirectories(log_directory_));
  TRY(files_.SyncDirectory(options_.directory));
  log::Checkpoint checkpoint;
  checkpoint.next_sequence = {1};
  checkpoint.clean = true;
  TRY(const auto names, files_.List(log_directory_));
  const Result<std::string> bytes = files_.ReadAll(checkpoint_path_);
  if (bytes.ok()) {
    TRY(checkpoint, DecodeCheckpoint(*bytes).With(checkpoint_path_));
  } else if (bytes.error().code() != Code::kNotFound) {
    return bytes.error();
  } else if (!names.empty()) {
    return Error(Code::kCorruption, "{} holds topics, but {} is missing", log_directory_,
                 checkpoint_path_)
        .Hint("restore it from a backup together with the rest of the folder");
  }
  for (const std::string& name : names) {
    if (name.starts_with("#")) TRY(files_.RemoveAll(log_directory_ + "/" + name));
  }
  TRY(LoadCheckpoint(checkpoint));
  TRY(write_ahead_,
      WriteAhead::Open(files_, options_.directory + "/wal/frames", options_.write_ahead_bytes_max));
  TRY(const WriteAhead::Replayed replayed,
      write_ahead_->Replay({checkpoint.generation, checkpoint.next_sequence, checkpoint.position},
                           [this](std::shared_ptr<Frame> frame, bool intact) {
                             return ReplayFrame(frame, intact);
                           }));
  TRY(Fill());
  Evict(0);

  const uint64_t frames = replayed.last.value + 1 - checkpoint.next_sequence.value;
  if (replayed.torn) LOG_WARNING("cut an unfinished frame", "sequence={}", replayed.last.value + 1);
  if (replayed.lost > 0) {
    LOG_ERROR("frames of the write-ahead file are damaged beyond reading", "frames={}",
              replayed.lost);
  }
  last_sequence_ = told_ = replayed.last;
  last_clock_ = published_clock_;
  {
    std::lock_guard lock(publish_mutex_);
    published_ = last_sequence_;
  }
  durable_frame_ = written_frame_ = last_sequence_.value;
  {
    std::shared_lock lock(topics_mutex_);
    for (const auto& [id, topic] : topics_) {
      for (const auto& partition : topic->partitions) partition->FinishReplay();
    }
  }
  leader_epoch_ = checkpoint.leader_epoch + (checkpoint.clean ? 0 : 1);
  // Nobody who wrote into the old frames can know it, so no remains of theirs pass for a new frame.
  generation_ = StableHash(EncodeCheckpoint(checkpoint), static_cast<uint64_t>(clock_.Now().value));
  checkpoint_position_ = 0;
  checkpoint_next_ = {last_sequence_.value + 1};
  checkpoint_behind_ = true;
  TRY(Checkpoint(/*clean=*/false));
  WatchDisk();
  {
    std::lock_guard lock(stats_mutex_);
    stats_.recovered_frames = frames;
    stats_.recovery_micros = static_cast<uint64_t>(SecondsSince(started) * 1e6);
  }
  LOG_INFO("log opened", "directory={} topics={} replayed_frames={} clean={} seconds={:.3f}",
           options_.directory, checkpoint.topics.size(), frames, checkpoint.clean,
           SecondsSince(started));
  if (!options_.manual) {
    flusher_ = std::thread([this] { FlusherLoop(); });
    background_ = std::thread([this] { BackgroundLoop(); });
  }
  return Ok();
}

Status Log::Impl::LoadCheckpoint(const log::Checkpoint& checkpoint) {
  published_ = {checkpoint.next_sequence.value - 1};
  published_clock_ = checkpoint.clock;
  for (const TopicState& state : checkpoint.topics) {
    ApplyTopic(state.info);
    // The folder of a topic that was deleted after the checkpoint may be gone, or be that of a
    // later one of its name. Replay deletes it again and makes the other again; until then what is
    // filled has a folder of its own.
    TRY(const auto present, TopicOnDisk(state.info.name));
    if (!present || present->id != state.info.id) TRY(MakeTopicDirectory(state.info));
    auto topic = std::make_shared<Topic>();
    topic->info = state.info;
    for (size_t p = 0; p < state.partitions.size(); ++p) {
      const PartitionId id{state.info.id, static_cast<int32_t>(p)};
      TRY(auto partition, Partition::Open(segment_files_, state.info.name, id,
                                          TopicDirectory(state.info.name) + "/" + std::to_string(p),
                                          state.partitions[p]));
      partition->SetConfig(state.info.config);
      if (partition->dirty()) unsynced_[id] = partition;
      ReportDamage(*partition, partition->lost_transactions());
      topic->partitions.push_back(std::move(partition));
    }
    std::unique_lock lock(topics_mutex_);
    topics_[state.info.id] = std::move(topic);
  }
  return Ok();
}

Status Log::Impl::ReplayFrame(const std::shared_ptr<Frame>& frame, bool intact) {
  for (const FrameEntry& entry : frame->meta.entries) {
    if (entry.kind == EntryKind::kCreateTopic || entry.kind == EntryKind::kAlterTopic) {
      TRY(DecodeTopic(frame->payload(entry)));
    }
  }
  if (!intact) MarkDamagedBatches(*frame);
  TRY(FillHoles(*frame));
  Publish(frame);
  bool fill;
  {
    std::lock_guard lock(frames_mutex_);
    fill = unfilled_bytes_ >= std::min(kReplayBytesPerFillMax, options_.write_ahead_bytes_max / 16);
  }
  if (!fill) return Ok();
  TRY(Fill());
  Evict(0);
  return Ok();
}

// Batches that fail their own CRC become holes; the others of the frame are whole.
void Log::Impl::MarkDamagedBatches(Frame& frame) {
  for (FrameEntry& entry : frame.meta.entries) {
    if (entry.kind != EntryKind::kBatch) continue;
    const Result<RecordBatchView> batch = RecordBatchView::Parse(frame.payload(entry));
    const bool whole = batch.ok() && batch->size() == entry.bytes &&
                       batch->base_offset() == entry.base_offset &&
                       static_cast<uint32_t>(batch->record_count()) == entry.records;
    if (whole) continue;
    entry.bytes = 0;
    if (const auto partition = FindPartition(entry.partition)) {
      ReportDamage(*partition, {{entry.base_offset, entry.base_offset + (entry.records - 1),
                                 "batch was damaged in the write-ahead file"}});
    }
  }
}

// Offsets that a frame goes on behind were in a frame that could not be read at all: their place
// stays empty.
Status Log::Impl::FillHoles(const Frame& frame) {
  std::map<PartitionId, Offset> ends;
  for (const FrameEntry& entry : frame.meta.entries) {
    const auto partition =
        entry.kind == EntryKind::kBatch ? FindPartition(entry.partition) : nullptr;
    if (!partition) continue;
    const Offset end = ends.try_emplace(entry.partition, partition->range().end).first->second;
    if (entry.base_offset < end) {
      return Error(Code::kCorruption,
                   "frame {} holds offset {} of topic {} partition {}, which ends at {} already",
                   frame.meta.sequence.value, entry.base_offset.value, Quoted(partition->topic()),
                   entry.partition.partition, end.value);
    }
    if (entry.base_offset > end) {
      TRY(Fill());
      Evict(0);
      SegmentEntry hole;
      hole.base_offset = end;
      hole.records = static_cast<uint32_t>(entry.base_offset - end);
      hole.frame = frame.meta.sequence;
      hole.clock = frame.meta.clock;
      if (!partition->has_collected()) collected_.push_back(partition);
      partition->Collect(hole, {});
      TRY(FillCollected());
      partition->PublishHole(entry.base_offset);
      ReportDamage(*partition,
                   {{end, entry.base_offset + -1, "frame was damaged in the write-ahead file"}});
    }
    ends[entry.partition] = entry.base_offset + entry.records;
  }
  return Ok();
}

}  // namespace millrace::log
