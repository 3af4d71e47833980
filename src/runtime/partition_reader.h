// Reads one partition ahead of the steps, so that a step can take whole frames of it: what was read
// and not taken waits for the next one. Thread rule: owned by the step loop; the batches it gives
// may be read by workers while the step runs.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "base/result.h"
#include "log/log.h"

namespace millrace::runtime {

// Batches of one partition that a step takes, with the memory they stand in.
struct PartitionSlice {
  log::PartitionId partition;
  std::vector<log::ReadBatch> batches;
  std::vector<std::shared_ptr<const void>> holds;
  // The first batch may begin with records below that, which are not taken (they are gone).
  log::Offset begin;
  log::Offset end;  // one after the last record taken; damaged ranges are passed over
  int64_t records = 0;
  int64_t aborted = 0;  // records of aborted transactions that were passed over
};

class PartitionReader {
 public:
  // `known_as`: what its slices are called where that is not the partition itself (a topic may be
  // read by several, each at a place of its own).
  PartitionReader(const log::Log& log, log::PartitionId partition, log::PartitionId known_as,
                  log::Offset next)
      : log_(log), partition_(partition), known_as_(known_as), next_(next), read_next_(next) {}

  log::PartitionId partition() const { return partition_; }

  // Reads ahead until `bytes_max` or `records_max` are buffered or `end` is reached; at least one
  // batch where there is one.
  Status Fill(log::Offset end, size_t bytes_max, int64_t records_max);
  bool empty() const { return buffered_.empty(); }
  // True when everything below `end` is buffered or taken.
  bool Reached(log::Offset end) const { return read_next_ >= end; }
  // What is not read yet stands in no earlier frame than this one. REQUIRES: !empty().
  log::FrameSequence read_frame() const { return read_frame_; }
  size_t buffered_bytes() const { return buffered_bytes_; }
  int64_t buffered_records() const { return buffered_records_; }

  struct Buffered {
    log::ReadBatch batch;
    // With which it is to be seen: its own, or that of the marker that ends its transaction in all
    // partitions at once; kOpen while that marker is not read.
    log::FrameSequence visible;
  };
  static constexpr log::FrameSequence kOpen{UINT64_MAX};
  const std::deque<Buffered>& buffered() const { return buffered_; }
  log::FrameSequence first_visible() const { return buffered_.front().visible; }
  // The transactions whose markers are not read are to be seen piece by piece, with the frames of
  // their batches.
  void SplitTransactions();
  // Damaged ranges below what is buffered were passed over.
  int64_t damaged_records() const { return damaged_records_; }

  // Takes the buffered batches up to the first that is not to be seen with `frame`. With `end`:
  // everything below it is then taken, damage at its edge too.
  PartitionSlice Take(log::FrameSequence frame, std::optional<log::Offset> end);

  log::Offset next() const { return next_; }

 private:
  struct Hold {
    log::Offset until;  // holds the memory of batches below it
    std::vector<std::shared_ptr<const void>> memory;
  };

  void Buffer(const log::ReadResult& read);
  void EndTransaction(const log::Marker& marker);

  const log::Log& log_;
  const log::PartitionId partition_;
  const log::PartitionId known_as_;
  log::Offset next_;       // first record not taken
  log::Offset read_next_;  // first record not read
  log::FrameSequence read_frame_{0};
  std::deque<Buffered> buffered_;
  uint64_t taken_ = 0;  // batches, so that buffered_[i] is the batch taken_ + i
  std::map<int64_t, std::vector<uint64_t>> open_;  // by producer: the batches that are kOpen
  std::deque<log::OffsetRange> aborted_;           // below read_next_, not counted in a slice
  std::deque<Hold> holds_;
  size_t buffered_bytes_ = 0;
  int64_t buffered_records_ = 0;
  int64_t damaged_records_ = 0;
};

}  // namespace millrace::runtime
