#include "log/compaction.h"

#include <algorithm>
#include <map>

#include "base/logging.h"
#include "log/unpack.h"

namespace millrace::log {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kWriteBytes = 1 << 20;
// Of keys in memory; the segment that passes it is the last that is mapped.
constexpr uint64_t kKeyBytesMax = 64 << 20;
constexpr uint64_t kKeyOverheadBytes = 64;
// What came since the last time must be a third of everything at least.
constexpr uint64_t kCleanToDirtyMax = 2;

// Calls `use(batch)` for every batch of the segment and `lost(range)` for
// damage, in the order of offsets.
template <typename Use, typename Lost>
Status Walk(const Partition::ClosedSegment& closed, const Use& use, const Lost& lost) {
  for (Offset from = closed.segment->base(); from < closed.end;) {
    TRY(const Segment::Content content,
        closed.segment->Read(from, closed.end, kReadBytes, closed.end));
    std::map<Offset, const DamagedRange*> damaged;
    for (const DamagedRange& range : content.damaged) damaged[range.first] = &range;
    auto range = damaged.begin();
    for (const ReadBatch& batch : content.batches) {
      for (; range != damaged.end() && range->first < batch.base_offset; ++range) {
        TRY(lost(*range->second));
      }
      TRY(use(batch));
    }
    for (; range != damaged.end(); ++range) TRY(lost(*range->second));
    from = content.next;
  }
  return Ok();
}

// The batch as its records can be looked at; `unpacked` holds those of a compressed one.
Result<RecordBatchView> Readable(const ReadBatch& batch, std::string& unpacked) {
  const RecordBatchView packed = batch.view();
  if (packed.codec() == Codec::kNone) return packed;
  TRY(unpacked, Unpack(packed));
  return RecordBatchView::Parse(unpacked, CrcCheck::kAlreadyVerified);
}

Status IgnoreLost(const DamagedRange&) { return Ok(); }

// The files of a segment while they are made.
class SegmentWriter {
 public:
  SegmentWriter(Partition& partition, const Segment& segment)
      : partition_(partition), segment_(segment) {}

  Status Open(Micros compacted_at) {
    Files& files = partition_.segment_files().files();
    const SegmentVersion version{segment_.version().number + 1, compacted_at};
    TRY(log_, files.Open(segment_.LogPath(version.number), OpenMode::kCreate));
    TRY(frames_, files.Open(segment_.frames_path() + ".clean", OpenMode::kCreate));
    TRY(log_->Truncate(0));
    TRY(frames_->Truncate(0));
    entries_ = EncodeSegmentHeader(partition_.id(), segment_.base(), version);
    next_ = segment_.base();
    // A segment whose first records go still begins with its time.
    const Result<SegmentEntry> first = segment_.FirstEntry();
    if (first.ok()) last_ = *first;
    return Ok();
  }

  Status Add(const ReadBatch& batch, std::string_view bytes) {
    if (bytes.empty()) return Ok();  // removed with what follows
    SegmentEntry entry = EntryFor(batch.base_offset, batch.last_offset);
    entry.bytes = static_cast<uint32_t>(bytes.size());
    entry.frame = batch.frame;
    entry.clock = batch.clock;
    entry.index_in_frame = batch.index_in_frame;
    entry.max_timestamp = MaxTimestamp(bytes.data());
    Put(entry);
    batches_ += bytes;
    return Flush(kWriteBytes);
  }

  Status AddLost(const DamagedRange& range) {
    if (range.last < next_) return Ok();
    SegmentEntry entry = EntryFor(std::max(range.first, next_), range.last);
    entry.index_in_frame = 0;
    Put(entry);
    return Ok();
  }

  // Everything up to `end` is written; durable when it returns.
  Status Finish(Offset end) {
    RemoveUpTo(end);
    TRY(Flush(0));
    TRY(log_->Sync());
    TRY(frames_->Sync());
    return partition_.segment_files().files().SyncDirectory(partition_.directory());
  }

 private:
  SegmentEntry EntryFor(Offset first, Offset last) {
    RemoveUpTo(first);
    SegmentEntry entry = last_;
    entry.base_offset = first;
    entry.records = static_cast<uint32_t>(last - first + 1);
    entry.bytes = 0;
    return entry;
  }

  void RemoveUpTo(Offset end) {
    if (next_ >= end) return;
    SegmentEntry entry = last_;
    entry.base_offset = next_;
    entry.records = static_cast<uint32_t>(end - next_);
    entry.bytes = 0;
    entry.index_in_frame = kRemovedIndex;
    entry.max_timestamp = {};
    Put(entry);
  }

  void Put(SegmentEntry entry) {
    entry.position = log_bytes_ + batches_.size();
    PutSegmentEntry(entries_, entry, segment_.base());
    next_ = entry.next_offset();
    last_ = entry;
  }

  Status Flush(size_t bytes_min) {
    if (batches_.size() < bytes_min) return Ok();
    TRY(log_->Write(batches_, log_bytes_));
    TRY(frames_->Write(entries_, frames_bytes_));
    log_bytes_ += batches_.size();
    frames_bytes_ += entries_.size();
    batches_.clear();
    entries_.clear();
    return Ok();
  }

  Partition& partition_;
  const Segment& segment_;
  std::unique_ptr<File> log_, frames_;
  std::string batches_, entries_;  // not written yet
  uint64_t log_bytes_ = 0, frames_bytes_ = 0;
  Offset next_;
  SegmentEntry last_;
};

}  // namespace

std::unique_ptr<Compaction> Compaction::Begin(std::shared_ptr<Partition> partition,
                                              const TopicConfig& config) {
  std::vector<ClosedSegment> segments = partition->CompactableSegments();
  uint64_t clean_bytes = 0, dirty_bytes = 0;
  for (const ClosedSegment& closed : segments) {
    (closed.segment->version().compacted_at ? clean_bytes : dirty_bytes) +=
        closed.segment->log_bytes();
  }
  if (dirty_bytes == 0 || clean_bytes > dirty_bytes * kCleanToDirtyMax) return nullptr;
  std::unique_ptr<Compaction> compaction(
      new Compaction(std::move(partition), config.delete_retention));
  compaction->segments_ = std::move(segments);
  return compaction;
}

Result<Compaction::Progress> Compaction::Step(Micros now) {
  if (mapping_) {
    while (next_ < segments_.size() && segments_[next_].segment->version().compacted_at) ++next_;
    if (next_ < segments_.size()) TRY(Map(segments_[next_++]));
    const bool full = key_bytes_ >= kKeyBytesMax;
    if (next_ < segments_.size() && !full) return Progress::kGoesOn;
    segments_.resize(next_);
    mapping_ = false;
    next_ = 0;
    return Progress::kGoesOn;
  }
  if (next_ == segments_.size()) return Progress::kDone;
  return Rewrite(segments_[next_++], now);
}

void Compaction::Abandon() {
  if (next_ == 0) return;
  // Of the segment that was being written. Nothing depends on these files: where they cannot be
  // removed now, the next start does it.
  const Segment& segment = *segments_[next_ - 1].segment;
  for (const std::string& path :
       {segment.LogPath(segment.version().number + 1), segment.frames_path() + ".clean"}) {
    const Status removed = partition_->segment_files().files().Remove(path);
    if (!removed.ok() && removed.error().code() != Code::kNotFound) {
      LOG_WARNING("cannot remove what compaction left", "path={} error={}", path,
                  removed.error().ToString());
    }
  }
}

Result<Compaction::Fate> Compaction::FateOf(const ReadBatch& batch) const {
  const RecordBatchView view = batch.view();
  if (!view.is_transactional() || view.is_control()) return Fate::kStands;
  const auto aborted = partition_->AbortedTransactions(batch.base_offset, batch.base_offset + 1);
  if (!aborted.ok() && aborted.error().code() == Code::kCorruption) return Fate::kUnknown;
  if (!aborted.ok()) return aborted.error();
  for (const AbortedTransaction& transaction : *aborted) {
    if (transaction.producer_id == view.producer_id()) return Fate::kAborted;
  }
  return Fate::kStands;
}

Status Compaction::Map(const ClosedSegment& closed) {
  const auto map = [this](const ReadBatch& batch) -> Status {
    if (batch.view().is_control()) return Ok();
    TRY(const Fate fate, FateOf(batch));
    if (fate != Fate::kStands) return Ok();
    std::string unpacked;
    const Result<RecordBatchView> view = Readable(batch, unpacked);
    if (!view.ok()) return Ok();  // it takes nothing else's place
    RecordCursor records = view->records();
    while (records.Next()) {
      const RecordView& record = records.record();
      if (!record.key) continue;
      const auto [at, added] = newest_.insert_or_assign(std::string(*record.key), record.offset);
      if (added) key_bytes_ += at->first.size() + kKeyOverheadBytes;
    }
    return records.status();
  };
  return Walk(closed, map, IgnoreLost);
}

bool Compaction::Keeps(const RecordView& record, bool tombstones_go) const {
  if (!record.key) return true;  // from before the topic was compacted
  const auto newest = newest_.find(std::string(*record.key));
  if (newest != newest_.end() && newest->second > record.offset) return false;
  return record.value || !tombstones_go || unreadable_;
}

Result<std::string> Compaction::Filter(const ReadBatch& batch, bool tombstones_go) {
  TRY(const Fate fate, FateOf(batch));
  if (fate == Fate::kAborted) return std::string();
  if (batch.view().is_control()) return std::string(batch.bytes);
  std::string unpacked;
  const Result<RecordBatchView> view = Readable(batch, unpacked);
  if (!view.ok()) {
    unreadable_ = true;
    return std::string(batch.bytes);
  }
  FilteredBatch filtered =
      FilterRecords(*view, [&](const RecordView& record) { return Keeps(record, tombstones_go); });
  if (filtered.records == view->record_count()) return std::string(batch.bytes);
  return std::move(filtered.bytes);
}

Result<bool> Compaction::DropsAny(const ClosedSegment& closed, bool tombstones_go) {
  bool drops = false;
  TRY(Walk(
      closed,
      [&](const ReadBatch& batch) -> Status {
        TRY(const std::string kept, Filter(batch, tombstones_go));
        drops = drops || kept.size() != batch.bytes.size();
        return Ok();
      },
      IgnoreLost));
  return drops;
}

Result<Compaction::Progress> Compaction::Rewrite(const ClosedSegment& closed, Micros now) {
  // Retention may have freed it meanwhile.
  if (closed.end <= partition_->range().start) return Progress::kGoesOn;
  const std::optional<Micros> before = closed.segment->version().compacted_at;
  const bool tombstones_go =
      before && before->value + std::chrono::microseconds(delete_retention_).count() < now.value;
  if (before) {
    TRY(const bool drops, DropsAny(closed, tombstones_go));
    if (!drops) return Progress::kGoesOn;
  }
  SegmentWriter writer(*partition_, *closed.segment);
  TRY(writer.Open(before.value_or(now)));
  TRY(Walk(
      closed,
      [&](const ReadBatch& batch) -> Status {
        TRY(const std::string kept, Filter(batch, tombstones_go));
        return writer.Add(batch, kept);
      },
      [&](const DamagedRange& range) { return writer.AddLost(range); }));
  TRY(writer.Finish(closed.end));
  TRY(closed.segment->Retire());
  decided_ = true;
  TRY(partition_->SwapIn(closed.segment));
  decided_ = false;
  return Progress::kSegmentDone;
}

}  // namespace millrace::log
