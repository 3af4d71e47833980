// A Checkpoint says what recovery may rely on: every topic, and per partition how far its segments
// are synced. Frames of the write-ahead file before `next_sequence` are not needed any more. It
// stands in wal/checkpoint, twice in one file, each copy with its own checksum. Layout:
// docs/formats/write_ahead.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "base/result.h"
#include "log/log.h"

namespace millrace::log {

// Where a partition's synced content ends.
struct PartitionState {
  Offset start;  // first available offset
  Offset end;    // one after the last synced record
  std::optional<Offset>
      active;                // base offset of the active segment; nullopt: there is no segment yet
  uint64_t log_bytes = 0;    // of the active segment's .log
  uint64_t entry_count = 0;  // of the active segment's .frames
  std::string producers = {};  // Producers::Encoded; may know of batches at or behind `end`
};

struct TopicState {
  TopicInfo info;
  std::vector<PartitionState> partitions;
};

struct Checkpoint {
  uint64_t generation = 0;  // of the frames behind it
  uint64_t position =
      0;  // in the write-ahead file, of the first frame behind it (unless that is at 0)
  FrameSequence next_sequence;  // of that frame
  Micros clock;                 // of the last frame
  int32_t leader_epoch = 0;
  bool clean = false;  // written by Close
  std::vector<TopicState> topics;
};

std::string EncodeCheckpoint(const Checkpoint& checkpoint);
Result<Checkpoint> DecodeCheckpoint(std::string_view bytes);

// A topic as the payload of a frame entry and in the file log/<topic>/topic.
std::string EncodeTopic(const TopicInfo& topic);
Result<TopicInfo> DecodeTopic(std::string_view bytes);

}  // namespace millrace::log
