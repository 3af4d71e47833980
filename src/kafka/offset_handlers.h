// The offsets of consumer groups: messages to and from the coordinator of groups.
#pragma once

#include "kafka/offset_messages.h"
#include "kafka/request.h"
#include "kafka/service.h"
#include "kafka_groups/group_coordinator.h"
#include "net/asio.h"

namespace millrace::kafka {

// A commit waits for the disk. Partitions that are not there are refused one by one.
asio::awaitable<OffsetCommitResponse> CommitOffsets(Service& service, const Request& request,
                                                    OffsetCommitRequest& message);
asio::awaitable<OffsetDeleteResponse> DeleteOffsets(Service& service, const Request& request,
                                                    OffsetDeleteRequest& message);
OffsetFetchResponse FetchOffsets(Service& service, const Request& request,
                                 const OffsetFetchRequest& message);

// The partitions of a commit as the coordinator takes them: those that are there, and that the
// client may consume.
struct OffsetsToCommit {
  std::vector<kafka_groups::OffsetToCommit> known;
  // By position in the request, topic, then partition; kNone: it is among `known`.
  std::vector<std::vector<ErrorCode>> refusals;
};
template <typename Topics>
OffsetsToCommit OffsetsOf(const Backend& backend, const Request& request, const Topics& topics) {
  OffsetsToCommit out;
  for (const auto& topic : topics) {
    const std::optional<Topic> found = backend.FindTopic(topic.name);
    auto& refusals = out.refusals.emplace_back();
    const bool allowed = request.May(auth::Permission::kConsume, topic.name);
    for (const auto& partition : topic.partitions) {
      const bool known =
          found && partition.partition_index >= 0 && partition.partition_index < found->partitions;
      refusals.push_back(!allowed ? ErrorCode::kTopicAuthorizationFailed
                         : known  ? ErrorCode::kNone
                                  : ErrorCode::kUnknownTopicOrPartition);
      if (refusals.back() != ErrorCode::kNone) continue;
      out.known.push_back({{topic.name, partition.partition_index},
                           partition.committed_offset,
                           partition.committed_leader_epoch,
                           partition.committed_metadata.value_or("")});
    }
  }
  return out;
}

// What the coordinator said, put back to the partitions of the request.
template <typename TopicOut, typename Topics>
std::vector<TopicOut> CommitAnswer(const Topics& topics, const OffsetsToCommit& offsets,
                                   const kafka_groups::PartitionErrors& errors) {
  std::vector<TopicOut> out;
  size_t next = 0;
  for (size_t i = 0; i < topics.size(); ++i) {
    TopicOut& topic = out.emplace_back();
    topic.name = topics[i].name;
    for (size_t j = 0; j < topics[i].partitions.size(); ++j) {
      const ErrorCode refusal = offsets.refusals[i][j];
      topic.partitions.push_back({topics[i].partitions[j].partition_index,
                                  refusal == ErrorCode::kNone ? errors[next++] : refusal});
    }
  }
  return out;
}

}  // namespace millrace::kafka
