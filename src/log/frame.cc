#include "log/frame.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <optional>

#include "base/coding.h"
#include "log/record_batch.h"

namespace millrace::log {
namespace {

constexpr uint32_t kHeaderMagic = 0x4657524d;  // "MRWF"
constexpr uint32_t kFooterMagic = 0x4557524d;  // "MRWE"
constexpr uint32_t kVersion = 1;
constexpr size_t kCrcAt = 60;

template <typename T>
void PutAt(char* at, T value) {
  std::memcpy(at, &value, sizeof(value));
}

// The CRC of the meta, its own field left out.
uint32_t MetaCrc(std::string_view meta) {
  return Crc32c(meta.substr(kFrameHeaderBytes), Crc32c(meta.substr(0, kCrcAt)));
}

uint32_t FooterCrc(std::string_view footer) { return Crc32c(footer.substr(0, 28)); }

uint64_t RoundUp(uint64_t bytes) {
  return (bytes + kFrameAlignment - 1) / kFrameAlignment * kFrameAlignment;
}

char* Allocate(size_t size) {
  return static_cast<char*>(::operator new (size, std::align_val_t{kFrameAlignment}));
}
void Free(char* memory) { ::operator delete (memory, std::align_val_t{kFrameAlignment}); }

// Four sizes to a doubling, so that frames of nearly the same size share their memory.
size_t Capacity(size_t size) {
  const size_t step = std::max<size_t>(kFrameAlignment, std::bit_floor(size) / 4);
  return (size + step - 1) / step * step;
}

// The CRC of the batch at `batch`, going on from `crc`. Its own CRC is known to be right, so the
// bytes of a large one need not be looked at again.
uint32_t AddBatchCrc(uint32_t crc, std::string_view batch) {
  constexpr size_t kCombineBytesMin = 16 << 10;  // below it a look is cheaper
  if (batch.size() < kCombineBytesMin) return Crc32c(batch, crc);
  crc = Crc32c(batch.substr(0, kRecordBatchCrcFrom), crc);
  return Crc32cCombine(crc, BatchCrc(batch.data()), batch.size() - kRecordBatchCrcFrom);
}

}  // namespace

// ---- Memory ----

FrameBuffer::FrameBuffer(size_t size, std::shared_ptr<FrameBuffers> pool)
    : pool_(std::move(pool)),
      size_(size),
      data_(pool_ ? pool_->TakeMemory(Capacity(size)) : Allocate(size)) {}

FrameBuffer::~FrameBuffer() {
  if (pool_) {
    pool_->Return(data_, Capacity(size_));
  } else {
    Free(data_);
  }
}

FrameBuffers::~FrameBuffers() {
  for (const auto& [capacity, kept] : kept_) {
    for (char* memory : kept) Free(memory);
  }
}

std::unique_ptr<FrameBuffer> FrameBuffers::Take(size_t size) {
  return std::unique_ptr<FrameBuffer>(new FrameBuffer(size, shared_from_this()));
}

char* FrameBuffers::TakeMemory(size_t capacity) {
  {
    std::lock_guard lock(mutex_);
    const auto kept = kept_.find(capacity);
    if (kept != kept_.end()) {
      char* const memory = kept->second.back();
      kept->second.pop_back();
      if (kept->second.empty()) kept_.erase(kept);
      kept_bytes_ -= capacity;
      return memory;
    }
  }
  return Allocate(capacity);
}

void FrameBuffers::Return(char* memory, size_t capacity) {
  std::lock_guard lock(mutex_);
  if (capacity > bytes_max_) return Free(memory);
  // What was returned last is what is wanted next: other sizes make way for it.
  while (kept_bytes_ + capacity > bytes_max_) {
    auto other = kept_.begin();
    if (other->first == capacity && kept_.size() > 1) ++other;
    Free(other->second.back());
    kept_bytes_ -= other->first;
    other->second.pop_back();
    if (other->second.empty()) kept_.erase(other);
  }
  kept_[capacity].push_back(memory);
  kept_bytes_ += capacity;
}

uint64_t FrameBuffers::kept_bytes() const {
  std::lock_guard lock(mutex_);
  return kept_bytes_;
}

// ---- Building ----

void FrameBuilder::AddBatch(PartitionId partition, Offset base, uint32_t records,
                            std::string_view bytes) {
  entries_.push_back(
      {partition, EntryKind::kBatch, base, records, static_cast<uint32_t>(bytes.size()), 0});
  payloads_.push_back(bytes);
  batch_bytes_ += bytes.size();
}

void FrameBuilder::AddControl(EntryKind kind, PartitionId partition, Offset offset,
                              std::string_view payload) {
  entries_.push_back({partition, kind, offset, 0, static_cast<uint32_t>(payload.size()), 0});
  payloads_.push_back(payload);
  control_bytes_ += payload.size();
}

void FrameBuilder::Rewind(size_t count) {
  for (; entries_.size() > count; entries_.pop_back(), payloads_.pop_back()) {
    batch_bytes_ -= payloads_.back().size();
  }
}

std::shared_ptr<Frame> FrameBuilder::Build(FrameMeta meta, int32_t leader_epoch,
                                           FrameBuffers& buffers) {
  const uint64_t meta_bytes =
      kFrameHeaderBytes + entries_.size() * kFrameEntryBytes + control_bytes_;
  const uint64_t used = 2 * meta_bytes + batch_bytes_ + kFrameFooterBytes;
  const uint64_t total = RoundUp(used);
  CHECK(total <= UINT32_MAX) << "frame of " << total << " bytes";
  meta.meta_bytes = static_cast<uint32_t>(meta_bytes);
  meta.frame_bytes = static_cast<uint32_t>(total);

  auto frame = std::make_shared<Frame>();
  frame->buffer = buffers.Take(total);
  char* const data = frame->buffer->data();
  char* entry_at = data + kFrameHeaderBytes;
  char* control_at = entry_at + entries_.size() * kFrameEntryBytes;
  char* batch_at = data + meta_bytes;
  meta.body_crc = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    FrameEntry& entry = entries_[i];
    PutAt(entry_at, entry.partition.topic.value);
    PutAt(entry_at + 8, entry.partition.partition);
    PutAt(entry_at + 12, static_cast<uint32_t>(entry.kind));
    PutAt(entry_at + 16, entry.base_offset.value);
    PutAt(entry_at + 24, entry.records);
    PutAt(entry_at + 28, entry.bytes);
    entry_at += kFrameEntryBytes;
    char*& to = entry.kind == EntryKind::kBatch ? batch_at : control_at;
    entry.position = static_cast<uint32_t>(to - data);
    std::memcpy(to, payloads_[i].data(), payloads_[i].size());
    if (entry.kind == EntryKind::kBatch) {
      SetBaseOffset(to, entry.base_offset);
      SetLeaderEpoch(to, leader_epoch);
      meta.body_crc = AddBatchCrc(meta.body_crc, {to, payloads_[i].size()});
    }
    to += payloads_[i].size();
  }

  PutAt(data, kHeaderMagic);
  PutAt(data + 4, kVersion);
  PutAt(data + 8, meta.generation);
  PutAt(data + 16, meta.sequence.value);
  PutAt(data + 24, meta.durable.value);
  PutAt(data + 32, meta.clock.value);
  PutAt(data + 40, meta.frame_bytes);
  PutAt(data + 44, meta.meta_bytes);
  PutAt(data + 48, static_cast<uint32_t>(entries_.size()));
  PutAt(data + 52, meta.body_crc);
  PutAt(data + 56, uint32_t{0});
  PutAt(data + kCrcAt, MetaCrc({data, meta_bytes}));

  char* const footer = data + total - kFrameFooterBytes;
  char* const copy = footer - meta_bytes;
  std::memset(batch_at, 0, static_cast<size_t>(copy - batch_at));
  std::memcpy(copy, data, meta_bytes);
  PutAt(footer, meta.generation);
  PutAt(footer + 8, meta.sequence.value);
  PutAt(footer + 16, meta.meta_bytes);
  PutAt(footer + 20, uint32_t{0});
  PutAt(footer + 24, kFooterMagic);
  PutAt(footer + 28, FooterCrc({footer, kFrameFooterBytes}));

  meta.entries = std::move(entries_);
  frame->meta = std::move(meta);
  *this = FrameBuilder();
  return frame;
}

std::optional<uint32_t> PeekMetaBytes(std::string_view header) {
  if (header.size() < kFrameHeaderBytes || GetFixed<uint32_t>(header.data()) != kHeaderMagic ||
      GetFixed<uint32_t>(header.data() + 4) != kVersion) {
    return std::nullopt;
  }
  return GetFixed<uint32_t>(header.data() + 44);
}

std::optional<FrameMeta> DecodeFrameHeader(std::string_view bytes) {
  const std::optional<uint32_t> meta_bytes = PeekMetaBytes(bytes);
  if (!meta_bytes || *meta_bytes < kFrameHeaderBytes || *meta_bytes > bytes.size()) return {};
  const char* data = bytes.data();
  if (MetaCrc(bytes.substr(0, *meta_bytes)) != GetFixed<uint32_t>(data + kCrcAt)) return {};
  FrameMeta meta;
  meta.meta_bytes = *meta_bytes;
  meta.generation = GetFixed<uint64_t>(data + 8);
  meta.sequence = {GetFixed<uint64_t>(data + 16)};
  meta.durable = {GetFixed<uint64_t>(data + 24)};
  meta.clock = {GetFixed<int64_t>(data + 32)};
  meta.frame_bytes = GetFixed<uint32_t>(data + 40);
  const uint64_t count = GetFixed<uint32_t>(data + 48);
  meta.body_crc = GetFixed<uint32_t>(data + 52);
  if (kFrameHeaderBytes + count * kFrameEntryBytes > meta.meta_bytes) return {};
  uint64_t control = kFrameHeaderBytes + count * kFrameEntryBytes;
  uint64_t batch = meta.meta_bytes;
  meta.entries.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const char* at = data + kFrameHeaderBytes + i * kFrameEntryBytes;
    FrameEntry entry;
    entry.partition = {{GetFixed<uint64_t>(at)}, GetFixed<int32_t>(at + 8)};
    entry.kind = static_cast<EntryKind>(GetFixed<uint32_t>(at + 12));
    entry.base_offset = {GetFixed<int64_t>(at + 16)};
    entry.records = GetFixed<uint32_t>(at + 24);
    entry.bytes = GetFixed<uint32_t>(at + 28);
    uint64_t& position = entry.kind == EntryKind::kBatch ? batch : control;
    entry.position = static_cast<uint32_t>(position);
    position += entry.bytes;
    meta.entries.push_back(entry);
  }
  if (control > meta.meta_bytes) return {};
  if (batch + meta.meta_bytes + kFrameFooterBytes > meta.frame_bytes) return {};
  if (meta.frame_bytes % kFrameAlignment != 0) return {};
  return meta;
}

std::optional<FrameFooter> DecodeFrameFooter(std::string_view block) {
  if (block.size() < kFrameFooterBytes) return {};
  const std::string_view footer = block.substr(block.size() - kFrameFooterBytes);
  const char* data = footer.data();
  if (GetFixed<uint32_t>(data + 24) != kFooterMagic) return {};
  if (GetFixed<uint32_t>(data + 28) != FooterCrc(footer)) return {};
  return FrameFooter{
      GetFixed<uint64_t>(data), {GetFixed<uint64_t>(data + 8)}, GetFixed<uint32_t>(data + 16)};
}

std::optional<FrameMeta> DecodeFrameMetaCopy(std::string_view bytes) {
  const std::optional<FrameFooter> footer = DecodeFrameFooter(bytes);
  if (!footer || footer->meta_bytes + kFrameFooterBytes > bytes.size()) return {};
  return DecodeFrameHeader(
      bytes.substr(bytes.size() - kFrameFooterBytes - footer->meta_bytes, footer->meta_bytes));
}

bool BodyIsIntact(const FrameMeta& meta, std::string_view bytes) {
  uint64_t batch_bytes = 0;
  for (const FrameEntry& entry : meta.entries) {
    if (entry.kind == EntryKind::kBatch) batch_bytes += entry.bytes;
  }
  return Crc32c(bytes.substr(meta.meta_bytes, batch_bytes)) == meta.body_crc;
}

}  // namespace millrace::log
