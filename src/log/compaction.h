// Compaction of a partition whose records are values of their keys: what a newer record of the same
// key has made useless is taken out of closed segments, in two phases,
//
//   map      the newest offset of every key in the segments that were not compacted yet
//   rewrite  each segment from the oldest on, without the records that the map knows newer ones of
//
// one segment at a time (Step), since the background thread has segments to fill in between. What
// stays keeps its offsets, batches their header; the place of what goes is an entry without bytes.
//
// - Only segments that recovery takes as they are, and below the last stable offset: never the
//   active one. What was aborted goes; markers stay, as clients need them.
// - A record that deletes its key stays until `delete_retention` after its segment was compacted
//   first, so that a reader who saw the value before sees it too; and as long as an older batch
//   cannot be looked into.
// - A compressed batch out of which records go is kept unpacked; one that does not unpack stays.
// - Segments are not merged.
//
// What producers are known to have sent is in the checkpoint, so nothing is kept for their sake.
// Background thread only.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "log/partition.h"

namespace millrace::log {

class Compaction {
 public:
  // nullptr: not enough has come since the last time to be worth it.
  static std::unique_ptr<Compaction> Begin(std::shared_ptr<Partition> partition,
                                           const TopicConfig& config);

  enum class Progress { kGoesOn, kSegmentDone, kDone };
  // The next segment of the phase. After an error nothing has changed, unless
  // decided().
  Result<Progress> Step(Micros now);
  // Whether the last error came amid the replacing of a segment, which the next
  // start finishes.
  bool decided() const { return decided_; }
  // Removes what an error has left.
  void Abandon();
  const std::shared_ptr<Partition>& partition() const { return partition_; }

 private:
  using ClosedSegment = Partition::ClosedSegment;
  Compaction(std::shared_ptr<Partition> partition, std::chrono::milliseconds delete_retention)
      : partition_(std::move(partition)), delete_retention_(delete_retention) {}

  Status Map(const ClosedSegment& closed);
  Result<Progress> Rewrite(const ClosedSegment& closed, Micros now);
  Result<bool> DropsAny(const ClosedSegment& closed, bool tombstones_go);
  enum class Fate {
    kStands,
    kAborted,
    kUnknown,  // lost to damage: it stays, and takes nothing else's place
  };
  Result<Fate> FateOf(const ReadBatch& batch) const;
  bool Keeps(const RecordView& record, bool tombstones_go) const;
  // The batch as it stays; empty: it goes.
  Result<std::string> Filter(const ReadBatch& batch, bool tombstones_go);

  const std::shared_ptr<Partition> partition_;
  const std::chrono::milliseconds delete_retention_;
  std::vector<ClosedSegment> segments_;  // the oldest first
  size_t next_ = 0;
  bool mapping_ = true;
  std::unordered_map<std::string, Offset> newest_;
  uint64_t key_bytes_ = 0;
  bool unreadable_ = false;  // a batch that was passed in this phase could not be looked into
  bool decided_ = false;
};

}  // namespace millrace::log
