// A Segment is one stretch of a partition: `<base offset>.log` holds the batches, byte for byte,
// one behind the other;
// `<base offset>.frames` says of each batch where it lies, which offsets it holds, in which frame
// it was appended and when. The .frames file is primary data (nothing else knows the frame), and at
// the same time a dense index: entries have one size, so offsets and times are found by binary
// search in the file, without an index to load or rebuild. Layout: docs/formats/segment.md.
//
// Thread rule: one writer (the background thread) appends and syncs; any number of readers. A
// reader sees the entries that were there when it looked. Files are opened on demand and held by
// SegmentFiles, which bounds their number.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "log/frame.h"
#include "log/log.h"

namespace millrace::log {

inline constexpr size_t kSegmentEntryBytes = 48;
inline constexpr size_t kSegmentHeaderBytes = 48;
inline constexpr uint64_t kFirstAllocationBytes = 64 << 10;
// SegmentEntry::index_in_frame of an entry without bytes whose records compaction has removed.
inline constexpr uint32_t kRemovedIndex = UINT32_MAX;

struct SegmentEntry {
  Offset base_offset;
  uint32_t records = 0;
  uint64_t position = 0;  // in the .log file
  uint32_t bytes = 0;     // 0: the batch was lost to damage before it came here, or removed
  FrameSequence frame;
  uint32_t index_in_frame = 0;
  Micros clock;
  Millis max_timestamp;

  Offset next_offset() const { return base_offset + records; }
  bool removed() const { return bytes == 0 && index_in_frame == kRemovedIndex; }
};

// How often a segment was compacted, and when first. The .log of a compacted one has the version in
// its name, so that replacing .frames, whose header tells it, replaces both in one step.
struct SegmentVersion {
  uint32_t number = 0;
  std::optional<Micros> compacted_at = {};
};

// As they stand in .frames.
std::string EncodeSegmentHeader(PartitionId partition, Offset base,
                                const SegmentVersion& version = {});
// nullopt: damaged.
std::optional<SegmentVersion> DecodeSegmentHeader(std::string_view header);
void PutSegmentEntry(std::string& out, const SegmentEntry& entry, Offset segment_base);

struct SegmentHandles {
  std::unique_ptr<File> log;
  std::unique_ptr<File> direct;  // writer only: the same file, opened when first needed
  std::unique_ptr<File> frames;
};

class Segment;

// Keeps the files of at most `segments_max` segments open, the least recently used closed first.
// Handles that somebody holds stay open beyond that. Thread-safe.
class SegmentFiles {
 public:
  SegmentFiles(Files& files, size_t segments_max, uint64_t direct_bytes_min)
      : files_(files), segments_max_(segments_max), direct_bytes_min_(direct_bytes_min) {}
  Result<std::shared_ptr<SegmentHandles>> Get(const Segment& segment);
  void Forget(const Segment& segment);
  // Its files stay open as long as it lives: others are about to take their names.
  Status Retire(const Segment& segment);
  size_t open_count() const;
  Files& files() { return files_; }
  size_t segments_max() const { return segments_max_; }
  // So much in one piece is written past the page cache.
  uint64_t direct_bytes_min() const { return direct_bytes_min_; }
  // Aligned memory for that. Of the background thread.
  FrameBuffer& staging();

 private:
  Files& files_;
  const size_t segments_max_;
  const uint64_t direct_bytes_min_;
  std::unique_ptr<FrameBuffer> staging_;
  mutable std::mutex mutex_;
  std::list<const Segment*> used_;  // the latest first
};

class Segment {
 public:
  // A new, empty one. Its files are made; their names are durable after SyncDirectory of the
  // folder.
  static Result<std::shared_ptr<Segment>> Create(SegmentFiles& files, const std::string& directory,
                                                 PartitionId partition, Offset base);
  // An existing one: `entry_count` entries and `log_bytes` bytes are known to be whole, what lies
  // behind is cut off.
  static Result<std::shared_ptr<Segment>> OpenActive(SegmentFiles& files,
                                                     const std::string& directory, Offset base,
                                                     uint64_t log_bytes, uint64_t entry_count);
  // An existing one that takes no more batches.
  static Result<std::shared_ptr<Segment>> OpenClosed(SegmentFiles& files,
                                                     const std::string& directory, Offset base,
                                                     uint32_t version);
  ~Segment();

  Offset base() const { return base_; }
  uint64_t log_bytes() const { return log_bytes_.load(std::memory_order_acquire); }
  uint64_t entry_count() const { return entry_count_.load(std::memory_order_acquire); }
  const SegmentVersion& version() const { return version_; }
  // Before other files take the names of its own: who reads it reads on.
  Status Retire() const { return files_.Retire(*this); }
  std::string log_path() const { return LogPath(version_.number); }
  std::string LogPath(uint32_t version) const {
    return version == 0 ? path_ + ".log" : fmt::format("{}.{}.log", path_, version);
  }
  std::string frames_path() const { return path_ + ".frames"; }
  // The aborted transactions whose markers stand here (transactions.h); absent where there are
  // none.
  std::string aborted_path() const { return path_ + ".aborted"; }

  // ---- The writer ----

  // Appends batches with their entries, whose positions are filled in here. `allocation_max`: the
  // size that a full segment has. After a failure with kOverloaded (disk full) the same call may be
  // repeated.
  Status Append(std::span<const std::string_view> batches, std::span<SegmentEntry> entries,
                uint64_t allocation_max);
  // Entries count offsets and bytes from the segment's start in 32 bits.
  bool Holds(const SegmentEntry& entry) const { return entry.base_offset - base_ <= INT32_MAX; }
  bool dirty() const { return pinned_ != nullptr; }
  // Makes everything appended so far durable. Never to be repeated after a failure.
  Status Sync();
  // Gives back what was reserved beyond the end.
  Status Close();
  // Removes the files; readers that hold the segment read on.
  Status Remove();

  // ---- Readers ----

  struct Content {
    std::shared_ptr<char[]> bytes;
    std::vector<ReadBatch> batches;
    std::vector<DamagedRange> damaged;
    Offset next;
  };
  // Batches from the one that holds `from` on. REQUIRES: base() <= from < end. `end`: first offset
  // behind the segment.
  Result<Content> Read(Offset from, Offset until, size_t bytes_max, Offset end) const;
  // Clock of the first and last entry, for retention and rolling. kCorruption where damaged.
  Result<SegmentEntry> FirstEntry() const { return ReadEntry(0); }
  Result<SegmentEntry> LastEntry() const { return ReadEntry(entry_count() - 1); }
  // First entry that satisfies a predicate that is false up to some entry and true from there on.
  // nullopt: none.
  using EntryPredicate = std::function<bool(const SegmentEntry&)>;
  Result<std::optional<SegmentEntry>> FirstWhere(const EntryPredicate& predicate) const;
  // The same for a predicate without order, by looking at each entry.
  Result<std::optional<SegmentEntry>> ScanFor(const EntryPredicate& predicate) const;

 private:
  friend class SegmentFiles;
  Segment(SegmentFiles& files, const std::string& directory, Offset base);

  Status WriteBatches(std::span<const std::string_view> pieces, uint64_t start, uint64_t end);
  Status WriteDirect(std::span<const std::string_view> pieces, uint64_t start);
  Result<SegmentEntry> ReadEntry(uint64_t index) const;
  // Entries [first, first + count), each nullopt where damaged.
  Result<std::vector<std::optional<SegmentEntry>>> ReadEntries(uint64_t first,
                                                               uint64_t count) const;
  struct Hit {
    uint64_t index;
    SegmentEntry entry;
  };
  // First whole entry of which the predicate is true; see FirstWhere.
  Result<std::optional<Hit>> Search(const EntryPredicate& predicate) const;
  Result<std::optional<Hit>> FindEntry(Offset offset) const;
  struct Plan {
    std::vector<SegmentEntry> entries;
    std::vector<DamagedRange> damaged;
    Offset next;
  };
  Result<Plan> PlanRead(Offset from, Offset until, size_t bytes_max, Offset end) const;

  SegmentFiles& files_;
  const Offset base_;
  const std::string path_;  // without extension
  std::atomic<uint64_t> log_bytes_{0};
  std::atomic<uint64_t> entry_count_{0};
  mutable std::atomic<uint64_t> next_entry_hint_{0};  // where the last reader stopped

  uint64_t allocated_bytes_ = 0;  // writer only
  std::shared_ptr<SegmentHandles>
      pinned_;              // writer only: open from the first unsynced append to the sync
  SegmentVersion version_;  // set by OpenClosed
  mutable std::shared_ptr<SegmentHandles> handles_;  // guarded by SegmentFiles::mutex_
  mutable std::shared_ptr<SegmentHandles> retired_;  // guarded by SegmentFiles::mutex_
  mutable std::list<const Segment*>::iterator used_at_;
};

// "00000000000000000042"
std::string SegmentName(Offset base);

}  // namespace millrace::log
