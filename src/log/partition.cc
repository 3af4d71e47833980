#include "log/partition.h"

#include <algorithm>
#include <charconv>

namespace millrace::log {
namespace {

// nullopt: not a segment's file.
std::optional<Offset> SegmentBase(const std::string& name) {
  int64_t base = -1;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), base);
  const std::string_view extension(parsed.ptr);
  if (base < 0 || (extension != ".log" && extension != ".frames")) return std::nullopt;
  return Offset{base};
}

}  // namespace

Partition::Partition(SegmentFiles& files, std::string topic, PartitionId id, std::string directory)
    : files_(files), topic_(std::move(topic)), id_(id), directory_(std::move(directory)) {}

Result<std::shared_ptr<Partition>> Partition::Open(SegmentFiles& files, std::string topic,
                                                   PartitionId id, std::string directory,
                                                   const PartitionState& state) {
  auto partition = std::make_shared<Partition>(files, std::move(topic), id, std::move(directory));
  partition->start_ = state.start;
  partition->end_ = partition->filled_ = partition->next_offset = state.end;
  TRY(partition->producers_, Producers::Decode(state.producers));
  TRY(const bool exists, files.files().Exists(partition->directory_));
  if (!exists) return partition;
  TRY(partition->RemoveFilesBehind(state.active));
  TRY(const auto names, files.files().List(partition->directory_));
  const auto there = [&](Offset base, std::string_view extension) {
    return std::binary_search(names.begin(), names.end(),
                              SegmentName(base) + std::string(extension));
  };
  for (const std::string& name : names) {
    const std::optional<Offset> base = SegmentBase(name);
    if (!base || partition->segments_.contains(*base)) continue;
    std::shared_ptr<Segment> segment;
    if (*base == *state.active && there(*base, ".log") && there(*base, ".frames")) {
      TRY(segment, Segment::OpenActive(files, partition->directory_, *base, state.log_bytes,
                                       state.entry_count));
      partition->active_ = segment;
      if (segment->dirty()) partition->unsynced_.push_back(segment);
    } else {
      TRY(segment, Segment::OpenClosed(files, partition->directory_, *base));
    }
    partition->segments_.emplace(*base, std::move(segment));
  }
  // What retention had freed may be back after a power loss.
  TRY(partition->RemoveSegmentsBelowStart());
  return partition;
}

Partition::Range Partition::range() const {
  std::lock_guard lock(mutex_);
  return {start_, end_};
}

void Partition::SetFreeFloor(Offset floor) {
  std::lock_guard lock(mutex_);
  floor_ = floor;
}

ProducerState Partition::FindProducer(int64_t producer_id) const {
  std::lock_guard lock(mutex_);
  return producers_.Find(producer_id);
}

void Partition::ExpireProducers(Micros before) {
  std::lock_guard lock(mutex_);
  if (!producers_.empty()) producers_.Expire(before);
}

// ---- Reading ----

Result<ReadResult> Partition::Read(const ReadOptions& options) const {
  ReadResult result;
  std::shared_ptr<Segment> segment;
  Offset segment_end;
  {
    std::lock_guard lock(mutex_);
    result.start = start_;
    result.end = end_;
    result.next = options.from;
    if (options.from < start_ || options.from > end_) {
      return Error(Code::kInvalidArgument,
                   "read topic {} partition {}: offset {} is out of range; the first available "
                   "offset is {}, the end is {}",
                   Quoted(topic_), id_.partition, options.from.value, start_.value, end_.value)
          .SqlState("22003");
    }
    if (options.from == end_ || options.from >= options.until) return result;
    if (!tail_.empty() && options.from >= tail_.front().base_offset) {
      return ReadTail(options, std::move(result));
    }
    std::tie(segment, segment_end) = SegmentFor(options.from);
  }
  if (!segment) {
    // A segment is missing: nothing before the next one can be had.
    result.damaged.push_back({options.from, segment_end + -1, "segment is missing"});
    result.next = segment_end;
    return result;
  }
  TRY(auto content, segment->Read(options.from, options.until, options.bytes_max, segment_end));
  result.batches = std::move(content.batches);
  result.damaged = std::move(content.damaged);
  result.next = content.next;
  if (content.bytes) result.holds.push_back(std::move(content.bytes));
  return result;
}

// REQUIRES: mutex_ is held, and the tail holds options.from.
ReadResult Partition::ReadTail(const ReadOptions& options, ReadResult result) const {
  auto at = std::upper_bound(
      tail_.begin(), tail_.end(), options.from,
      [](Offset offset, const TailBatch& batch) { return offset < batch.next_offset; });
  size_t bytes = 0;
  for (; at != tail_.end(); ++at) {
    if (at->base_offset >= options.until) break;
    if (bytes > 0 && bytes + at->bytes > options.bytes_max) break;
    result.next = at->next_offset;
    if (at->bytes == 0) {
      result.damaged.push_back(
          {at->base_offset, at->next_offset + -1, "batch was damaged in the write-ahead file"});
      continue;
    }
    bytes += at->bytes;
    result.batches.push_back({{at->data, at->bytes},
                              at->base_offset,
                              at->next_offset + -1,
                              at->frame->meta.sequence,
                              at->index_in_frame,
                              at->frame->meta.clock});
    if (result.holds.empty() || result.holds.back() != at->frame) result.holds.push_back(at->frame);
  }
  return result;
}

// REQUIRES: mutex_ is held.
std::pair<std::shared_ptr<Segment>, Offset> Partition::SegmentFor(Offset offset) const {
  const auto behind = segments_.upper_bound(offset);
  Offset end = tail_.empty() ? end_ : tail_.front().base_offset;
  if (behind != segments_.end()) end = std::min(end, behind->first);
  if (behind == segments_.begin()) return {nullptr, end};
  return {std::prev(behind)->second, end};
}

std::vector<std::shared_ptr<Segment>> Partition::SegmentsCopy() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Segment>> segments;
  for (const auto& [base, segment] : segments_) segments.push_back(segment);
  return segments;
}

Result<Offset> Partition::OffsetForAppendTime(Micros time) const {
  const auto wanted = [time](const SegmentEntry& entry) { return entry.clock >= time; };
  for (const auto& segment : SegmentsCopy()) {
    if (segment->entry_count() == 0) continue;
    // Frames' clocks never go back, so a segment whose last entry is too early holds none.
    const Result<SegmentEntry> last = segment->LastEntry();
    if (last.ok() && !wanted(*last)) continue;
    TRY(const auto entry, segment->FirstWhere(wanted));
    if (entry) return std::max(entry->base_offset, range().start);
  }
  std::lock_guard lock(mutex_);
  for (const TailBatch& batch : tail_) {
    if (batch.frame->meta.clock >= time) return batch.base_offset;
  }
  return end_;
}

Result<Offset> Partition::OffsetForTimestamp(Millis timestamp) const {
  for (const auto& segment : SegmentsCopy()) {
    const Offset start = range().start;
    TRY(const auto entry, segment->ScanFor([&](const SegmentEntry& entry) {
      return entry.bytes > 0 && entry.max_timestamp >= timestamp && entry.next_offset() > start;
    }));
    if (entry) return entry->base_offset;
  }
  std::lock_guard lock(mutex_);
  for (const TailBatch& batch : tail_) {
    if (batch.bytes == 0) continue;
    const auto view = RecordBatchView::Parse({batch.data, batch.bytes}, CrcCheck::kAlreadyVerified);
    if (view.ok() && view->max_timestamp() >= timestamp) return batch.base_offset;
  }
  return end_;
}

// ---- Publishing ----

void Partition::Publish(const std::shared_ptr<const Frame>& frame, const FrameEntry& entry,
                        uint32_t index_in_frame) {
  std::lock_guard lock(mutex_);
  CHECK(entry.base_offset == end_) << topic_ << "/" << id_.partition << ": batch at "
                                   << entry.base_offset.value << ", end " << end_.value;
  end_ = entry.base_offset + entry.records;
  const char* const batch = frame->buffer->data() + entry.position;
  tail_.push_back({batch, entry.bytes, index_in_frame, entry.base_offset, end_, frame});
  if (entry.bytes == 0 || ProducerId(batch) < 0) return;
  producers_.Apply(ProducerBatch::Of(batch), entry.base_offset, frame->meta.clock);
}

void Partition::PublishStart(Offset start) {
  std::lock_guard lock(mutex_);
  start_ = std::max(start_, start);
}

void Partition::PublishHole(Offset to) {
  std::lock_guard lock(mutex_);
  CHECK(to > end_) << "a hole ends at " << to.value << ", the partition at " << end_.value;
  end_ = next_offset = to;
}

// ---- Filling ----

void Partition::Collect(const SegmentEntry& entry, std::string_view batch) {
  collected_entries_.push_back(entry);
  collected_batches_.push_back(batch);
}

Status Partition::RemoveFilesBehind(std::optional<Offset> last) {
  TRY(const auto names, files_.files().List(directory_));
  bool removed = false;
  for (const std::string& name : names) {
    const std::optional<Offset> base = SegmentBase(name);
    if (!base || (last && *base <= *last)) continue;
    TRY(files_.files().Remove(directory_ + "/" + name));
    removed = true;
  }
  if (removed) TRY(files_.files().SyncDirectory(directory_));
  return Ok();
}

Status Partition::Roll(Offset base) {
  TRY(files_.files().CreateDirectories(directory_));
  // The first segment since a replayed creation: files of an earlier run, or of a deleted topic of
  // the same name, are older than the frames that are filled now, and may divide them otherwise.
  if (!active_ && SegmentsCopy().empty()) {
    TRY(RemoveFilesBehind(std::nullopt));
    // The folder may have been made by a run that did not come to make its name durable.
    TRY(files_.files().SyncDirectory(directory_.substr(0, directory_.find_last_of('/'))));
  }
  TRY(auto next, Segment::Create(files_, directory_, id_, base));
  if (active_) TRY(active_->Close());
  active_ = std::move(next);
  new_names_ = true;
  roll_next_ = false;
  unsynced_.push_back(active_);
  std::lock_guard lock(mutex_);
  segments_[base] = active_;
  return Ok();
}

Status Partition::Fill(uint64_t segment_bytes) {
  size_t done = 0;
  Status status;
  while (done < collected_entries_.size() && status.ok()) {
    const bool full = active_ && active_->entry_count() > 0 &&
                      (roll_next_ || !active_->Holds(collected_entries_[done]) ||
                       active_->log_bytes() + collected_batches_[done].size() > segment_bytes);
    if (!active_ || full) {
      status = Roll(collected_entries_[done].base_offset);
      if (!status.ok()) break;
    }
    uint64_t bytes = active_->log_bytes();
    size_t count = 0;
    while (done + count < collected_entries_.size()) {
      const uint64_t size = collected_batches_[done + count].size();
      if (bytes > 0 && bytes + size > segment_bytes) break;
      if (!active_->Holds(collected_entries_[done + count])) break;
      bytes += size;
      ++count;
    }
    if (std::find(unsynced_.begin(), unsynced_.end(), active_) == unsynced_.end()) {
      unsynced_.push_back(active_);
    }
    status = active_->Append(std::span(collected_batches_).subspan(done, count),
                             std::span(collected_entries_).subspan(done, count), segment_bytes);
    if (!status.ok()) break;
    done += count;
    filled_ = collected_entries_[done - 1].next_offset();
  }
  collected_entries_.erase(collected_entries_.begin(),
                           collected_entries_.begin() + static_cast<ptrdiff_t>(done));
  collected_batches_.erase(collected_batches_.begin(),
                           collected_batches_.begin() + static_cast<ptrdiff_t>(done));
  return status;
}

void Partition::DropTail(FrameSequence sequence) {
  std::lock_guard lock(mutex_);
  while (!tail_.empty() && tail_.front().frame->meta.sequence <= sequence) tail_.pop_front();
}

Status Partition::RollIfOlder(Micros time) {
  if (!active_ || active_->entry_count() == 0) return Ok();
  const Result<SegmentEntry> first = active_->FirstEntry();
  if (!first.ok()) {
    if (first.error().code() == Code::kCorruption) return Ok();  // rolled by size instead
    return first.error();
  }
  if (first->clock < time) roll_next_ = true;
  return Ok();
}

Result<uint64_t> Partition::Sync() {
  uint64_t synced = 0;
  for (const auto& segment : unsynced_) {
    TRY(segment->Sync());
    synced += 2;
  }
  if (new_names_) TRY(files_.files().SyncDirectory(directory_));
  new_names_ = false;
  unsynced_.clear();
  return synced;
}

PartitionState Partition::State() {
  PartitionState state;
  {
    std::lock_guard lock(mutex_);
    state.start = start_;
    state.producers = producers_.Encoded();
  }
  state.end = filled_;
  if (active_) {
    state.active = active_->base();
    state.log_bytes = active_->log_bytes();
    state.entry_count = active_->entry_count();
  }
  return state;
}

// ---- Retention ----

Result<Offset> Partition::RetentionStart(std::optional<Micros> append_time_min,
                                         std::optional<uint64_t> bytes_max) const {
  Offset start, floor;
  {
    std::lock_guard lock(mutex_);
    if (!floor_) return start_;
    start = start_;
    floor = *floor_;
  }
  const auto segments = SegmentsCopy();
  uint64_t bytes = 0;
  for (const auto& segment : segments) bytes += segment->log_bytes();
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    const Offset next = segments[i + 1]->base();
    if (next > floor) break;
    bool expired =
        bytes_max && bytes > *bytes_max && bytes - segments[i]->log_bytes() >= *bytes_max;
    if (append_time_min && !expired && segments[i]->entry_count() > 0) {
      const Result<SegmentEntry> last = segments[i]->LastEntry();
      if (!last.ok() && last.error().code() != Code::kCorruption) return last.error();
      expired = last.ok() && last->clock < *append_time_min;
    }
    if (!expired) break;
    bytes -= segments[i]->log_bytes();
    start = std::max(start, next);
  }
  return start;
}

Result<uint64_t> Partition::RemoveSegmentsBelowStart() {
  std::vector<std::shared_ptr<Segment>> removed;
  {
    std::lock_guard lock(mutex_);
    while (segments_.size() > 1 && std::next(segments_.begin())->first <= start_ &&
           segments_.begin()->second != active_) {
      removed.push_back(segments_.begin()->second);
      segments_.erase(segments_.begin());
    }
  }
  for (const auto& segment : removed) {
    std::erase(unsynced_, segment);
    TRY(segment->Remove());
  }
  if (!removed.empty()) TRY(files_.files().SyncDirectory(directory_));
  return removed.size();
}

}  // namespace millrace::log
