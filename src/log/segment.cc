#include "log/segment.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/coding.h"

namespace millrace::log {
namespace {

constexpr std::string_view kSegmentMagic = "MRFR0001";
constexpr std::string_view kCompactedMagic = "MRFR0002";
constexpr uint64_t kEntriesPerRead = 64;
constexpr size_t kStagingBytes = 256 << 10;
static_assert(kStagingBytes % kDirectAlignment == 0);

std::optional<SegmentEntry> GetEntry(const char* at, Offset segment_base) {
  const std::string_view body(at, kSegmentEntryBytes - 4);
  if (Crc32c(body, static_cast<uint32_t>(segment_base.value)) != GetFixed<uint32_t>(at + 44))
    return {};
  SegmentEntry entry;
  entry.base_offset = segment_base + GetFixed<uint32_t>(at);
  entry.records = GetFixed<uint32_t>(at + 4);
  entry.position = GetFixed<uint32_t>(at + 8);
  entry.bytes = GetFixed<uint32_t>(at + 12);
  entry.frame = {GetFixed<uint64_t>(at + 16)};
  entry.clock = {GetFixed<int64_t>(at + 24)};
  entry.max_timestamp = {GetFixed<int64_t>(at + 32)};
  entry.index_in_frame = GetFixed<uint32_t>(at + 40);
  return entry;
}

// A damaged header does no harm, since nothing depends on it; another version does.
Status CheckVersion(const File& frames, const std::string& path) {
  char header[kSegmentHeaderBytes];
  TRY(const size_t read, frames.Read(header, sizeof(header), 0));
  const std::string_view bytes(header, read);
  if (read < sizeof(header)) return Ok();
  if (bytes.starts_with(kSegmentMagic) || bytes.starts_with(kCompactedMagic)) return Ok();
  if (Crc32c(bytes.substr(0, 44)) != GetFixed<uint32_t>(header + 44)) return Ok();
  return Error(Code::kNotSupported, "open {}: written by another version: {}", path,
               bytes.substr(0, kSegmentMagic.size()));
}

// The `bytes` bytes that begin `skip` bytes into the pieces.
std::vector<std::string_view> Part(std::span<const std::string_view> pieces, uint64_t skip,
                                   uint64_t bytes) {
  std::vector<std::string_view> out;
  for (std::string_view piece : pieces) {
    const uint64_t skipped = std::min<uint64_t>(skip, piece.size());
    skip -= skipped;
    piece = piece.substr(skipped, bytes);
    bytes -= piece.size();
    if (!piece.empty()) out.push_back(piece);
  }
  return out;
}

uint64_t EntryPosition(uint64_t index) { return kSegmentHeaderBytes + index * kSegmentEntryBytes; }

}  // namespace

std::string EncodeSegmentHeader(PartitionId partition, Offset base, const SegmentVersion& version) {
  std::string header(version.number > 0 ? kCompactedMagic : kSegmentMagic);
  PutFixed(header, partition.topic.value);
  PutFixed(header, partition.partition);
  PutFixed(header, version.number);
  PutFixed(header, base.value);
  PutFixed(header, version.compacted_at.value_or(Micros{0}).value);
  header.resize(kSegmentHeaderBytes - 4, '\0');
  PutFixed(header, Crc32c(header));
  return header;
}

std::optional<SegmentVersion> DecodeSegmentHeader(std::string_view header) {
  if (header.size() < kSegmentHeaderBytes) return std::nullopt;
  if (Crc32c(header.substr(0, 44)) != GetFixed<uint32_t>(header.data() + 44)) return std::nullopt;
  if (!header.starts_with(kCompactedMagic)) return SegmentVersion{};
  return SegmentVersion{GetFixed<uint32_t>(header.data() + 20),
                        Micros{GetFixed<int64_t>(header.data() + 32)}};
}

void PutSegmentEntry(std::string& out, const SegmentEntry& entry, Offset segment_base) {
  const size_t start = out.size();
  PutFixed(out, static_cast<uint32_t>(entry.base_offset - segment_base));
  PutFixed(out, entry.records);
  PutFixed(out, static_cast<uint32_t>(entry.position));
  PutFixed(out, entry.bytes);
  PutFixed(out, entry.frame.value);
  PutFixed(out, entry.clock.value);
  PutFixed(out, entry.max_timestamp.value);
  PutFixed(out, entry.index_in_frame);
  PutFixed(out,
           Crc32c(std::string_view(out).substr(start), static_cast<uint32_t>(segment_base.value)));
}
static_assert(4 * 4 + 3 * 8 + 2 * 4 == kSegmentEntryBytes);

std::string SegmentName(Offset base) { return fmt::format("{:020}", base.value); }

// ---- SegmentFiles ----

Result<std::shared_ptr<SegmentHandles>> SegmentFiles::Get(const Segment& segment) {
  {
    std::lock_guard lock(mutex_);
    if (segment.retired_) return segment.retired_;
    if (segment.handles_) {
      used_.splice(used_.begin(), used_, segment.used_at_);
      return segment.handles_;
    }
  }
  auto handles = std::make_shared<SegmentHandles>();
  TRY(handles->log, files_.Open(segment.log_path(), OpenMode::kReadWrite));
  TRY(handles->frames, files_.Open(segment.frames_path(), OpenMode::kReadWrite));
  TRY(CheckVersion(*handles->frames, segment.frames_path()));
  std::vector<std::shared_ptr<SegmentHandles>> closing;  // closed after the lock is released
  std::lock_guard lock(mutex_);
  // While the files were opened others may have taken their names.
  if (segment.retired_) return segment.retired_;
  if (segment.handles_) return segment.handles_;
  segment.handles_ = handles;
  segment.used_at_ = used_.insert(used_.begin(), &segment);
  while (used_.size() > segments_max_) {
    closing.push_back(std::move(used_.back()->handles_));
    used_.pop_back();
  }
  return handles;
}

void SegmentFiles::Forget(const Segment& segment) {
  std::lock_guard lock(mutex_);
  if (!segment.handles_) return;
  used_.erase(segment.used_at_);
  segment.handles_.reset();
}

Status SegmentFiles::Retire(const Segment& segment) {
  TRY(auto handles, Get(segment));
  std::lock_guard lock(mutex_);
  segment.retired_ = std::move(handles);
  return Ok();
}

FrameBuffer& SegmentFiles::staging() {
  if (!staging_) staging_ = std::make_unique<FrameBuffer>(kStagingBytes);
  return *staging_;
}

size_t SegmentFiles::open_count() const {
  std::lock_guard lock(mutex_);
  return used_.size();
}

// ---- Opening ----

Segment::Segment(SegmentFiles& files, const std::string& directory, Offset base)
    : files_(files), base_(base), path_(directory + "/" + SegmentName(base)) {}

Segment::~Segment() { files_.Forget(*this); }

Result<std::shared_ptr<Segment>> Segment::Create(SegmentFiles& files, const std::string& directory,
                                                 PartitionId partition, Offset base) {
  std::shared_ptr<Segment> segment(new Segment(files, directory, base));
  auto handles = std::make_shared<SegmentHandles>();
  TRY(handles->log, files.files().Open(segment->log_path(), OpenMode::kCreate));
  TRY(handles->frames, files.files().Open(segment->frames_path(), OpenMode::kCreate));
  // Remains of an attempt that a full disk ended.
  TRY(handles->log->Truncate(0));
  TRY(handles->frames->Truncate(0));
  TRY(handles->frames->Write(EncodeSegmentHeader(partition, base), 0));
  segment->pinned_ = std::move(handles);
  return segment;
}

Result<std::shared_ptr<Segment>> Segment::OpenActive(SegmentFiles& files,
                                                     const std::string& directory, Offset base,
                                                     uint64_t log_bytes, uint64_t entry_count) {
  std::shared_ptr<Segment> segment(new Segment(files, directory, base));
  TRY(auto handles, files.Get(*segment));
  // What lies behind was never synced; the write-ahead file has it. The cut itself must become
  // durable before anybody counts on it, or a power loss brings back what was cut: hence pinned.
  TRY(const uint64_t log_size, handles->log->Size());
  TRY(const uint64_t frames_size, handles->frames->Size());
  const uint64_t frames_bytes = EntryPosition(entry_count);
  if (log_size > log_bytes) TRY(handles->log->Truncate(log_bytes));
  if (frames_size > frames_bytes) TRY(handles->frames->Truncate(frames_bytes));
  if (log_size > log_bytes || frames_size > frames_bytes) segment->pinned_ = handles;
  segment->allocated_bytes_ = log_bytes;
  segment->log_bytes_ = log_bytes;
  segment->entry_count_ = entry_count;
  return segment;
}

Result<std::shared_ptr<Segment>> Segment::OpenClosed(SegmentFiles& files,
                                                     const std::string& directory, Offset base,
                                                     uint32_t version) {
  std::shared_ptr<Segment> segment(new Segment(files, directory, base));
  segment->version_.number = version;
  Result<std::shared_ptr<SegmentHandles>> handles = files.Get(*segment);
  // A file that is missing costs its own records only: Read reports them.
  if (!handles.ok() && handles.error().code() == Code::kNotFound) return segment;
  if (!handles.ok()) return std::move(handles).error();
  TRY(segment->log_bytes_, (*handles)->log->Size());
  TRY(const uint64_t size, (*handles)->frames->Size());
  segment->entry_count_ =
      size < kSegmentHeaderBytes ? 0 : (size - kSegmentHeaderBytes) / kSegmentEntryBytes;
  char header[kSegmentHeaderBytes];
  TRY(const size_t read, (*handles)->frames->Read(header, sizeof(header), 0));
  // With a damaged header it counts as not compacted, and is compacted once more.
  const auto decoded = DecodeSegmentHeader({header, read});
  if (decoded) segment->version_.compacted_at = decoded->compacted_at;
  return segment;
}

// ---- Writing ----

Status Segment::Append(std::span<const std::string_view> batches, std::span<SegmentEntry> entries,
                       uint64_t allocation_max) {
  CHECK(batches.size() == entries.size()) << batches.size() << " batches";
  if (!pinned_) {
    TRY(pinned_, files_.Get(*this));
  }
  const uint64_t start = log_bytes_.load(std::memory_order_relaxed);
  uint64_t end = start;
  std::string encoded;
  encoded.reserve(entries.size() * kSegmentEntryBytes);
  std::vector<std::string_view> pieces;
  for (size_t i = 0; i < batches.size(); ++i) {
    entries[i].position = end;
    end += batches[i].size();
    PutSegmentEntry(encoded, entries[i], base_);
    // Neighbours in memory become one piece.
    const bool joins =
        !pieces.empty() && pieces.back().data() + pieces.back().size() == batches[i].data();
    if (joins) {
      pieces.back() = {pieces.back().data(), pieces.back().size() + batches[i].size()};
    } else if (!batches[i].empty()) {
      pieces.push_back(batches[i]);
    }
  }
  if (end > allocated_bytes_) {
    uint64_t wanted = std::max(kFirstAllocationBytes, allocated_bytes_);
    while (wanted < end) wanted *= 2;
    wanted = std::max(end, std::min(wanted, allocation_max));
    TRY(pinned_->log->Preallocate(wanted));
    allocated_bytes_ = wanted;
  }
  TRY(WriteBatches(pieces, start, end));
  const uint64_t count = entry_count_.load(std::memory_order_relaxed);
  TRY(pinned_->frames->Write(encoded, EntryPosition(count)));
  log_bytes_.store(end, std::memory_order_release);
  entry_count_.store(count + entries.size(), std::memory_order_release);
  return Ok();
}

// Much at once goes past the page cache: what is new is read from the log's tail, and memory that
// the system must find for a page costs more than the writing. The blocks in which it begins and
// ends hold other bytes too and go through the cache, so no block is ever written in both ways.
Status Segment::WriteBatches(std::span<const std::string_view> pieces, uint64_t start,
                             uint64_t end) {
  const uint64_t first = (start + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
  const uint64_t last = end / kDirectAlignment * kDirectAlignment;
  if (end - start < files_.direct_bytes_min() || first >= last) {
    return pinned_->log->WriteGather(pieces, start);
  }
  TRY(pinned_->log->WriteGather(Part(pieces, 0, first - start), start));
  TRY(WriteDirect(Part(pieces, first - start, last - first), first));
  return pinned_->log->WriteGather(Part(pieces, last - start, end - last), last);
}

// REQUIRES: the pieces together, and `start`, are multiples of kDirectAlignment.
Status Segment::WriteDirect(std::span<const std::string_view> pieces, uint64_t start) {
  if (!pinned_->direct) {
    TRY(pinned_->direct, files_.files().Open(log_path(), OpenMode::kDirect));
  }
  const FrameBuffer& staging = files_.staging();
  size_t used = 0;
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      const size_t size = std::min(piece.size(), staging.size() - used);
      std::memcpy(staging.data() + used, piece.data(), size);
      piece.remove_prefix(size);
      used += size;
      if (used < staging.size()) continue;
      TRY(pinned_->direct->Write({staging.data(), used}, start));
      start += used;
      used = 0;
    }
  }
  if (used == 0) return Ok();
  return pinned_->direct->Write({staging.data(), used}, start);
}

Status Segment::Sync() {
  if (!pinned_) return Ok();
  TRY(pinned_->log->Sync());
  TRY(pinned_->frames->Sync());
  pinned_.reset();
  return Ok();
}

Status Segment::Close() {
  TRY(const auto handles, files_.Get(*this));
  allocated_bytes_ = log_bytes();
  return handles->log->Truncate(log_bytes());
}

Status Segment::Remove() {
  pinned_.reset();
  for (const std::string& path : {log_path(), frames_path(), aborted_path()}) {
    const Status removed = files_.files().Remove(path);
    if (!removed.ok() && removed.error().code() != Code::kNotFound) return removed;
  }
  return Ok();
}

// ---- Reading ----

Result<std::vector<std::optional<SegmentEntry>>> Segment::ReadEntries(uint64_t first,
                                                                      uint64_t count) const {
  TRY(const auto handles, files_.Get(*this));
  char bytes[kEntriesPerRead * kSegmentEntryBytes];
  std::vector<std::optional<SegmentEntry>> entries;
  entries.reserve(count);
  while (entries.size() < count) {
    const uint64_t wanted = std::min(count - entries.size(), kEntriesPerRead);
    TRY(const size_t read, handles->frames->Read(bytes, wanted * kSegmentEntryBytes,
                                                 EntryPosition(first + entries.size())));
    for (uint64_t i = 0; i < wanted; ++i) {
      const bool there = (i + 1) * kSegmentEntryBytes <= read;
      entries.push_back(there ? GetEntry(bytes + i * kSegmentEntryBytes, base_) : std::nullopt);
    }
  }
  return entries;
}

Result<SegmentEntry> Segment::ReadEntry(uint64_t index) const {
  TRY(const auto entries, ReadEntries(index, 1));
  if (!entries[0]) {
    return Error(Code::kCorruption, "{}: entry {} is damaged", frames_path(), index);
  }
  return *entries[0];
}

Result<std::optional<Segment::Hit>> Segment::Search(const EntryPredicate& predicate) const {
  uint64_t low = 0, high = entry_count();
  std::optional<Hit> found;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    // A damaged entry stands for the next whole one.
    uint64_t at = middle;
    std::optional<SegmentEntry> entry;
    for (; at < high; ++at) {
      TRY(const auto entries, ReadEntries(at, 1));
      entry = entries[0];
      if (entry) break;
    }
    if (entry && !predicate(*entry)) {
      low = at + 1;
      continue;
    }
    if (entry) found = Hit{at, *entry};
    high = middle;
  }
  return found;
}

Result<std::optional<SegmentEntry>> Segment::FirstWhere(const EntryPredicate& predicate) const {
  TRY(const std::optional<Hit> hit, Search(predicate));
  if (!hit) return std::optional<SegmentEntry>();
  return std::optional<SegmentEntry>(hit->entry);
}

Result<std::optional<SegmentEntry>> Segment::ScanFor(const EntryPredicate& predicate) const {
  const uint64_t count = entry_count();
  for (uint64_t first = 0; first < count; first += kEntriesPerRead) {
    TRY(const auto entries, ReadEntries(first, std::min(kEntriesPerRead, count - first)));
    for (const auto& entry : entries) {
      if (entry && predicate(*entry)) return entry;
    }
  }
  return std::optional<SegmentEntry>();
}

// The first whole entry that holds `offset` or lies behind it.
Result<std::optional<Segment::Hit>> Segment::FindEntry(Offset offset) const {
  const uint64_t hint = next_entry_hint_.load(std::memory_order_relaxed);
  if (hint < entry_count()) {
    TRY(const auto entries, ReadEntries(hint, 1));
    const auto& entry = entries[0];
    if (entry && entry->base_offset <= offset && offset < entry->next_offset()) {
      return std::optional<Hit>({hint, *entry});
    }
  }
  return Search([offset](const SegmentEntry& entry) { return entry.next_offset() > offset; });
}

// Entries to read: as many as fit `bytes_max`, one at least, with the damage between them.
Result<Segment::Plan> Segment::PlanRead(Offset from, Offset until, size_t bytes_max,
                                        Offset end) const {
  Plan plan;
  plan.next = from;
  until = std::min(until, end);
  TRY(const std::optional<Hit> hit, FindEntry(from));
  const uint64_t count = entry_count();
  uint64_t index = hit ? hit->index : count;
  uint64_t bytes = 0;
  while (index < count) {
    TRY(const auto entries, ReadEntries(index, std::min(kEntriesPerRead, count - index)));
    for (const auto& entry : entries) {
      if (entry) {
        if (entry->base_offset >= until || (bytes > 0 && bytes + entry->bytes > bytes_max)) {
          next_entry_hint_.store(index, std::memory_order_relaxed);
          return plan;
        }
        if (entry->base_offset > plan.next) {
          plan.damaged.push_back(
              {plan.next, entry->base_offset + -1, "entry in .frames is damaged"});
        }
        if (entry->bytes == 0 && !entry->removed()) {
          plan.damaged.push_back({std::max(from, entry->base_offset), entry->next_offset() + -1,
                                  "batch was damaged in the write-ahead file"});
        } else if (entry->bytes > 0) {
          plan.entries.push_back(*entry);
          bytes += entry->bytes;
        }
        plan.next = entry->next_offset();
      }
      ++index;
    }
  }
  next_entry_hint_.store(index, std::memory_order_relaxed);
  // Offsets that the segment ought to hold, and of which no entry knows.
  if (plan.next < until) {
    plan.damaged.push_back({plan.next, until + -1, "entry in .frames is damaged or missing"});
    plan.next = until;
  }
  return plan;
}

Result<Segment::Content> Segment::Read(Offset from, Offset until, size_t bytes_max,
                                       Offset end) const {
  Content content;
  Result<Plan> planned = PlanRead(from, until, bytes_max, end);
  if (!planned.ok()) {
    if (planned.error().code() != Code::kNotFound) return std::move(planned).error();
    content.next = std::min(end, until);
    content.damaged.push_back({from, content.next + -1, planned.error().message()});
    return content;
  }
  content.damaged = std::move(planned->damaged);
  content.next = planned->next;
  const std::vector<SegmentEntry>& entries = planned->entries;
  if (entries.empty()) return content;

  const uint64_t start = entries.front().position;
  const uint64_t size = entries.back().position + entries.back().bytes - start;
  content.bytes = std::shared_ptr<char[]>(new char[size]);
  TRY(const auto handles, files_.Get(*this));
  TRY(const size_t read, handles->log->Read(content.bytes.get(), size, start));
  content.batches.reserve(entries.size());
  for (const SegmentEntry& entry : entries) {
    const uint64_t at = entry.position - start;
    const Offset last = entry.next_offset() + -1;
    if (at + entry.bytes > read) {
      content.damaged.push_back({entry.base_offset, last, "the .log file ends too early"});
      continue;
    }
    const std::string_view bytes(content.bytes.get() + at, entry.bytes);
    const Result<RecordBatchView> view = RecordBatchView::Parse(bytes);
    if (!view.ok()) {
      content.damaged.push_back({entry.base_offset, last, view.error().message()});
      continue;
    }
    if (view->size() != entry.bytes || view->base_offset() != entry.base_offset ||
        view->last_offset() != last) {
      content.damaged.push_back({entry.base_offset, last, "batch and entry in .frames differ"});
      continue;
    }
    content.batches.push_back(
        {bytes, entry.base_offset, last, entry.frame, entry.index_in_frame, entry.clock});
  }
  return content;
}

}  // namespace millrace::log
