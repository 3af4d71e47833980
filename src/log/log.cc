#include "log/log.h"

#include <algorithm>

#include "base/logging.h"
#include "log/log_impl.h"
#include "log/unpack.h"

namespace millrace::log {
namespace {

// Memory that a queued request takes beyond its batches.
constexpr uint64_t kRequestOverheadBytes = 256;
constexpr size_t kDamageMax = 1000;
// Of the files that a process may hold open, about a half is for segments, up to three files each.
constexpr size_t kFilesPerSegment = 6;
constexpr size_t kOpenSegmentsMin = 16;

// What a topic of keys cannot keep.
Status CheckKeys(const RecordBatchView& batch) {
  if (batch.codec() != Codec::kNone) return Ok();
  RecordCursor records = batch.records();
  while (records.Next()) {
    if (records.record().key) continue;
    return Error(Code::kInvalidArgument, "record {} has no key, and the topic is compacted",
                 records.record().offset - batch.base_offset());
  }
  return Ok();
}

// Nothing about it needs a closer look: the way of nearly every batch.
bool IsPlain(const RecordBatchView& batch) {
  return batch.is_dense() && batch.producer_id() < 0 && !batch.is_control() &&
         !batch.is_transactional();
}

// What a client may not send.
Status CheckProducer(const RecordBatchView& batch) {
  if (!batch.is_dense()) {
    return Error(Code::kInvalidArgument, "record batch: {} records, last offset delta is {}",
                 batch.record_count(), batch.last_offset() - batch.base_offset());
  }
  if (batch.is_control()) {
    return Error(Code::kInvalidArgument, "a control batch is not for producers to send");
  }
  if (batch.producer_id() < 0) {
    if (!batch.is_transactional()) return Ok();
    return Error(Code::kInvalidArgument, "a transactional batch has no producer id");
  }
  if (batch.producer_epoch() >= 0 && batch.base_sequence() >= 0) return Ok();
  return Error(Code::kInvalidArgument, "producer id {} with epoch {} and sequence {}",
               batch.producer_id(), batch.producer_epoch(), batch.base_sequence());
}

}  // namespace

const Cut::End* Cut::Find(PartitionId partition) const {
  const auto at =
      std::lower_bound(ends.begin(), ends.end(), partition,
                       [](const End& end, PartitionId wanted) { return end.partition < wanted; });
  return at == ends.end() || at->partition != partition ? nullptr : &*at;
}

RecordBatchView ReadBatch::view() const {
  return RecordBatchView::Parse(bytes, CrcCheck::kAlreadyVerified).value();
}

// ---- Log ----

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::~Log() {
  const Status closed = impl_->Close();
  if (!closed.ok()) LOG_ERROR("log closed with an error", "error={}", closed.error().ToString());
}

Result<std::unique_ptr<Log>> Log::Open(LogOptions options) {
  if (options.files == nullptr) options.files = &Files::System();
  if (options.clock == nullptr) options.clock = &Clock::System();
  const std::string directory = options.directory;
  auto impl = std::make_unique<Impl>(std::move(options));
  TRY(impl->Open().With(fmt::format("open log {}", directory)));
  return std::unique_ptr<Log>(new Log(std::move(impl)));
}

Status Log::Close() { return impl_->Close(); }
Result<TopicInfo> Log::CreateTopic(std::string_view name, const TopicConfig& config) {
  return impl_->CreateTopic(name, config);
}
Status Log::DeleteTopic(TopicId topic) { return impl_->DeleteTopic(topic); }
Result<TopicInfo> Log::AlterTopic(TopicId topic, const TopicConfig& config) {
  return impl_->AlterTopic(topic, config);
}
std::vector<TopicInfo> Log::Topics() const { return impl_->Topics(); }
std::optional<TopicInfo> Log::FindTopic(std::string_view name) const {
  return impl_->FindTopic(name);
}
Status Log::Append(AppendRequest request, AppendDone done) {
  return impl_->Append(std::move(request), std::move(done));
}
Status Log::AppendAlways(AppendRequest request, AppendDone done) {
  return impl_->AppendAlways(std::move(request), std::move(done));
}
Result<Appended> Log::AppendAndWait(AppendRequest request) {
  return impl_->AppendAndWait(std::move(request));
}
Status Log::AppendMarkers(TransactionEnd end, AppendDone done) {
  return impl_->AppendMarkers(end, std::move(done));
}
Result<Appended> Log::AppendMarkersAndWait(TransactionEnd end) {
  return impl_->AppendMarkersAndWait(end);
}
Result<std::vector<AbortedTransaction>> Log::AbortedTransactions(PartitionId partition, Offset from,
                                                                 Offset to) const {
  TRY(const auto found, impl_->GetPartition(partition));
  return found->AbortedTransactions(from, to);
}
std::vector<OpenTransaction> Log::OpenTransactions() const { return impl_->OpenTransactions(); }
std::shared_ptr<const Cut> Log::DurableCut() const { return impl_->DurableCut(); }
FrameSequence Log::DurableFrame() const { return impl_->DurableFrame(); }
void Log::SetDurableListener(std::function<void(FrameSequence)> listener) {
  impl_->SetDurableListener(std::move(listener));
}
FrameSequence Log::WrittenFrame() const { return impl_->WrittenFrame(); }
void Log::SyncSoon(FrameSequence frame) { impl_->SyncSoon(frame); }
FrameSequence Log::WaitForDurable(FrameSequence after, std::chrono::milliseconds timeout) const {
  return impl_->WaitForDurable(after, timeout);
}
Result<ReadResult> Log::Read(PartitionId partition, const ReadOptions& options) const {
  TRY(ReadResult result, impl_->Read(partition, options));
  if (options.unpack) UnpackAll(result);
  return result;
}
Result<Offset> Log::OffsetForAppendTime(PartitionId partition, Micros time) const {
  TRY(const auto found, impl_->GetPartition(partition));
  return found->OffsetForAppendTime(time);
}
Result<Offset> Log::OffsetForTimestamp(PartitionId partition, Millis timestamp) const {
  TRY(const auto found, impl_->GetPartition(partition));
  return found->OffsetForTimestamp(timestamp);
}
Status Log::SetFreeFloor(PartitionId partition, Offset floor) {
  TRY(const auto found, impl_->GetPartition(partition));
  found->SetFreeFloor(floor);
  return Ok();
}
Result<Offset> Log::DeleteRecords(PartitionId partition, Offset before) {
  return impl_->DeleteRecords(partition, before);
}
LogStats Log::Stats() const { return impl_->Stats(); }
Result<uint64_t> Log::PartitionBytes(PartitionId partition) const {
  return impl_->PartitionBytes(partition);
}
std::vector<Damage> Log::damage() const { return impl_->damage(); }
bool Log::RunOnce(bool background) { return impl_->RunOnce(background); }

// ---- Life ----

Log::Impl::Impl(LogOptions options)
    : options_(std::move(options)),
      files_(*options_.files),
      clock_(*options_.clock),
      log_directory_(options_.directory + "/log"),
      checkpoint_path_(options_.directory + "/wal/checkpoint"),
      segment_files_(files_, std::max(kOpenSegmentsMin, files_.OpenFilesMax() / kFilesPerSegment),
                     options_.direct_fill_bytes_min),
      queue_(options_.queue_bytes_max),
      frame_buffers_(std::make_shared<FrameBuffers>(options_.tail_bytes_max / 2)) {}

Log::Impl::~Impl() {
  CHECK(!flusher_.joinable() && !background_.joinable()) << "log destroyed without Close";
}

Status Log::Impl::Close() {
  if (closed_.exchange(true)) return Ok();
  queue_.Close();
  { std::lock_guard lock(frames_mutex_); }
  room_made_.notify_all();
  if (options_.manual) {
    while (RunFrame()) {
    }
    (void)SyncAndTell();  // a failure is noted, and told below
  }
  if (flusher_.joinable()) flusher_.join();
  {
    std::lock_guard lock(frames_mutex_);
    stop_background_ = true;
  }
  background_wakes_.notify_all();
  if (background_.joinable()) background_.join();
  { std::lock_guard lock(wait_mutex_); }
  durable_changed_.notify_all();
  if (failed_) {
    std::lock_guard lock(failure_mutex_);
    return *failure_;
  }
  if (!write_ahead_) return Ok();  // was never opened
  TRY(Fill());
  return Checkpoint(/*clean=*/true);
}

bool Log::Impl::RunOnce(bool background) {
  CHECK(options_.manual) << "RunOnce beside the log's own threads";
  const bool wrote = RunFrame();
  if (background && SyncAndTell().ok()) {
    RunBackground(/*room_wanted=*/0, /*force_checkpoint=*/true);
  }
  return wrote;
}

// ---- Appending ----

Status Log::Impl::CheckWritable() const {
  if (failed_) {
    std::lock_guard lock(failure_mutex_);
    return Error(Code::kUnavailable, "the log has failed and takes no appends: {}",
                 failure_->message());
  }
  if (closed_) return Error(Code::kUnavailable, "the log is closed");
  return Ok();
}

// Takes the batches apart and checks every one, in the caller's thread.
Result<Log::Impl::Request> Log::Impl::MakeRequest(AppendRequest appends, AppendDone done,
                                                  Origin origin) const {
  Request request;
  request.done = std::move(done);
  request.sync_delay = origin == Origin::kProducer ? kSyncDelayMax : std::chrono::milliseconds(0);
  if (appends.empty()) return Error(Code::kInvalidArgument, "append: empty request");
  const Millis now{clock_.Now().value / 1000};
  for (PartitionAppend& append : appends) {
    TRY(auto partition, GetPartition(append.partition));
    request.sync_delay = std::min(request.sync_delay, partition->sync_delay_max());
    request.bytes += append.batches.size();
    if (request.bytes > options_.request_bytes_max) {
      return Error(Code::kTooLarge, "append: request is larger than request_bytes_max ({} bytes)",
                   options_.request_bytes_max);
    }
    std::string_view rest = append.batches;
    uint32_t count = 0;
    do {
      const Result<RecordBatchView> view = RecordBatchView::Parse(rest);
      Status checked = view.ok() ? view->CheckRecords() : Status(view.error());
      if (checked.ok() && origin == Origin::kProducer && !IsPlain(*view)) {
        checked = CheckProducer(*view);
      }
      if (checked.ok() && origin == Origin::kProducer && partition->compact()) {
        checked = CheckKeys(*view);
      }
      if (!checked.ok()) {
        return Error(Code::kInvalidArgument, "append to topic {} partition {}: byte {}: {}",
                     Quoted(partition->topic()), append.partition.partition,
                     append.batches.size() - rest.size(), checked.error().message());
      }
      if (view->size() > partition->max_message_bytes() && origin == Origin::kProducer) {
        return Error(Code::kTooLarge,
                     "append to topic {} partition {}: a batch of {} bytes is larger than "
                     "max_message_bytes ({} bytes)",
                     Quoted(partition->topic()), append.partition.partition, view->size(),
                     partition->max_message_bytes());
      }
      if (partition->append_time() && origin == Origin::kProducer) {
        const size_t at = append.batches.size() - rest.size();
        SetAppendTime(std::span(append.batches).subspan(at, view->size()), now);
        request.appended.append_time = now;
      }
      if (view->producer_id() >= 0) request.has_producers = true;
      if (view->is_transactional()) request.transactional = true;
      request.batch_sizes.push_back(static_cast<uint32_t>(view->size()));
      request.batch_records.push_back(view->record_count());
      rest.remove_prefix(view->size());
      ++count;
    } while (!rest.empty());
    request.batch_counts.push_back(count);
    request.partitions.push_back(std::move(partition));
  }
  // A commit counts on what its transaction was told.
  if (request.transactional) request.sync_delay = {};
  request.appends = std::move(appends);
  return request;
}

Status Log::Impl::Append(AppendRequest appends, AppendDone done) {
  TRY(Enqueue(std::move(appends), std::move(done), {}, Origin::kProducer));
  return Ok();
}

Status Log::Impl::AppendAlways(AppendRequest appends, AppendDone done) {
  TRY(Enqueue(std::move(appends), std::move(done), {.always = true}, Origin::kProducer));
  return Ok();
}

Result<Appended> Log::Impl::AppendAndWait(AppendRequest appends) {
  return EnqueueAndWait(std::move(appends), {.waits = true}, Origin::kProducer);
}

Result<Appended> Log::Impl::EnqueueAndWait(AppendRequest appends, CommitQueue<Request>::How how,
                                           Origin origin) {
  auto promise = std::make_shared<std::promise<Result<Appended>>>();
  TRY(const auto pushed,
      Enqueue(
          std::move(appends),
          [promise](Result<Appended> result) { promise->set_value(std::move(result)); }, how,
          origin));
  return WaitFor(promise->get_future(), pushed);
}

Result<AppendRequest> Log::Impl::MakeMarkers(const TransactionEnd& end) const {
  if (end.partitions.empty()) {
    return Error(Code::kInvalidArgument, "end of a transaction: no partitions");
  }
  if (end.producer.id < 0 || end.producer.epoch < 0) {
    return Error(Code::kInvalidArgument, "end of a transaction: producer {} in epoch {}",
                 end.producer.id, end.producer.epoch);
  }
  const std::string marker = MarkerBatch(end.producer, end.outcome, end.coordinator_epoch,
                                         Millis{clock_.Now().value / 1000});
  AppendRequest markers;
  markers.reserve(end.partitions.size());
  for (const PartitionId partition : end.partitions) markers.push_back({partition, marker});
  return markers;
}

Status Log::Impl::AppendMarkers(const TransactionEnd& end, AppendDone done) {
  TRY(AppendRequest markers, MakeMarkers(end));
  TRY(Enqueue(std::move(markers), std::move(done), {.always = true}, Origin::kCoordinator));
  return Ok();
}

Result<Appended> Log::Impl::AppendMarkersAndWait(const TransactionEnd& end) {
  TRY(AppendRequest markers, MakeMarkers(end));
  return EnqueueAndWait(std::move(markers), {.waits = true, .always = true}, Origin::kCoordinator);
}

Result<CommitQueue<Log::Impl::Request>::Push> Log::Impl::Enqueue(AppendRequest appends,
                                                                 AppendDone done,
                                                                 CommitQueue<Request>::How how,
                                                                 Origin origin) {
  TRY(CheckWritable());
  if (!how.always && (disk_full_ || stalled_)) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    if (!disk_full_) {
      return Error(Code::kOverloaded, "append: there is no space left on the disk")
          .Hint("free space or shorten retention; appends go on by themselves");
    }
    return Error(Code::kOverloaded,
                 "append: the disk is above its high mark: less than {} MiB of it are free",
                 disk_reserve_bytes_ >> 20)
        .Hint(
            "free space, shorten retention or lower the setting disk_reserve; appends go on by "
            "themselves");
  }
  TRY(Request request, MakeRequest(std::move(appends), std::move(done), origin));
  request.always = how.always;
  const uint64_t weight = request.bytes + kRequestOverheadBytes;
  const auto pushed = queue_.TryPush(request, weight, how);
  if (pushed == CommitQueue<Request>::Push::kClosed) {
    return Error(Code::kUnavailable, "the log is closed");
  }
  if (pushed == CommitQueue<Request>::Push::kFull) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return Error(Code::kOverloaded, "append: queue_bytes_max ({} bytes) are waiting for the disk",
                 options_.queue_bytes_max);
  }
  return pushed;
}

// ---- Reading ----

Result<std::shared_ptr<Partition>> Log::Impl::GetPartition(PartitionId id) const {
  std::shared_ptr<Partition> partition = FindPartition(id);
  if (!partition) {
    return Error(Code::kNotFound, "topic {:#x} has no partition {}, or was deleted", id.topic.value,
                 id.partition);
  }
  return partition;
}

Result<ReadResult> Log::Impl::Read(PartitionId id, const ReadOptions& options) {
  TRY(const auto partition, GetPartition(id));
  TRY(ReadResult result, partition->Read(options));
  if (!result.damaged.empty()) ReportDamage(*partition, result.damaged);
  return result;
}

std::shared_ptr<const Cut> Log::Impl::DurableCut() {
  std::lock_guard lock(publish_mutex_);
  if (cut_) return cut_;
  auto cut = std::make_shared<Cut>();
  cut->frame = published_;
  cut->clock = published_clock_;
  std::shared_lock topics_lock(topics_mutex_);
  for (const auto& [id, topic] : topics_) {
    for (const auto& partition : topic->partitions) {
      const Partition::Range range = partition->range();
      cut->ends.push_back({partition->id(), range.start, range.end, range.stable});
    }
  }
  cut_ = std::move(cut);
  return cut_;
}

std::vector<OpenTransaction> Log::Impl::OpenTransactions() const {
  std::vector<OpenTransaction> open;
  for (const auto& topic : AllTopics()) {
    for (const auto& partition : topic->partitions) partition->AddOpenTransactions(open);
  }
  return open;
}

void Log::Impl::SyncSoon(FrameSequence frame) {
  if (DurableFrame() < frame) queue_.Hasten();
}

void Log::Impl::SetDurableListener(std::function<void(FrameSequence)> listener) {
  std::lock_guard lock(listener_mutex_);
  listener_ = std::move(listener);
}

FrameSequence Log::Impl::WaitForDurable(FrameSequence after, std::chrono::milliseconds timeout) {
  std::unique_lock lock(wait_mutex_);
  ++durable_waiters_;
  durable_changed_.wait_for(lock, timeout,
                            [&] { return DurableFrame() > after || closed_ || failed_; });
  --durable_waiters_;
  return DurableFrame();
}

// ---- Watching ----

LogStats Log::Impl::Stats() {
  LogStats stats;
  {
    std::lock_guard lock(stats_mutex_);
    stats = stats_;
  }
  stats.appends_refused = refused_.load(std::memory_order_relaxed);
  stats.queue_bytes = queue_.weight();
  stats.queue_requests = queue_.size();
  stats.open_segments = segment_files_.open_count();
  stats.write_ahead_file_bytes = write_ahead_->file_bytes();
  stats.disk_above_high_mark = disk_full_ || stalled_;
  stats.failed = failed_;
  stats.unsynced_bytes = written_bytes_;
  std::lock_guard lock(frames_mutex_);
  stats.tail_bytes = tail_bytes_;
  stats.unfilled_bytes = unfilled_bytes_;
  return stats;
}

void Log::Impl::ReportDamage(const Partition& partition, const std::vector<DamagedRange>& ranges) {
  for (const DamagedRange& range : ranges) {
    {
      std::lock_guard lock(damage_mutex_);
      if (known_damage_.size() >= kDamageMax) return;
      if (!known_damage_.emplace(partition.id(), range.first, range.last).second) continue;
      damage_.push_back({partition.topic(), partition.id(), range});
    }
    LOG_ERROR("records are lost to damage on disk",
              "topic={} partition={} first={} last={} reason={}", partition.topic(),
              partition.id().partition, range.first.value, range.last.value, range.reason);
    std::lock_guard lock(stats_mutex_);
    ++stats_.damaged_ranges;
  }
}

std::vector<Damage> Log::Impl::damage() {
  std::lock_guard lock(damage_mutex_);
  return damage_;
}

}  // namespace millrace::log
