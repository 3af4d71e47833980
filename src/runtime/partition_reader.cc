#include "runtime/partition_reader.h"

#include <algorithm>

#include "base/logging.h"

namespace millrace::runtime {

namespace {
int64_t Records(const log::ReadBatch& batch) { return batch.last_offset - batch.base_offset + 1; }
}  // namespace

Status PartitionReader::Fill(log::Offset end, size_t bytes_max, int64_t records_max) {
  while (read_next_ < end &&
         (buffered_.empty() || (buffered_bytes_ < bytes_max && buffered_records_ < records_max))) {
    const size_t room = bytes_max > buffered_bytes_ ? bytes_max - buffered_bytes_ : 1;
    TRY(log::ReadResult read, log_.Read(partition_, {.from = read_next_,
                                                     .until = end,
                                                     .bytes_max = room,
                                                     .unpack = true,
                                                     .committed_only = true}));
    if (read.next <= read_next_) break;
    for (const log::DamagedRange& damaged : read.damaged) {
      const int64_t count = damaged.last - damaged.first + 1;
      damaged_records_ += count;
      LOG_ERROR("records lost to damage on disk are passed over",
                "partition={} first={} last={} reason={}", partition_.partition,
                damaged.first.value, damaged.last.value, damaged.reason);
    }
    Buffer(read);
    aborted_.insert(aborted_.end(), read.aborted.begin(), read.aborted.end());
    holds_.push_back({read.next, std::move(read.holds)});
    read_next_ = read.next;
  }
  return Ok();
}

void PartitionReader::Buffer(const log::ReadResult& read) {
  auto marker = read.markers.begin();
  const auto end_below = [&](log::Offset offset) {
    for (; marker != read.markers.end() && marker->offset < offset; ++marker)
      EndTransaction(*marker);
  };
  for (const log::ReadBatch& batch : read.batches) {
    end_below(batch.base_offset);
    const bool transactional =
        (log::BatchAttributes(batch.bytes.data()) & log::kTransactionalBit) != 0;
    if (transactional)
      open_[log::ProducerId(batch.bytes.data())].push_back(taken_ + buffered_.size());
    read_frame_ = batch.frame;
    buffered_bytes_ += batch.bytes.size();
    buffered_records_ += Records(batch);
    buffered_.push_back({batch, transactional ? kOpen : batch.frame});
  }
  end_below(read.next);
}

void PartitionReader::EndTransaction(const log::Marker& marker) {
  read_frame_ = marker.frame;
  const auto open = open_.find(marker.producer_id);
  if (open == open_.end()) return;
  for (const uint64_t batch : open->second) {
    if (batch >= taken_) buffered_[batch - taken_].visible = marker.frame;
  }
  open_.erase(open);
}

void PartitionReader::SplitTransactions() {
  for (Buffered& buffered : buffered_) {
    if (buffered.visible == kOpen) buffered.visible = buffered.batch.frame;
  }
  open_.clear();
}

PartitionSlice PartitionReader::Take(log::FrameSequence frame, std::optional<log::Offset> end) {
  PartitionSlice slice;
  slice.partition = known_as_;
  slice.begin = next_;
  while (!buffered_.empty() && buffered_.front().visible <= frame) {
    const log::ReadBatch& batch = buffered_.front().batch;
    slice.records += Records(batch);
    next_ = batch.last_offset + 1;
    buffered_bytes_ -= batch.bytes.size();
    buffered_records_ -= Records(batch);
    slice.batches.push_back(batch);
    buffered_.pop_front();
    ++taken_;
  }
  if (end && buffered_.empty()) next_ = std::max(next_, *end);
  slice.end = next_;
  for (; !aborted_.empty() && aborted_.front().first < next_; aborted_.pop_front())
    slice.aborted += aborted_.front().last - aborted_.front().first + 1;
  // The step shares the memory; what holds nothing buffered any more goes with it.
  for (const Hold& hold : holds_)
    slice.holds.insert(slice.holds.end(), hold.memory.begin(), hold.memory.end());
  while (!holds_.empty() && holds_.front().until <= next_) holds_.pop_front();
  return slice;
}

}  // namespace millrace::runtime
