#include "log/partition.h"

#include <algorithm>

namespace millrace::log {

Partition::Partition(SegmentFiles& files, std::string topic, PartitionId id, std::string directory)
    : files_(files), topic_(std::move(topic)), id_(id), directory_(std::move(directory)) {}

Result<std::shared_ptr<Partition>> Partition::Open(SegmentFiles& files, std::string topic,
                                                   PartitionId id, std::string directory,
                                                   const PartitionState& state) {
  auto partition = std::make_shared<Partition>(files, std::move(topic), id, std::move(directory));
  partition->start_ = state.start;
  partition->end_ = partition->filled_ = partition->next_offset = state.end;
  partition->aborted_stored_ = state.end;
  TRY(partition->producers_, Producers::Decode(state.producers));
  TRY(const bool exists, files.files().Exists(partition->directory_));
  if (!exists) return partition;
  partition->state_active_ = partition->closed_end_ = state.active.value_or(Offset{0});
  TRY(const auto versions, ChooseVersions(files.files(), partition->directory_));
  TRY(partition->RemoveFilesBehind(state.active));
  TRY(const auto names, files.files().List(partition->directory_));
  const auto there = [&](Offset base, std::string_view extension) {
    return std::binary_search(names.begin(), names.end(),
                              SegmentName(base) + std::string(extension));
  };
  for (const std::string& name : names) {
    const std::optional<Offset> base = SegmentBaseOf(name);
    if (!base || partition->segments_.contains(*base)) continue;
    std::shared_ptr<Segment> segment;
    if (*base == *state.active && there(*base, ".log") && there(*base, ".frames")) {
      TRY(segment, Segment::OpenActive(files, partition->directory_, *base, state.log_bytes,
                                       state.entry_count));
      partition->active_ = segment;
      if (segment->dirty()) partition->unsynced_.push_back(segment);
    } else {
      const auto version = versions.find(*base);
      TRY(segment, Segment::OpenClosed(files, partition->directory_, *base,
                                       version == versions.end() ? 0 : version->second));
    }
    partition->segments_.emplace(*base, std::move(segment));
  }
  TRY(partition->LoadAborted(names, state.end));
  // What retention had freed may be back after a power loss.
  TRY(partition->RemoveSegmentsBelowStart());
  return partition;
}

// The aborted transactions that the segments' files hold, as far as those are synced.
Status Partition::LoadAborted(const std::vector<std::string>& names, Offset end) {
  std::vector<EndedTransaction> stored;
  for (auto at = segments_.begin(); at != segments_.end(); ++at) {
    const std::string path = at->second->aborted_path();
    if (!std::binary_search(names.begin(), names.end(), path.substr(directory_.size() + 1))) {
      continue;
    }
    TRY(const std::string bytes, files_.files().ReadAll(path));
    Result<AbortedFile> file = DecodeAborted(bytes);
    if (!file.ok() && file.error().code() != Code::kCorruption) {
      return std::move(file).error().With(path);
    }
    if (!file.ok() || file->incomplete) {
      const Offset next = std::next(at) == segments_.end() ? end : std::next(at)->first;
      lost_transactions_.push_back(
          {at->first, next + -1, "which transactions were aborted is lost to damage"});
    }
    if (file.ok()) stored.insert(stored.end(), file->ended.begin(), file->ended.end());
  }
  producers_.transactions().SetStored(stored, end);
  producers_.transactions().DropBelow(start_);
  return Ok();
}

Partition::Range Partition::range() const {
  std::lock_guard lock(mutex_);
  return {start_, end_, producers_.transactions().Stable(start_, end_)};
}

void Partition::SetConfig(const TopicConfig& config) {
  max_message_bytes_ = config.max_message_bytes.value_or(UINT32_MAX);
  compact_ = config.compact;
  append_time_ = config.append_time;
  segment_bytes_ = config.segment_bytes.value_or(0);
  sync_delay_max_ = config.sync_delay_max;
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

Result<std::vector<AbortedTransaction>> Partition::AbortedTransactions(Offset from,
                                                                       Offset to) const {
  for (const DamagedRange& range : lost_transactions_) {
    if (range.first < to && range.last >= from) {
      return Error(Code::kCorruption, "topic {} partition {}, offsets {} to {}: {}", Quoted(topic_),
                   id_.partition, range.first.value, range.last.value, range.reason);
    }
  }
  std::lock_guard lock(mutex_);
  return producers_.transactions().Aborted(from, to);
}

void Partition::AddOpenTransactions(std::vector<OpenTransaction>& to) const {
  std::lock_guard lock(mutex_);
  producers_.AddOpenTransactions(id_, to);
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
  producers_.Apply(ProducerBatch::Of({batch, entry.bytes}), entry.base_offset, frame->meta.clock);
}

void Partition::PublishStart(Offset start) {
  std::lock_guard lock(mutex_);
  start_ = std::max(start_, start);
  producers_.transactions().DropBelow(start_);
}

void Partition::PublishHole(Offset to) {
  std::lock_guard lock(mutex_);
  CHECK(to > end_) << "a hole ends at " << to.value << ", the partition at " << end_.value;
  end_ = next_offset = to;
}

void Partition::FinishReplay() {
  std::lock_guard lock(mutex_);
  // Where damage ate the records below a start that was moved on, nothing may go there again.
  end_ = next_offset = std::max(end_, start_);
  producers_.FinishReplay(end_);
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
    const std::optional<Offset> base = SegmentBaseOf(name);
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
    TRY(files_.files().SyncDirectory(ParentOf(directory_)));
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
  if (const uint64_t own = segment_bytes_; own > 0) segment_bytes = own;
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

Status Partition::StoreAborted() {
  std::map<Offset, AbortedFile> to_write;  // by the base of the segment
  {
    std::lock_guard lock(mutex_);
    const Transactions& transactions = producers_.transactions();
    for (const EndedTransaction& ended : transactions.AbortedAt(aborted_stored_, filled_)) {
      const auto behind = segments_.upper_bound(ended.aborted.last);
      CHECK(behind != segments_.begin()) << "a filled marker is in no segment";
      const auto segment = std::prev(behind);
      if (to_write.contains(segment->first)) continue;
      const Offset end = behind == segments_.end() ? filled_ : behind->first;
      to_write[segment->first].ended = transactions.AbortedAt(segment->first, end);
    }
  }
  for (auto& [base, file] : to_write) {
    file.incomplete = std::any_of(lost_transactions_.begin(), lost_transactions_.end(),
                                  [&](const DamagedRange& range) { return range.first == base; });
    TRY(files_.files().Replace(directory_ + "/" + SegmentName(base) + ".aborted",
                               EncodeAborted(file)));
  }
  aborted_stored_ = filled_;
  return Ok();
}

PartitionState Partition::State() {
  PartitionState state;
  {
    std::lock_guard lock(mutex_);
    state.start = start_;
    state.producers = producers_.Encoded(filled_);
  }
  state.end = filled_;
  if (active_) {
    state_active_ = active_->base();
    state.active = active_->base();
    state.log_bytes = active_->log_bytes();
    state.entry_count = active_->entry_count();
  }
  return state;
}

// ---- Retention ----

uint64_t Partition::bytes() const {
  uint64_t bytes = 0;
  for (const auto& segment : SegmentsCopy()) bytes += segment->log_bytes();
  return bytes;
}

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
