// What readers of a partition get: from the tail, or from a segment.
#include <algorithm>

#include "log/partition.h"

namespace millrace::log {

// REQUIRES: mutex_ is held.
Error Partition::OutOfRange(Offset from) const {
  return Error(Code::kInvalidArgument,
               "read topic {} partition {}: offset {} is out of range; the first available "
               "offset is {}, the end is {}",
               Quoted(topic_), id_.partition, from.value, start_.value, end_.value)
      .SqlState("22003");
}

Result<ReadResult> Partition::Read(const ReadOptions& wanted) const {
  ReadOptions options = wanted;
  ReadResult result;
  std::shared_ptr<Segment> segment;
  Offset segment_end;
  {
    std::lock_guard lock(mutex_);
    result.start = start_;
    result.end = end_;
    result.stable = producers_.transactions().Stable(start_, end_);
    result.next = options.from;
    if (options.from < start_ || options.from > end_) return OutOfRange(options.from);
    if (options.committed_only) options.until = std::min(options.until, result.stable);
    if (options.from == end_ || options.from >= options.until) return result;
    if (!tail_.empty() && options.from >= tail_.front().base_offset) {
      result = ReadTail(options, std::move(result));
      if (options.committed_only) KeepCommitted(result);
      return result;
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
  if (!options.committed_only) return result;
  std::lock_guard lock(mutex_);
  // What was aborted is forgotten below the start, which may have moved on meanwhile.
  if (options.from < start_) return OutOfRange(options.from);
  KeepCommitted(result);
  return result;
}

// Leaves out control batches and what was aborted. REQUIRES: mutex_ is held; the result ends at the
// last stable offset.
void Partition::KeepCommitted(ReadResult& result) const {
  if (result.batches.empty()) return;
  const std::vector<AbortedTransaction> aborted =
      producers_.transactions().Aborted(result.batches.front().base_offset, result.next);
  std::erase_if(result.batches, [&](const ReadBatch& batch) {
    const uint16_t attributes = BatchAttributes(batch.bytes.data());
    const int64_t producer = ProducerId(batch.bytes.data());
    if ((attributes & kControlBit) != 0) {
      result.markers.push_back({batch.base_offset, producer, batch.frame});
      return true;
    }
    if ((attributes & kTransactionalBit) == 0) return false;
    for (const AbortedTransaction& transaction : aborted) {
      if (transaction.producer_id == producer && transaction.first <= batch.base_offset &&
          batch.base_offset <= transaction.last) {
        result.aborted.push_back({batch.base_offset, batch.last_offset});
        return true;
      }
    }
    for (const DamagedRange& range : lost_transactions_) {
      if (range.first <= batch.base_offset && batch.base_offset <= range.last) {
        result.damaged.push_back({batch.base_offset, batch.last_offset, range.reason});
        return true;
      }
    }
    return false;
  });
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
    if (batch.frame->meta.clock >= time) return std::max(batch.base_offset, start_);
  }
  return end_;
}

Result<Offset> Partition::OffsetForTimestamp(Millis timestamp) const {
  for (const auto& segment : SegmentsCopy()) {
    const Offset start = range().start;
    TRY(const auto entry, segment->ScanFor([&](const SegmentEntry& entry) {
      return entry.bytes > 0 && entry.max_timestamp >= timestamp && entry.next_offset() > start;
    }));
    if (entry) return std::max(entry->base_offset, start);
  }
  std::lock_guard lock(mutex_);
  for (const TailBatch& batch : tail_) {
    if (batch.bytes == 0 || batch.next_offset <= start_) continue;
    const auto view = RecordBatchView::Parse({batch.data, batch.bytes}, CrcCheck::kAlreadyVerified);
    if (view.ok() && view->max_timestamp() >= timestamp) {
      return std::max(batch.base_offset, start_);
    }
  }
  return end_;
}

}  // namespace millrace::log
