// Numbers of the log that must not mix.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace millrace::log {

// One incarnation of a topic: a topic that is deleted and made again under the same name is another
// one. Never 0.
struct TopicId {
  uint64_t value = 0;
  auto operator<=>(const TopicId&) const = default;
};

// Partitions count from 0 within their topic.
struct PartitionId {
  TopicId topic;
  int32_t partition = 0;
  auto operator<=>(const PartitionId&) const = default;
};

// Number of a record within its partition, from 0, dense.
struct Offset {
  int64_t value = 0;
  auto operator<=>(const Offset&) const = default;
};
constexpr Offset operator+(Offset offset, int64_t records) { return {offset.value + records}; }
constexpr int64_t operator-(Offset a, Offset b) { return a.value - b.value; }
inline constexpr Offset kOffsetMax{INT64_MAX};

// An idempotent or transactional producer: its id, and how often that id was handed out anew, which
// fences whoever had it before. Both -1: none.
struct Producer {
  int64_t id = -1;
  int16_t epoch = -1;
  auto operator<=>(const Producer&) const = default;
};

// How a transaction ended; the number stands in the key of its marker.
enum class TransactionOutcome : int16_t { kAbort = 0, kCommit = 1 };

// Number of a write-ahead frame, from 1, dense over the life of the log. 0: before the first frame.
struct FrameSequence {
  uint64_t value = 0;
  auto operator<=>(const FrameSequence&) const = default;
};

}  // namespace millrace::log

template <>
struct std::hash<millrace::log::TopicId> {
  size_t operator()(millrace::log::TopicId id) const { return id.value; }
};
