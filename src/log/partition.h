// A Partition is one dense sequence of records: closed segments, the active segment, and the tail,
// which is the newest frames' batches in memory. The leader publishes durable batches to the tail;
// the background thread fills them into segments and then drops them from the tail's front. So a
// reader finds every offset in the tail or in a segment.
//
// Thread rule: members marked "leader" belong to who writes the frame, "background" to that thread;
// everything else may be called from any.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "log/checkpoint.h"
#include "log/frame.h"
#include "log/producers.h"
#include "log/segment.h"

namespace millrace::log {

// nullopt: not a segment's file.
std::optional<Offset> SegmentBaseOf(std::string_view name);

class Partition {
 public:
  // A new, empty one. `directory` is made when the first segment is.
  Partition(SegmentFiles& files, std::string topic, PartitionId id, std::string directory);
  // One that a checkpoint describes. Segments that lie behind it are removed: the write-ahead file
  // has them.
  static Result<std::shared_ptr<Partition>> Open(SegmentFiles& files, std::string topic,
                                                 PartitionId id, std::string directory,
                                                 const PartitionState& state);

  PartitionId id() const { return id_; }
  const std::string& topic() const { return topic_; }

  // What of the topic's configuration an append must keep to.
  void SetConfig(const TopicConfig& config);
  uint32_t max_message_bytes() const { return max_message_bytes_; }
  bool compact() const { return compact_; }
  bool append_time() const { return append_time_; }
  std::chrono::milliseconds sync_delay_max() const { return sync_delay_max_.load(); }

  struct Range {
    Offset start;
    Offset end;
    Offset stable;
  };
  Range range() const;
  uint64_t bytes() const;  // of its segments

  Result<ReadResult> Read(const ReadOptions& options) const;
  Result<Offset> OffsetForAppendTime(Micros time) const;
  Result<Offset> OffsetForTimestamp(Millis timestamp) const;
  void SetFreeFloor(Offset floor);
  // What is durable of a producer.
  ProducerState FindProducer(int64_t producer_id) const;
  Result<std::vector<AbortedTransaction>> AbortedTransactions(Offset from, Offset to) const;
  void AddOpenTransactions(std::vector<OpenTransaction>& to) const;
  // Stretches of which it is not known any more which transactions were aborted.
  const std::vector<DamagedRange>& lost_transactions() const { return lost_transactions_; }

  // ---- Leader ----

  Offset next_offset;    // leader: of the next record to be written; ahead of range().end until
                         // what is written is synced
  bool dropped = false;  // leader: the topic was deleted

  // Makes a durable batch of `frame` visible. `data` points into the frame.
  void Publish(const std::shared_ptr<const Frame>& frame, const FrameEntry& entry,
               uint32_t index_in_frame);
  void PublishStart(Offset start);
  // Records that recovery found lost: readers see a hole. REQUIRES: to > range().end; only during
  // recovery.
  void PublishHole(Offset to);
  // The end of recovery: appends go on at the end.
  void FinishReplay();

  // ---- Background ----

  // Collects a batch of a frame for the next Fill; `batch` must stay alive until then. Empty: a
  // hole.
  void Collect(const SegmentEntry& entry, std::string_view batch);
  bool has_collected() const { return !collected_entries_.empty(); }
  // Appends what was collected to the segments, rolling as needed. What a full disk left over stays
  // collected. `segment_bytes`: where the topic says nothing else.
  Status Fill(uint64_t segment_bytes);
  // Drops the tail's batches of frames up to `sequence`. REQUIRES: they are filled.
  void DropTail(FrameSequence sequence);
  // Begins a new segment with the next batch when the active one began before `time`.
  Status RollIfOlder(Micros time);
  // Syncs what is unsynced, with the names of new files. Returns the number of files synced.
  Result<uint64_t> Sync();
  // Writes the aborted transactions that are filled to the files beside their segments, durably.
  // May be repeated after a failure with kOverloaded.
  Status StoreAborted();
  bool dirty() const { return !unsynced_.empty(); }
  size_t unsynced_segments() const { return unsynced_.size(); }
  // Where the synced content ends. REQUIRES: !dirty().
  PartitionState State();
  // Forgets producers whose last batch is older.
  void ExpireProducers(Micros before);
  // The first offset that retention would leave: segments older than `append_time_min` or beyond
  // `bytes_max` go, up to the floor, never the active one.
  Result<Offset> RetentionStart(std::optional<Micros> append_time_min,
                                std::optional<uint64_t> bytes_max) const;
  // Removes closed segments that lie wholly below the start. Returns how many.
  Result<uint64_t> RemoveSegmentsBelowStart();

  // ---- Background: compaction (partition_compact.cc) ----

  // The checkpoint that holds what State() last said is durable.
  void CheckpointWritten() { closed_end_ = state_active_; }
  struct ClosedSegment {
    std::shared_ptr<Segment> segment;
    Offset end;
  };
  // Closed segments that recovery takes as they are and whose transactions have all ended, the
  // oldest first.
  std::vector<ClosedSegment> CompactableSegments() const;
  // Puts `.frames.clean`, which is synced as its .log is, in place of the segment's own, and with
  // it the next version. A crash leaves the old ones or the new. REQUIRES: the segment is retired.
  Status SwapIn(const std::shared_ptr<Segment>& segment);
  const std::string& directory() const { return directory_; }
  SegmentFiles& segment_files() const { return files_; }

 private:
  struct TailBatch {
    const char* data;
    uint32_t bytes;  // 0: a hole
    uint32_t index_in_frame;
    Offset base_offset;
    Offset next_offset;
    std::shared_ptr<const Frame> frame;
  };
  using Segments = std::map<Offset, std::shared_ptr<Segment>>;

  Error OutOfRange(Offset from) const;
  ReadResult ReadTail(const ReadOptions& options, ReadResult result) const;
  void KeepCommitted(ReadResult& result) const;
  // At the start: which version of each segment counts; removes the other files that a crash amid
  // compaction has left.
  static Result<std::map<Offset, uint32_t>> ChooseVersions(Files& files,
                                                           const std::string& directory);
  Status LoadAborted(const std::vector<std::string>& names, Offset end);
  // The segment that holds `offset`, and the first offset behind it. nullptr: none does.
  std::pair<std::shared_ptr<Segment>, Offset> SegmentFor(Offset offset) const;
  std::vector<std::shared_ptr<Segment>> SegmentsCopy() const;
  Status Roll(Offset base);
  // Removes the files of segments that begin behind `last`; nullopt: of all.
  Status RemoveFilesBehind(std::optional<Offset> last);

  SegmentFiles& files_;
  const std::string topic_;
  const PartitionId id_;
  const std::string directory_;
  std::atomic<uint32_t> max_message_bytes_{UINT32_MAX};
  std::atomic<bool> compact_{false};
  std::atomic<bool> append_time_{false};
  std::atomic<uint64_t> segment_bytes_{0};  // 0: as Fill says
  std::atomic<std::chrono::milliseconds> sync_delay_max_{std::chrono::milliseconds(0)};
  std::vector<DamagedRange> lost_transactions_;  // as they were at the start

  mutable std::mutex mutex_;
  Offset start_;                 // guarded by mutex_
  Offset end_;                   // guarded by mutex_
  std::optional<Offset> floor_;  // guarded by mutex_
  std::deque<TailBatch> tail_;   // guarded by mutex_; dense, ends at end_
  Producers producers_;          // guarded by mutex_
  Segments segments_;            // guarded by mutex_; changed by the background thread only

  // Background:
  std::vector<SegmentEntry> collected_entries_;
  std::vector<std::string_view> collected_batches_;
  std::shared_ptr<Segment> active_;
  Offset filled_;          // one after the last record in the segments
  Offset state_active_;    // base of the active segment when State() looked
  Offset closed_end_;      // where it was in the durable checkpoint: segments before it are closed
  Offset aborted_stored_;  // aborted transactions whose markers lie below it are in files
  std::vector<std::shared_ptr<Segment>> unsynced_;
  bool new_names_ = false;
  bool roll_next_ = false;
};

}  // namespace millrace::log
