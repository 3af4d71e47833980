// A Frame is one group commit in the write-ahead file: whole append requests and changes of topics,
// in order, made durable by one fdatasync. Layout: docs/formats/write_ahead.md. The description of
// the content (meta) stands at the front and again at the end, so that one damaged place costs no
// more than the batch that it hits.
//
// Frames are immutable once built, and shared by the leader, the background thread and readers.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "log/types.h"

namespace millrace::log {

// Frames begin and end on multiples of it: a frame never shares a disk block or memory page with
// another.
inline constexpr uint64_t kFrameAlignment = 4096;
inline constexpr size_t kFrameHeaderBytes = 64;
inline constexpr size_t kFrameEntryBytes = 32;
inline constexpr size_t kFrameFooterBytes = 32;

enum class EntryKind : uint32_t {
  kBatch = 1,        // payload: one RecordBatch
  kCreateTopic = 2,  // payload: EncodeTopic
  kDeleteTopic = 3,  // no payload
  kAlterTopic = 4,   // payload: EncodeTopic
  kLogStart = 5,     // no payload; base_offset is the partition's new first offset
};

struct FrameEntry {
  PartitionId partition;
  EntryKind kind = EntryKind::kBatch;
  Offset base_offset;
  uint32_t records = 0;
  uint32_t bytes = 0;     // of the payload
  uint32_t position = 0;  // of the payload within the frame; not stored, follows from the order
};

class FrameBuffers;

// Uninitialised memory, aligned as frames are. Goes back to its pool where it has one.
class FrameBuffer {
 public:
  explicit FrameBuffer(size_t size) : FrameBuffer(size, nullptr) {}
  ~FrameBuffer();
  FrameBuffer(const FrameBuffer&) = delete;
  FrameBuffer& operator=(const FrameBuffer&) = delete;
  char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  friend class FrameBuffers;
  FrameBuffer(size_t size, std::shared_ptr<FrameBuffers> pool);

  const std::shared_ptr<FrameBuffers> pool_;
  const size_t size_;
  char* const data_;
};

// Memory of frames that nobody needs any more, for the next ones: memory that is touched for the
// first time costs more than what is written into it. Thread-safe.
class FrameBuffers : public std::enable_shared_from_this<FrameBuffers> {
 public:
  // Keeps at most `bytes_max` for later.
  explicit FrameBuffers(uint64_t bytes_max) : bytes_max_(bytes_max) {}
  ~FrameBuffers();
  std::unique_ptr<FrameBuffer> Take(size_t size);
  uint64_t kept_bytes() const;

 private:
  friend class FrameBuffer;
  char* TakeMemory(size_t capacity);
  void Return(char* memory, size_t capacity);

  const uint64_t bytes_max_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<char*>> kept_;  // by capacity; guarded by mutex_
  uint64_t kept_bytes_ = 0;                    // guarded by mutex_
};

struct FrameMeta {
  uint64_t generation = 0;
  FrameSequence sequence;
  FrameSequence durable;  // known durable when this one was written
  Micros clock;
  uint32_t frame_bytes = 0;  // whole, with footer and padding: a multiple of kFrameAlignment
  uint32_t meta_bytes = 0;   // header, entries and payloads other than batches
  uint32_t body_crc = 0;     // of the batches
  std::vector<FrameEntry> entries;
};

struct Frame {
  FrameMeta meta;
  std::unique_ptr<FrameBuffer> buffer;
  uint64_t write_ahead_position = 0;

  uint64_t write_ahead_end() const { return write_ahead_position + meta.frame_bytes; }
  std::string_view bytes() const { return {buffer->data(), meta.frame_bytes}; }
  std::string_view payload(const FrameEntry& entry) const {
    return {buffer->data() + entry.position, entry.bytes};
  }
  // What the frame takes in memory, with what is kept per batch.
  uint64_t memory_bytes() const { return meta.frame_bytes + meta.entries.size() * 128; }
};

// Collects entries in order; batches may come in pieces anywhere in memory. Not thread-safe.
class FrameBuilder {
 public:
  // `bytes` must stay alive until Build. REQUIRES: they are one whole batch, and its CRC is right:
  // the frame's CRC is computed from it.
  void AddBatch(PartitionId partition, Offset base, uint32_t records, std::string_view bytes);
  void AddControl(EntryKind kind, PartitionId partition, Offset offset, std::string_view payload);
  bool empty() const { return entries_.empty(); }
  // Takes back the entries that were added since entry_count() was `count`. REQUIRES: batches only.
  size_t entry_count() const { return entries_.size(); }
  void Rewind(size_t count);
  // Copies everything into one buffer, with base offsets and `leader_epoch` filled in. The builder
  // is empty afterwards.
  std::shared_ptr<Frame> Build(FrameMeta meta, int32_t leader_epoch, FrameBuffers& buffers);

 private:
  std::vector<FrameEntry> entries_;
  std::vector<std::string_view> payloads_;
  uint64_t control_bytes_ = 0;
  uint64_t batch_bytes_ = 0;
};

// The meta that stands at the front of `bytes`, which need not hold the whole frame but must hold
// its meta. nullopt: there is none, or it is damaged.
std::optional<FrameMeta> DecodeFrameHeader(std::string_view bytes);
// Bytes of meta that a header claims, for reading the rest of it; nullopt: no header. Not yet
// verified.
std::optional<uint32_t> PeekMetaBytes(std::string_view header);

// The footer at the very end of a block. nullopt: there is none.
struct FrameFooter {
  uint64_t generation = 0;
  FrameSequence sequence;
  uint32_t meta_bytes = 0;
};
std::optional<FrameFooter> DecodeFrameFooter(std::string_view block);
// The copy of the meta before the footer, at the end of `bytes`. nullopt: damaged.
std::optional<FrameMeta> DecodeFrameMetaCopy(std::string_view bytes);
// Whether the batches are as written. REQUIRES: `bytes` is the whole frame.
bool BodyIsIntact(const FrameMeta& meta, std::string_view bytes);

}  // namespace millrace::log
