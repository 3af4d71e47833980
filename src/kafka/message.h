// How a message of the Kafka protocol is described: a struct whose Fields() names its fields once,
// with the versions that have them. Decoder and Encoder (codec.h) both walk it, and a test holds it
// against the schema that Apache Kafka's client library carries.
//
//   struct HeartbeatRequest {
//     static constexpr MessageInfo kInfo{"HeartbeatRequest", ApiKey::kHeartbeat, 4};
//     std::string group_id;
//     template <typename V> void Fields(V& v) { v("GroupId", group_id, Since(0)); … }
//   };
//
// A field is a bool, int, double, std::string, Bytes, Uuid, ErrorCode or Records, a struct like
// this one, a std::vector of these, or a std::optional where the protocol allows null. A field that
// a version does not have keeps its default when read and is left out when written. Source:
// https://kafka.apache.org/protocol, the messages' JSON in kafka-clients.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kafka_groups/error_code.h"

namespace millrace::kafka {

enum class ApiKey : int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kMetadata = 3,
  kOffsetCommit = 8,
  kOffsetFetch = 9,
  kFindCoordinator = 10,
  kJoinGroup = 11,
  kHeartbeat = 12,
  kLeaveGroup = 13,
  kSyncGroup = 14,
  kDescribeGroups = 15,
  kListGroups = 16,
  kSaslHandshake = 17,
  kApiVersions = 18,
  kCreateTopics = 19,
  kDeleteTopics = 20,
  kDeleteRecords = 21,
  kInitProducerId = 22,
  kOffsetForLeaderEpoch = 23,
  kAddPartitionsToTxn = 24,
  kAddOffsetsToTxn = 25,
  kEndTxn = 26,
  kTxnOffsetCommit = 28,
  kDescribeConfigs = 32,
  kAlterConfigs = 33,
  kDescribeLogDirs = 35,
  kSaslAuthenticate = 36,
  kCreatePartitions = 37,
  kDeleteGroups = 42,
  kIncrementalAlterConfigs = 44,
  kOffsetDelete = 47,
  kDescribeCluster = 60,
};

inline constexpr int16_t kNeverFlexible = INT16_MAX;

struct MessageInfo {
  std::string_view name;
  ApiKey api;
  int16_t flexible_from;  // the first version in compact encoding with tagged fields
};

// Which versions of a message have a field, and how.
struct FieldVersions {
  int16_t from = 0;
  int16_t until = INT16_MAX;  // the last one
  int16_t null_from = INT16_MAX;
  int16_t tag = -1;  // a tagged field: written only where it differs from its default

  constexpr bool Has(int16_t version) const { return version >= from && version <= until; }
  constexpr FieldVersions Until(int16_t last) const { return {from, last, null_from, tag}; }
  constexpr FieldVersions NullSince(int16_t first) const { return {from, until, first, tag}; }
  constexpr FieldVersions Tag(int16_t number) const { return {from, until, null_from, number}; }
};
constexpr FieldVersions Since(int16_t version) { return {.from = version}; }

// What the protocol calls bytes; a std::string is what it calls a string.
struct Bytes {
  std::string value;
  bool operator==(const Bytes&) const = default;
};

using Uuid = std::array<uint8_t, 16>;

// Record batches inside a message. Read: one piece, borrowed from the request's bytes. Written: the
// pieces one behind the other; whoever encodes keeps their memory alive.
struct Records {
  bool null = true;
  std::vector<std::string_view> pieces;

  size_t size() const {
    size_t sum = 0;
    for (const std::string_view piece : pieces) sum += piece.size();
    return sum;
  }
  bool operator==(const Records&) const = default;
};

}  // namespace millrace::kafka
