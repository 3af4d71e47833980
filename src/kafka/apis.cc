#include "kafka/apis.h"

#include <algorithm>

#include "kafka/messages.h"

namespace millrace::kafka {

namespace {

#define MILLRACE_KAFKA_API(Name, min, max) \
  Api { ApiKey::k##Name, #Name, min, max, Name##Request::kInfo.flexible_from }

// Produce is advertised from 0, though 0 to 2 are refused: librdkafka before 2.8.1 sends
// uncompressed to a broker that does not claim version 0.
// clang-format off
constexpr Api kApis[] = {
    MILLRACE_KAFKA_API(Produce, 0, 12),
    MILLRACE_KAFKA_API(Fetch, 4, 17),
    MILLRACE_KAFKA_API(ListOffsets, 1, 8),
    MILLRACE_KAFKA_API(Metadata, 0, 12),
    MILLRACE_KAFKA_API(OffsetCommit, 2, 9),
    MILLRACE_KAFKA_API(OffsetFetch, 1, 9),
    MILLRACE_KAFKA_API(FindCoordinator, 0, 6),
    MILLRACE_KAFKA_API(JoinGroup, 0, 9),
    MILLRACE_KAFKA_API(Heartbeat, 0, 4),
    MILLRACE_KAFKA_API(LeaveGroup, 0, 5),
    MILLRACE_KAFKA_API(SyncGroup, 0, 5),
    MILLRACE_KAFKA_API(DescribeGroups, 0, 5),
    MILLRACE_KAFKA_API(ListGroups, 0, 5),
    MILLRACE_KAFKA_API(SaslHandshake, 0, 1),
    MILLRACE_KAFKA_API(ApiVersions, 0, 4),
    MILLRACE_KAFKA_API(CreateTopics, 2, 7),
    MILLRACE_KAFKA_API(DeleteTopics, 1, 6),
    MILLRACE_KAFKA_API(DeleteRecords, 0, 2),
    MILLRACE_KAFKA_API(InitProducerId, 0, 5),
    MILLRACE_KAFKA_API(OffsetForLeaderEpoch, 2, 4),
    MILLRACE_KAFKA_API(AddPartitionsToTxn, 0, 3),
    MILLRACE_KAFKA_API(AddOffsetsToTxn, 0, 4),
    MILLRACE_KAFKA_API(EndTxn, 0, 4),
    MILLRACE_KAFKA_API(TxnOffsetCommit, 0, 4),
    MILLRACE_KAFKA_API(DescribeConfigs, 1, 4),
    MILLRACE_KAFKA_API(AlterConfigs, 0, 2),
    MILLRACE_KAFKA_API(DescribeLogDirs, 1, 4),
    MILLRACE_KAFKA_API(SaslAuthenticate, 0, 2),
    MILLRACE_KAFKA_API(CreatePartitions, 0, 3),
    MILLRACE_KAFKA_API(DeleteGroups, 0, 2),
    MILLRACE_KAFKA_API(IncrementalAlterConfigs, 0, 1),
    MILLRACE_KAFKA_API(OffsetDelete, 0, 0),
    MILLRACE_KAFKA_API(DescribeCluster, 0, 2),
};
// clang-format on

static_assert(std::is_sorted(std::begin(kApis), std::end(kApis),
                             [](const Api& a, const Api& b) { return a.key < b.key; }));

}  // namespace

std::span<const Api> Apis() { return kApis; }

const Api* FindApi(int16_t key) {
  const auto* it = std::lower_bound(
      std::begin(kApis), std::end(kApis), key,
      [](const Api& api, int16_t wanted) { return static_cast<int16_t>(api.key) < wanted; });
  return it != std::end(kApis) && static_cast<int16_t>(it->key) == key ? it : nullptr;
}

}  // namespace millrace::kafka
