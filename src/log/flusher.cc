// Group commit: whatever was queued while the last fdatasync ran becomes the next frame. It is
// written by the leader: the flusher, or a producer that waits for its own append (CommitQueue).
//
// One request that is answered after the fdatasync makes it run at once, for all that is written.
// Frames without one are answered when they are written, and wait for the next such request, for
// the shortest of their requests' sync_delays, or for unsynced_bytes_max.
#include <algorithm>
#include <utility>

#include "base/logging.h"
#include "log/log_impl.h"

namespace millrace::log {
namespace {

constexpr std::chrono::milliseconds kFullRetryInterval{100};

}  // namespace

void Log::Impl::FlusherLoop() {
  while (queue_.AwaitLead()) {
    if (!RunFrame()) (void)SyncAndTell();  // a failure is noted, and ends appending
  }
  (void)SyncAndTell();
}

// The answer to what a producer has pushed; it is the producer that writes it when it was made the
// leader.
Result<Appended> Log::Impl::WaitFor(std::future<Result<Appended>> answer,
                                    CommitQueue<Request>::Push pushed) {
  if (pushed == CommitQueue<Request>::Push::kLead) {
    RunFrame();
    queue_.StepDown();
  }
  while (options_.manual && answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    if (!RunFrame()) break;
  }
  return answer.get();
}

bool Log::Impl::RunFrame() {
  std::deque<Request> requests;
  queue_.Take(requests, options_.frame_bytes_target);
  if (requests.empty()) return false;
  Result<std::shared_ptr<Frame>> frame = MakeFrame(requests, /*patient=*/false);
  while (!frame.ok()) {
    const bool full = frame.error().code() == Code::kOverloaded && !options_.manual && !closed_;
    Refuse(requests, frame.error(), /*all=*/!full);
    if (requests.empty()) break;
    frame = MakeFrame(requests, /*patient=*/true);  // what must get in goes on alone
  }
  if (frame.ok() && *frame != nullptr) {
    last_sequence_ = (*frame)->meta.sequence;
    last_clock_ = (*frame)->meta.clock;
    written_frame_.store(last_sequence_.value, std::memory_order_release);
    written_bytes_ += (*frame)->memory_bytes();
    written_.push_back(*std::move(frame));
  }
  AnswerEarly(requests);
  if (SyncIsDue(requests)) {
    const Status synced = SyncWritten();
    if (!synced.ok()) {
      Refuse(requests, synced.error(), /*all=*/true);
      return true;
    }
  }
  Answer(requests);
  TellListener();
  return true;
}

// Writes the requests as one frame; null where there is nothing to write, as each of them has its
// own error or was stored already. When it fails nothing of the frame counts as written: offsets
// that nobody was told are given again.
Result<std::shared_ptr<Frame>> Log::Impl::MakeFrame(std::deque<Request>& requests, bool patient) {
  FrameBuilder builder;
  std::vector<std::pair<Partition*, Offset>> undo;
  staging_.BeginFrame(/*durable=*/written_.empty());
  for (Request& request : requests) Stage(request, builder, undo);
  std::shared_ptr<Frame> frame;
  Status status = failed_ ? CheckWritable() : Ok();
  if (status.ok() && !builder.empty()) {
    FrameMeta meta;
    meta.generation = generation_;
    meta.sequence = {last_sequence_.value + 1};
    meta.durable = DurableFrame();
    meta.clock = std::max(last_clock_, clock_.Now());
    frame = builder.Build(std::move(meta), leader_epoch_, *frame_buffers_);
    status = WaitForRoom(*frame, patient);
    if (status.ok()) status = WriteFrame(*frame, patient);
  }
  if (status.ok()) return frame;
  staging_.Rewind(0);
  for (auto it = undo.rbegin(); it != undo.rend(); ++it) it->first->next_offset = it->second;
  return status.error();
}

// Answers the requests with the error; unless `all`, those stay that wait where others are refused.
void Log::Impl::Refuse(std::deque<Request>& requests, const Error& error, bool all) {
  std::deque<Request> kept;
  for (Request& request : requests) {
    if (!all && request.always && !request.error) {
      kept.push_back(std::move(request));
      continue;
    }
    if (!request.error) request.error = error;
    if (request.done) request.done(*std::move(request.error));
  }
  requests = std::move(kept);
}

// Gives the request its offsets and puts it into the frame, or notes why not.
void Log::Impl::Stage(Request& request, FrameBuilder& builder,
                      std::vector<std::pair<Partition*, Offset>>& undo) {
  if (request.control) {
    const Control& control = *request.control;
    builder.AddControl(control.kind, control.partition, control.offset, control.payload);
    return;
  }
  for (const auto& partition : request.partitions) {
    if (!partition->dropped) continue;
    request.error = Error(Code::kNotFound, "topic {} was deleted", Quoted(partition->topic()));
    return;
  }
  const size_t undo_mark = undo.size();
  const size_t builder_mark = builder.entry_count();
  const size_t staging_mark = staging_.mark();
  request.appended.base_offsets.clear();
  request.duplicates = request.duplicate_records = request.duplicate_bytes = 0;
  Status staged = StageBatches(request, builder, undo);
  if (staged.ok()) return;
  // All or nothing: what the batches before the refused one took is given back.
  for (; undo.size() > undo_mark; undo.pop_back()) {
    undo.back().first->next_offset = undo.back().second;
  }
  builder.Rewind(builder_mark);
  staging_.Rewind(staging_mark);
  request.error = std::move(staged).error();
}

Status Log::Impl::StageBatches(Request& request, FrameBuilder& builder,
                               std::vector<std::pair<Partition*, Offset>>& undo) {
  size_t batch = 0;
  for (size_t i = 0; i < request.appends.size(); ++i) {
    Partition& partition = *request.partitions[i];
    undo.emplace_back(&partition, partition.next_offset);
    std::string_view rest = request.appends[i].batches;
    for (uint32_t n = 0; n < request.batch_counts[i]; ++n, ++batch) {
      const std::string_view bytes = rest.substr(0, request.batch_sizes[batch]);
      const int32_t records = request.batch_records[batch];
      rest.remove_prefix(bytes.size());
      std::optional<Offset> stored;
      if (request.has_producers && ProducerId(bytes.data()) >= 0) {
        const Result<std::optional<Offset>> added =
            staging_.Add(partition, ProducerBatch::Of(bytes), partition.next_offset);
        if (!added.ok()) {
          return Error(added.error())
              .With(fmt::format("append to topic {} partition {}", Quoted(partition.topic()),
                                partition.id().partition));
        }
        stored = *added;
      }
      if (n == 0) request.appended.base_offsets.push_back(stored.value_or(partition.next_offset));
      if (stored) {
        ++request.duplicates;
        request.duplicate_records += static_cast<uint64_t>(records);
        request.duplicate_bytes += bytes.size();
        continue;
      }
      builder.AddBatch(partition.id(), partition.next_offset, static_cast<uint32_t>(records),
                       bytes);
      partition.next_offset = partition.next_offset + records;
    }
  }
  return Ok();
}

// Memory for the tail and blocks in the write-ahead file; both are given back by the background
// thread, of frames that are durable. The patient wait on while the disk is full, until Close.
Status Log::Impl::WaitForRoom(const Frame& frame, bool patient) {
  const auto has_room = [&] {
    const bool all_filled = filled_count_ == frames_.size();
    return (all_filled || tail_bytes_ + frame.memory_bytes() <= options_.tail_bytes_max) &&
           write_ahead_->HasRoom(frame.meta.frame_bytes);
  };
  std::unique_lock lock(frames_mutex_);
  if (has_room()) return Ok();
  lock.unlock();
  TRY(SyncWritten());
  lock.lock();
  if (options_.manual) {
    lock.unlock();
    RunBackground(frame.meta.frame_bytes, /*force_checkpoint=*/false);
    lock.lock();
  } else {
    room_wanted_ = frame.meta.frame_bytes;
    background_wakes_.notify_one();
    room_made_.wait(lock,
                    [&] { return has_room() || failed_ || (stalled_ && (!patient || closed_)); });
    room_wanted_ = 0;
  }
  if (has_room()) return Ok();
  lock.unlock();
  TRY(CheckWritable());
  return Error(Code::kOverloaded, "append: no space left on the disk of {}", options_.directory);
}

Status Log::Impl::WriteFrame(Frame& frame, bool patient) {
  Status written = write_ahead_->Append(frame);
  while (patient && !closed_ && !written.ok() && written.error().code() == Code::kOverloaded) {
    std::this_thread::sleep_for(kFullRetryInterval);
    written = write_ahead_->Append(frame);
  }
  if (!written.ok()) {
    // A full disk may have space again for the next frame. Nothing else heals by itself.
    if (written.error().code() != Code::kOverloaded) Fail(written.error());
    return written;
  }
  std::lock_guard lock(stats_mutex_);
  ++stats_.frames;
  stats_.write_ahead_bytes += frame.meta.frame_bytes;
  return Ok();
}

// Answers those that need not wait for the fdatasync, and takes them out. Beside a transaction they
// wait too: whether it holds them back is known when it is published.
void Log::Impl::AnswerEarly(std::deque<Request>& requests) {
  const auto waits = [](const Request& request) {
    return request.error || request.sync_delay.count() == 0;
  };
  if (std::all_of(requests.begin(), requests.end(), waits) ||
      std::any_of(requests.begin(), requests.end(),
                  [](const Request& r) { return r.transactional; })) {
    return;
  }
  std::deque<Request> early;
  std::deque<Request> others;
  std::chrono::milliseconds delay = kSyncDelayMax;
  for (Request& request : requests) {
    if (!waits(request)) delay = std::min(delay, request.sync_delay);
    (waits(request) ? others : early).push_back(std::move(request));
  }
  // Before the answers: whoever has one may ask for the sync.
  if (!written_.empty()) {
    early_answers_ += early.size();
    queue_.SetDue(Tick() + delay);
  }
  Answer(early);
  requests = std::move(others);
}

bool Log::Impl::SyncIsDue(const std::deque<Request>& requests) const {
  if (written_.empty()) return false;
  const auto waits = [](const Request& request) { return !request.error; };
  return std::any_of(requests.begin(), requests.end(), waits) ||
         written_bytes_ >= options_.unsynced_bytes_max || (!options_.manual && queue_.IsDue());
}

// Makes what is written durable, and then visible. When it fails nothing of it ever becomes visible
// before the log is opened again.
Status Log::Impl::SyncWritten() {
  if (written_.empty()) return Ok();
  queue_.ClearDue();
  const auto frames = std::exchange(written_, {});
  written_bytes_ = 0;
  const uint64_t early_answers = std::exchange(early_answers_, 0);
  const auto start = Tick();
  Status synced = failed_ ? CheckWritable() : write_ahead_->Sync();
  if (!synced.ok()) {
    Fail(synced.error());
    if (early_answers > 0) {
      LOG_ERROR("appends that were answered before their fdatasync may be lost",
                "directory={} appends={}", options_.directory, early_answers);
    }
    return Error(Code::kIo,
                 "{}: whether the records are on disk is unknown until the log is opened again",
                 synced.error().message());
  }
  {
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(Tick() - start);
    std::lock_guard lock(stats_mutex_);
    ++stats_.write_ahead_syncs;
    stats_.write_ahead_sync_latency.Add(time.count());
  }
  for (const auto& frame : frames) Publish(frame);
  durable_frame_.store(frames.back()->meta.sequence.value, std::memory_order_release);
  if (durable_waiters_ > 0) {
    { std::lock_guard lock(wait_mutex_); }
    durable_changed_.notify_all();
  }
  return Ok();
}

Status Log::Impl::SyncAndTell() {
  TRY(SyncWritten());
  TellListener();
  return Ok();
}

void Log::Impl::Publish(const std::shared_ptr<const Frame>& frame) {
  {
    std::lock_guard lock(publish_mutex_);
    uint32_t index = 0;
    for (const FrameEntry& entry : frame->meta.entries) {
      switch (entry.kind) {
        case EntryKind::kBatch:
          if (const auto partition = FindPartition(entry.partition)) {
            partition->Publish(frame, entry, index);
          }
          ++index;
          break;
        case EntryKind::kCreateTopic:
        case EntryKind::kAlterTopic: {
          const Result<TopicInfo> info = DecodeTopic(frame->payload(entry));
          CHECK(info.ok()) << "the frame's own CRC held, so: " << info.error().ToString();
          ApplyTopic(*info);
          break;
        }
        case EntryKind::kDeleteTopic:
          ApplyDelete(entry.partition.topic);
          break;
        case EntryKind::kLogStart:
          if (const auto partition = FindPartition(entry.partition)) {
            partition->PublishStart(entry.base_offset);
          }
          break;
      }
    }
    published_ = frame->meta.sequence;
    published_clock_ = frame->meta.clock;
    cut_.reset();
  }
  bool wake;
  {
    std::lock_guard lock(frames_mutex_);
    frames_.push_back(frame);
    tail_bytes_ += frame->memory_bytes();
    wake = unfilled_bytes_ == 0;  // the background thread sleeps without a time limit
    unfilled_bytes_ += frame->memory_bytes();
    wake = wake || unfilled_bytes_ >= options_.tail_bytes_max / 8 || write_ahead_->WantsToGrow();
  }
  if (wake) background_wakes_.notify_one();
}

void Log::Impl::TellListener() {
  if (told_ >= DurableFrame()) return;
  told_ = DurableFrame();
  std::lock_guard lock(listener_mutex_);
  if (listener_) listener_(told_);
}

// Everything that is answered with success here stands in the last frame, or was stored before.
void Log::Impl::Answer(std::deque<Request>& requests) {
  LogStats sum;
  for (Request& request : requests) {
    if (request.error || request.control) continue;
    ++sum.appends;
    sum.duplicate_batches += request.duplicates;
    sum.batches += request.batch_sizes.size() - request.duplicates;
    sum.bytes += request.bytes - request.duplicate_bytes;
    for (const int32_t records : request.batch_records) {
      sum.records += static_cast<uint64_t>(records);
    }
    sum.records -= request.duplicate_records;
  }
  {
    std::lock_guard lock(stats_mutex_);
    stats_.appends += sum.appends;
    stats_.batches += sum.batches;
    stats_.duplicate_batches += sum.duplicate_batches;
    stats_.bytes += sum.bytes;
    stats_.records += sum.records;
  }
  for (Request& request : requests) {
    if (!request.done) continue;
    if (request.error) {
      request.done(*std::move(request.error));
      continue;
    }
    request.appended.repeated_records = static_cast<int64_t>(request.duplicate_records);
    for (const auto& partition : request.partitions) {
      const Partition::Range range = partition->range();
      request.appended.held_back |= range.stable < range.end;
    }
    request.appended.frame = last_sequence_;
    request.appended.clock = last_clock_;
    request.done(std::move(request.appended));
  }
}

void Log::Impl::Fail(const Error& error) {
  {
    std::lock_guard lock(failure_mutex_);
    if (failure_) return;
    failure_ = error;
    failed_ = true;
  }
  LOG_ERROR("log takes no more appends until it is opened again", "directory={} error={}",
            options_.directory, error.ToString());
  { std::lock_guard lock(frames_mutex_); }
  room_made_.notify_all();
  { std::lock_guard lock(wait_mutex_); }
  durable_changed_.notify_all();
}

}  // namespace millrace::log
