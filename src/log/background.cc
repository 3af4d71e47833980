// The background thread: fills segments from frames, lets go of memory, syncs and writes
// checkpoints, frees what retention allows, and watches the disk.
#include <atomic>
#include <future>
#include <system_error>

#include "base/logging.h"
#include "log/log_impl.h"

namespace millrace::log {
namespace {

constexpr std::chrono::milliseconds kHousekeepingInterval{500};
constexpr std::chrono::milliseconds kStalledRetryInterval{100};
constexpr std::chrono::minutes kExpiryInterval{1};
constexpr std::chrono::minutes kCompactionRetryInterval{1};
constexpr std::chrono::milliseconds kCompactionSlice{50};
constexpr std::chrono::milliseconds kCompactionInterval{500};       // between slices,
constexpr std::chrono::milliseconds kCompactionIntervalBusy{3000};  // while a leader waits for room
// Enough frames behind a checkpoint to spread the cost of one, few enough to replay in a blink.
constexpr uint64_t kCheckpointBytesMax = 64ull << 20;
// They wait for the disk and compute nothing.
constexpr size_t kSyncThreads = 32;

}  // namespace

void Log::Impl::BackgroundLoop() {
  std::unique_lock lock(frames_mutex_);
  while (!stop_background_) {
    const auto urgent = [this] {
      return stop_background_ || files_request_ != nullptr ||
             (!stalled_ && (room_wanted_ > 0 || GrowthIsDue() ||
                            unfilled_bytes_ >= options_.tail_bytes_max / 8));
    };
    const auto delay = stalled_              ? kStalledRetryInterval
                       : unfilled_bytes_ > 0 ? options_.fill_delay_max
                                             : kHousekeepingInterval;
    background_wakes_.wait_for(lock, delay, urgent);
    if (stop_background_) break;
    const uint64_t room_wanted = room_wanted_;
    lock.unlock();
    RunBackground(room_wanted, /*force_checkpoint=*/false);
    ServeFiles();
    lock.lock();
  }
  lock.unlock();
  ServeFiles();  // nobody waits for ever
}

void Log::Impl::RunBackground(uint64_t room_wanted, bool force_checkpoint) {
  if (failed_) return;
  const bool housekeeping =
      options_.manual || Tick() - last_housekeeping_ >= kHousekeepingInterval || stalled_;
  if (housekeeping) {
    last_housekeeping_ = Tick();
    growth_refused_ = false;
    WatchDisk();
  }
  const auto lacks_room = [&] { return room_wanted > 0 && !write_ahead_->HasRoom(room_wanted); };
  Status status = GrowWriteAhead(room_wanted);
  if (status.ok()) status = Fill();
  if (status.ok() && housekeeping) status = ApplyRetention();
  if (options_.manual || Tick() - last_expiry_ >= kExpiryInterval) ExpireProducers();
  if (status.ok() && (force_checkpoint || lacks_room() || CheckpointIsDue())) {
    status = Checkpoint(/*clean=*/false);
  }
  if (status.ok() && CompactionIsDue(room_wanted > 0)) status = Compact();
  // Any other frame finds room when those before it are filled and released.
  if (status.ok() && room_wanted > write_ahead_->file_bytes()) {
    status = Error(Code::kOverloaded, "the write-ahead file cannot grow to {} bytes", room_wanted);
  }
  const bool full = !status.ok() && status.error().code() == Code::kOverloaded;
  if (full && housekeeping) {
    if (const Status freed = FreeByRetention(); !freed.ok()) status = freed;
  }
  if (full && !stalled_) {
    LOG_ERROR("no space left on the disk: appends are refused until there is", "error={}",
              status.error().ToString());
  }
  if (!full && stalled_) LOG_WARNING("space on the disk again", "directory={}", options_.directory);
  stalled_ = full;
  if (!status.ok() && !full) Fail(status.error());
  Evict(options_.tail_bytes_max / 2);
  room_made_.notify_all();
}

bool Log::Impl::GrowthIsDue() const {
  return write_ahead_->WantsToGrow() && !disk_full_ && !growth_refused_;
}

// Ahead of the leader where the disk has space to spare, and for a frame that fits in no other way.
Status Log::Impl::GrowWriteAhead(uint64_t room_wanted) {
  if (!GrowthIsDue() && room_wanted <= write_ahead_->file_bytes()) return Ok();
  const Status grown = write_ahead_->Grow(room_wanted);
  { std::lock_guard lock(frames_mutex_); }
  room_made_.notify_all();
  if (grown.ok() || grown.error().code() != Code::kOverloaded) return grown;
  LOG_WARNING("the write-ahead file cannot grow", "bytes={} error={}", write_ahead_->file_bytes(),
              grown.error().ToString());
  growth_refused_ = true;
  return Ok();
}

// ---- Segments ----

// Takes up where the last call left off, which a full disk may have ended anywhere. A frame counts
// as filled, and may leave memory, when all its batches are in segments.
Status Log::Impl::Fill() {
  std::vector<std::shared_ptr<const Frame>> frames;
  {
    std::lock_guard lock(frames_mutex_);
    frames.assign(frames_.begin() + static_cast<ptrdiff_t>(filled_count_), frames_.end());
  }
  for (; collected_frames_ < frames.size(); ++collected_frames_) {
    TRY(Collect(frames[collected_frames_]));
    fill_entry_ = 0;
    fill_index_ = 0;
  }
  TRY(FillCollected());
  if (frames.empty()) return Ok();
  checkpoint_position_ = frames.back()->write_ahead_end();
  checkpoint_next_ = {frames.back()->meta.sequence.value + 1};
  checkpoint_behind_ = true;
  collected_frames_ = 0;
  std::lock_guard lock(frames_mutex_);
  filled_count_ += frames.size();
  return Ok();
}

// Hands the frame's batches to their partitions, and follows changes of topics in between.
Status Log::Impl::Collect(const std::shared_ptr<const Frame>& frame) {
  const std::vector<FrameEntry>& entries = frame->meta.entries;
  for (; fill_entry_ < entries.size(); ++fill_entry_) {
    const FrameEntry& entry = entries[fill_entry_];
    if (entry.kind != EntryKind::kBatch) {
      TRY(FillCollected());
      TRY(ApplyOnDisk(*frame, entry));
      continue;
    }
    const uint32_t index = fill_index_++;
    const auto partition = FindPartition(entry.partition);
    if (!partition) continue;  // its topic was deleted
    SegmentEntry to;
    to.base_offset = entry.base_offset;
    to.records = entry.records;
    to.bytes = entry.bytes;
    to.frame = frame->meta.sequence;
    to.index_in_frame = index;
    to.clock = frame->meta.clock;
    const std::string_view batch = frame->payload(entry);
    if (!batch.empty()) to.max_timestamp = MaxTimestamp(batch.data());
    if (!partition->has_collected()) collected_.push_back(partition);
    partition->Collect(to, batch);
  }
  return Ok();
}

Status Log::Impl::FillCollected() {
  while (!collected_.empty()) {
    const auto& partition = collected_.back();
    unsynced_[partition->id()] = partition;
    TRY(partition->Fill(options_.segment_bytes));
    collected_.pop_back();
  }
  return Ok();
}

Status Log::Impl::ApplyOnDisk(const Frame& frame, const FrameEntry& entry) {
  switch (entry.kind) {
    case EntryKind::kBatch:
      break;
    case EntryKind::kAlterTopic:
      break;  // the checkpoint has it
    case EntryKind::kCreateTopic: {
      TRY(const TopicInfo info, DecodeTopic(frame.payload(entry)));
      return MakeTopicDirectory(info);
    }
    case EntryKind::kDeleteTopic: {
      TRY(const TopicInfo info, DecodeTopic(frame.payload(entry)));
      return RemoveTopicDirectory(info);
    }
    case EntryKind::kLogStart: {
      const auto partition = FindPartition(entry.partition);
      if (!partition) return Ok();
      TRY(const uint64_t removed, partition->RemoveSegmentsBelowStart());
      std::lock_guard lock(stats_mutex_);
      stats_.segments_deleted += removed;
    }
  }
  return Ok();
}

// Lets go of the oldest filled frames until what is kept fits.
void Log::Impl::Evict(uint64_t bytes_max) {
  std::vector<std::shared_ptr<const Frame>> evicted;
  {
    std::lock_guard lock(frames_mutex_);
    unfilled_bytes_ = 0;
    for (size_t i = filled_count_; i < frames_.size(); ++i)
      unfilled_bytes_ += frames_[i]->memory_bytes();
    while (filled_count_ > 0 && tail_bytes_ > bytes_max) {
      tail_bytes_ -= frames_.front()->memory_bytes();
      evicted.push_back(std::move(frames_.front()));
      frames_.pop_front();
      --filled_count_;
    }
  }
  for (const auto& frame : evicted) {
    const Partition* last = nullptr;
    for (const FrameEntry& entry : frame->meta.entries) {
      if (entry.kind != EntryKind::kBatch) continue;
      const auto partition = FindPartition(entry.partition);
      if (partition && partition.get() != last) partition->DropTail(frame->meta.sequence);
      last = partition.get();
    }
  }
}

// ---- Checkpoints ----

bool Log::Impl::CheckpointIsDue() const {
  if (!checkpoint_behind_) return false;
  const uint64_t bytes = std::min(kCheckpointBytesMax, options_.write_ahead_bytes_max / 4);
  // Unsynced segments are held open.
  return write_ahead_->live_bytes() >= bytes ||
         unsynced_.size() > segment_files_.segments_max() / 2 ||
         Tick() - last_checkpoint_ >= options_.checkpoint_interval_max;
}

Status Log::Impl::Checkpoint(bool clean) {
  if (!checkpoint_behind_ && !clean) return Ok();
  for (const auto& [id, partition] : unsynced_) TRY(partition->StoreAborted());
  const Result<uint64_t> syncs = SyncPartitions();
  // Not even a full disk heals a failed sync: what was written is written anew from the write-ahead
  // file at the next start.
  if (!syncs.ok()) return Error(Code::kIo, "{}", syncs.error().message());
  const log::Checkpoint checkpoint = MakeCheckpoint(clean);
  TRY(files_.Replace(checkpoint_path_, EncodeCheckpoint(checkpoint)));
  for (const auto& topic : AllTopics()) {
    for (const auto& partition : topic->partitions) partition->CheckpointWritten();
  }
  write_ahead_->Release(checkpoint_position_, checkpoint_next_);
  checkpoint_behind_ = false;
  last_checkpoint_ = Tick();
  std::lock_guard lock(stats_mutex_);
  stats_.segment_syncs += *syncs;
  ++stats_.checkpoints;
  return Ok();
}

// Of many at once: the disk takes the flushes that wait together as one, and the file system
// commits what all of them wait for in one transaction, so that a thousand partitions cost little
// more than a few. Gives how many files it synced.
Result<uint64_t> Log::Impl::SyncPartitions() {
  std::vector<Partition*> partitions;
  for (const auto& [id, partition] : unsynced_) partitions.push_back(partition.get());
  std::atomic<size_t> next = 0;
  const auto sync_some = [&]() -> Result<uint64_t> {
    uint64_t synced = 0;
    for (size_t i = next++; i < partitions.size(); i = next++) {
      const Result<uint64_t> files = partitions[i]->Sync();
      if (!files.ok()) next = partitions.size();  // in vain for the others
      if (!files.ok()) return files.error();
      synced += *files;
    }
    return synced;
  };
  const size_t threads = options_.manual ? 1 : std::min(partitions.size(), kSyncThreads);
  std::vector<std::future<Result<uint64_t>>> others;
  try {
    while (others.size() + 1 < threads) others.push_back(std::async(std::launch::async, sync_some));
  } catch (const std::system_error&) {  // the system has no more threads: with fewer
  }
  Result<uint64_t> synced = sync_some();
  for (auto& other : others) {
    const Result<uint64_t> more = other.get();
    if (!synced.ok()) continue;
    if (!more.ok()) {
      synced = more.error();
    } else {
      *synced += *more;
    }
  }
  if (synced.ok()) unsynced_.clear();
  return synced;
}

// REQUIRES: all partitions are synced.
log::Checkpoint Log::Impl::MakeCheckpoint(bool clean) {
  log::Checkpoint checkpoint;
  checkpoint.generation = generation_;
  checkpoint.position = checkpoint_position_;
  checkpoint.next_sequence = checkpoint_next_;
  checkpoint.leader_epoch = leader_epoch_;
  checkpoint.clean = clean;
  {
    // May hold changes of topics of later frames too; replaying them again changes nothing.
    std::lock_guard publish_lock(publish_mutex_);
    checkpoint.clock = published_clock_;
    std::shared_lock lock(topics_mutex_);
    for (const auto& [id, topic] : topics_) {
      TopicState state;
      state.info = topic->info;
      for (const auto& partition : topic->partitions)
        state.partitions.push_back(partition->State());
      checkpoint.topics.push_back(std::move(state));
    }
  }
  return checkpoint;
}

// ---- Retention and disk ----

void Log::Impl::WatchDisk() {
  const Result<DiskSpace> space = files_.Space(options_.directory);
  if (!space.ok()) {
    LOG_WARNING("cannot ask for free space", "error={}", space.error().ToString());
    return;
  }
  const uint64_t reserve = options_.disk_reserve_bytes.value_or(DefaultDiskReserve(*space));
  disk_reserve_bytes_ = reserve;
  const bool full = space->free_bytes < reserve;
  if (full != disk_full_) {
    LOG_WARNING(
        full ? "disk above its high mark: appends are refused" : "disk below its high mark again",
        "directory={} free_bytes={} reserve_bytes={}", options_.directory, space->free_bytes,
        reserve);
  }
  disk_full_ = full;
}

std::vector<std::shared_ptr<const Log::Impl::Topic>> Log::Impl::AllTopics() const {
  std::vector<std::shared_ptr<const Topic>> topics;
  std::shared_lock lock(topics_mutex_);
  for (const auto& [id, topic] : topics_) topics.push_back(topic);
  return topics;
}

Status Log::Impl::ApplyRetention() {
  const Micros now = clock_.Now();
  for (const auto& topic : AllTopics()) {
    const TopicConfig& config = topic->info.config;
    std::chrono::microseconds age_max = options_.segment_age_max;
    if (config.segment_age_max) age_max = *config.segment_age_max;
    std::optional<Micros> append_time_min;
    if (config.retention_time) {
      age_max = std::min<std::chrono::microseconds>(age_max, *config.retention_time);
      append_time_min =
          Micros{now.value - std::chrono::microseconds(*config.retention_time).count()};
    }
    for (const auto& partition : topic->partitions) {
      const Status rolled = partition->RollIfOlder(Micros{now.value - age_max.count()});
      if (!rolled.ok() && rolled.error().code() != Code::kOverloaded) return rolled;
      if (!config.retention_time && !config.retention_bytes) continue;
      TRY(const Offset start, partition->RetentionStart(append_time_min, config.retention_bytes));
      if (start <= partition->range().start) continue;
      // Durable before files go: a power loss must not bring back some and not others.
      Request request;
      request.control = Control{EntryKind::kLogStart, partition->id(), start, ""};
      // Refused by a log that is being closed only: the next start frees it.
      queue_.TryPush(request, 0, {.always = true});
    }
  }
  return Ok();
}

void Log::Impl::ExpireProducers() {
  last_expiry_ = Tick();
  const Micros before{clock_.Now().value -
                      std::chrono::microseconds(options_.producer_expiry).count()};
  for (const auto& topic : AllTopics()) {
    for (const auto& partition : topic->partitions) partition->ExpireProducers(before);
  }
}

bool Log::Impl::CompactionIsDue(bool busy) const {
  if (disk_full_) return false;
  if (options_.manual) return !busy;
  const auto now = Tick();
  const bool failed = compaction_failed_ != std::chrono::steady_clock::time_point();
  return (!failed || now - compaction_failed_ >= kCompactionRetryInterval) &&
         now - last_compaction_ >= (busy ? kCompactionIntervalBusy : kCompactionInterval);
}

// A slice of the work, one segment at least, as segments must be filled meanwhile. Without threads,
// all of it.
Status Log::Impl::Compact() {
  const auto started = Tick();
  do {
    if (compaction_ && FindPartition(compaction_->partition()->id()) != compaction_->partition()) {
      compaction_.reset();  // the topic was deleted
    }
    for (const auto& topic :
         compaction_ ? std::vector<std::shared_ptr<const Topic>>{} : AllTopics()) {
      if (!topic->info.config.compact) continue;
      for (const auto& partition : topic->partitions) {
        if (!compaction_) compaction_ = Compaction::Begin(partition, topic->info.config);
      }
    }
    last_compaction_ = Tick();
    if (!compaction_) return Ok();
    Result<Compaction::Progress> progress = compaction_->Step(clock_.Now());
    if (!progress.ok() && compaction_->decided()) {
      return Error(Code::kIo, "{}", progress.error().message());  // a start finishes it
    }
    if (!progress.ok()) {
      LOG_WARNING("cannot compact", "topic={} partition={} error={}",
                  compaction_->partition()->topic(), compaction_->partition()->id().partition,
                  progress.error().ToString());
      compaction_->Abandon();
      compaction_.reset();
      compaction_failed_ = Tick();
      return Ok();
    }
    if (*progress == Compaction::Progress::kSegmentDone) {
      std::lock_guard lock(stats_mutex_);
      ++stats_.segments_compacted;
    }
    if (*progress == Compaction::Progress::kDone) compaction_.reset();
  } while (options_.manual || Tick() - started < kCompactionSlice);
  return Ok();
}

// With no space left the segments cannot be filled up to the frame that moves a partition's start,
// after which its files would go. What lies below a start that is durable goes at once.
Status Log::Impl::FreeByRetention() {
  TRY(ApplyRetention());
  for (const auto& topic : AllTopics()) {
    for (const auto& partition : topic->partitions) {
      TRY(const uint64_t removed, partition->RemoveSegmentsBelowStart());
      if (removed == 0) continue;
      std::lock_guard lock(stats_mutex_);
      stats_.segments_deleted += removed;
    }
  }
  return Ok();
}

}  // namespace millrace::log
