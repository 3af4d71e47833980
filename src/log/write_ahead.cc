#include "log/write_ahead.h"

#include <algorithm>
#include <cstring>

namespace millrace::log {
namespace {

constexpr uint64_t kScanBytes = 1 << 20;
static_assert(kScanBytes % kFrameAlignment == 0);
static_assert(kFrameAlignment % kDirectAlignment == 0);

constexpr uint64_t kFirstBytes = 1 << 20;  // of a new file, at most
constexpr uint64_t kGrowFactor = 4;
constexpr uint64_t kZeroBytes = 1 << 20;  // of one write of zeros
static_assert(kZeroBytes % kFrameAlignment == 0);

// Puts the copy of the meta in place of the damaged one: entries' payloads are read from the front.
void RestoreFront(Frame& frame) {
  const uint32_t meta_bytes = frame.meta.meta_bytes;
  char* const data = frame.buffer->data();
  std::memcpy(data, data + frame.meta.frame_bytes - kFrameFooterBytes - meta_bytes, meta_bytes);
}

}  // namespace

Result<std::unique_ptr<WriteAhead>> WriteAhead::Open(Files& files, const std::string& path,
                                                     uint64_t bytes_max) {
  TRY(auto file, files.Open(path, OpenMode::kCreate));
  TRY(const uint64_t size, file->Size());
  TRY(files.SyncDirectory(ParentOf(path)));
  TRY(auto direct, files.Open(path, OpenMode::kDirect));
  // A last piece that was cut short leaves part of a block: it does not count as written.
  const uint64_t whole = size / kFrameAlignment * kFrameAlignment;
  return std::unique_ptr<WriteAhead>(
      new WriteAhead(std::move(file), std::move(direct), whole, bytes_max));
}

std::optional<uint64_t> WriteAhead::Place(uint64_t frame_bytes) const {
  const bool wrapped = live_bytes_ > 0 && head_ <= tail_;
  if (wrapped) {
    if (head_ + frame_bytes <= tail_) return head_;
    return std::nullopt;
  }
  if (head_ + frame_bytes <= size_) return head_;
  if (frame_bytes <= (live_bytes_ == 0 ? size_ : tail_)) return 0;
  return std::nullopt;
}

bool WriteAhead::HasRoom(uint64_t frame_bytes) const {
  std::lock_guard lock(mutex_);
  return Place(frame_bytes).has_value();
}

Status WriteAhead::Append(Frame& frame) {
  uint64_t position;
  {
    std::lock_guard lock(mutex_);
    const std::optional<uint64_t> place = Place(frame.meta.frame_bytes);
    CHECK(place.has_value()) << "no room in the write-ahead file";
    position = *place;
  }
  TRY(direct_->Write(frame.bytes(), position));
  frame.write_ahead_position = position;
  std::lock_guard lock(mutex_);
  // A concurrent Release only frees more. When all was freed meanwhile, this frame is the oldest.
  if (live_bytes_ == 0) tail_ = position;
  head_ = position + frame.meta.frame_bytes;
  live_bytes_ += frame.meta.frame_bytes;
  last_ = frame.meta.sequence;
  return Ok();
}

void WriteAhead::Release(uint64_t position, FrameSequence next) {
  std::lock_guard lock(mutex_);
  if (live_bytes_ == 0) return;
  if (next > last_) {
    live_bytes_ = 0;
    return;
  }
  // Frames lie from tail_ up, and after going round from 0 up to head_.
  tail_ = position;
  live_bytes_ = position < head_ ? head_ - position : (size_ - position) + head_;
}

bool WriteAhead::WantsToGrow() const {
  std::lock_guard lock(mutex_);
  return size_ < bytes_max_ && live_bytes_ > size_ / 4;
}

Status WriteAhead::Grow(uint64_t frame_bytes) {
  uint64_t size = file_bytes();
  uint64_t wanted =
      std::max({std::min(kFirstBytes, bytes_max_ / 4), size * kGrowFactor, frame_bytes});
  wanted = std::min(wanted, bytes_max_) / kFrameAlignment * kFrameAlignment;
  if (size >= wanted) return Ok();
  FrameBuffer zeros(std::min(kZeroBytes, wanted - size));
  std::memset(zeros.data(), 0, zeros.size());
  while (size < wanted) {
    const uint64_t piece = std::min<uint64_t>(zeros.size(), wanted - size);
    TRY(direct_->Write({zeros.data(), piece}, size));
    size += piece;
    std::lock_guard lock(mutex_);
    size_ = size;
  }
  return Ok();
}

uint64_t WriteAhead::live_bytes() const {
  std::lock_guard lock(mutex_);
  return live_bytes_;
}

uint64_t WriteAhead::file_bytes() const {
  std::lock_guard lock(mutex_);
  return size_;
}

Result<std::optional<FrameMeta>> WriteAhead::ReadMeta(uint64_t position) const {
  if (position + kFrameAlignment > size_) return std::optional<FrameMeta>();
  std::string bytes(kFrameAlignment, '\0');
  TRY(const size_t read, file_->Read(bytes.data(), bytes.size(), position));
  bytes.resize(read);
  const std::optional<uint32_t> meta_bytes = PeekMetaBytes(bytes);
  if (!meta_bytes || position + *meta_bytes > size_) return std::optional<FrameMeta>();
  if (*meta_bytes > bytes.size()) {
    bytes.resize(*meta_bytes);
    TRY(const size_t more, file_->Read(bytes.data(), bytes.size(), position));
    bytes.resize(more);
  }
  std::optional<FrameMeta> meta = DecodeFrameHeader(bytes);
  if (meta && position + meta->frame_bytes > size_) meta.reset();
  return meta;
}

Result<std::optional<WriteAhead::Found>> WriteAhead::Find(const ReplayFrom& from) const {
  for (const uint64_t position : {from.position, uint64_t{0}}) {
    TRY(auto meta, ReadMeta(position));
    if (meta && meta->generation == from.generation && meta->sequence == from.next) {
      return std::optional<Found>({position, std::move(*meta)});
    }
  }
  return std::optional<Found>();
}

// The earliest frame after the wanted one that knows it was durable.
Result<std::optional<WriteAhead::Found>> WriteAhead::FindLater(const ReplayFrom& from) const {
  std::optional<Found> best;
  std::string bytes(kScanBytes, '\0');
  for (uint64_t start = 0; start < size_; start += kScanBytes) {
    TRY(const size_t read, file_->Read(bytes.data(), bytes.size(), start));
    for (size_t at = 0; at + kFrameHeaderBytes <= read; at += kFrameAlignment) {
      if (!PeekMetaBytes(std::string_view(bytes).substr(at, kFrameHeaderBytes))) continue;
      TRY(auto meta, ReadMeta(start + at));
      if (!meta || meta->generation != from.generation) continue;
      if (meta->sequence <= from.next || meta->durable < from.next) continue;
      if (best && best->meta.sequence <= meta->sequence) continue;
      best = Found{start + at, std::move(*meta)};
    }
  }
  return best;
}

// The wanted frame by the copy of its meta at its end, where its front is damaged.
Result<std::optional<WriteAhead::Found>> WriteAhead::FindByFooter(const ReplayFrom& from) const {
  std::string bytes(kScanBytes, '\0');
  for (uint64_t start = 0; start < size_; start += kScanBytes) {
    TRY(const size_t read, file_->Read(bytes.data(), bytes.size(), start));
    for (size_t end = kFrameAlignment; end <= read; end += kFrameAlignment) {
      const auto footer = DecodeFrameFooter(std::string_view(bytes).substr(0, end));
      if (!footer || footer->generation != from.generation || footer->sequence != from.next) {
        continue;
      }
      const uint64_t copy_bytes = footer->meta_bytes + kFrameFooterBytes;
      if (copy_bytes > start + end) continue;
      std::string copy(copy_bytes, '\0');
      TRY(const size_t got, file_->Read(copy.data(), copy.size(), start + end - copy_bytes));
      if (got < copy.size()) continue;
      auto meta = DecodeFrameMetaCopy(copy);
      if (!meta || meta->frame_bytes > start + end) continue;
      return std::optional<Found>({start + end - meta->frame_bytes, std::move(*meta)});
    }
  }
  return std::optional<Found>();
}

Result<std::shared_ptr<Frame>> WriteAhead::ReadFrame(Found found) const {
  auto frame = std::make_shared<Frame>();
  frame->write_ahead_position = found.position;
  frame->meta = std::move(found.meta);
  frame->buffer = std::make_unique<FrameBuffer>(frame->meta.frame_bytes);
  TRY(const size_t read, file_->Read(frame->buffer->data(), frame->buffer->size(), found.position));
  if (read < frame->buffer->size()) {
    return Error(Code::kIo, "write-ahead file: {} of {} bytes at {}", read, frame->buffer->size(),
                 found.position);
  }
  return frame;
}

Result<WriteAhead::Replayed> WriteAhead::Replay(const ReplayFrom& start, const OnFrame& on_frame) {
  ReplayFrom from = start;
  Replayed replayed;
  replayed.last = {from.next.value - 1};
  for (;;) {
    TRY(auto found, Find(from));
    if (found) {
      TRY(auto frame, ReadFrame(std::move(*found)));
      const bool intact = BodyIsIntact(frame->meta, frame->bytes());
      if (!intact) {
        TRY(const auto later, FindLater(from));
        if (!later) {
          replayed.torn = true;
          return replayed;
        }
      }
      replayed.last = from.next;
      from.next.value += 1;
      from.position = frame->write_ahead_end();
      TRY(on_frame(std::move(frame), intact));
      continue;
    }
    TRY(auto later, FindLater(from));
    if (!later) return replayed;
    TRY(auto damaged, FindByFooter(from));
    if (damaged) {
      TRY(auto frame, ReadFrame(std::move(*damaged)));
      RestoreFront(*frame);
      replayed.last = from.next;
      from.next.value += 1;
      from.position = frame->write_ahead_end();
      // The front is damaged, but the copy of the meta is whole: each batch is judged by itself.
      TRY(on_frame(std::move(frame), false));
      continue;
    }
    replayed.lost += later->meta.sequence.value - from.next.value;
    from.next = later->meta.sequence;
    from.position = later->position;
  }
}

}  // namespace millrace::log
