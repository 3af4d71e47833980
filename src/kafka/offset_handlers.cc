#include "kafka/offset_handlers.h"

#include "net/await.h"

namespace millrace::kafka {

namespace {

constexpr int16_t kFetchOfGroups = 8;   // the first version of OffsetFetch with several groups
constexpr int16_t kFetchWithError = 2;  // with an error of the whole request

template <typename Topics>
std::vector<kafka_groups::TopicPartition> Wanted(const Topics& topics) {
  std::vector<kafka_groups::TopicPartition> wanted;
  for (const auto& topic : topics) {
    for (const int32_t partition : topic.partition_indexes)
      wanted.push_back({topic.name, partition});
  }
  return wanted;
}

// Of topics that the client may not consume nothing is told: those that it named are refused.
void HideOffsets(const Request& request, bool named, kafka_groups::FetchOffsetsAnswer& answer) {
  const auto hidden = [&](const kafka_groups::FetchedOffset& offset) {
    return !request.May(auth::Permission::kConsume, offset.partition.topic);
  };
  if (!named) std::erase_if(answer.offsets, hidden);
  for (kafka_groups::FetchedOffset& offset : answer.offsets) {
    if (!hidden(offset)) continue;
    offset.committed = {};
    offset.committed.offset = -1;
    offset.error = ErrorCode::kTopicAuthorizationFailed;
  }
}

// The coordinator's answer, grouped by topic; the partitions of a topic stand together in it.
template <typename Topic>
std::vector<Topic> ByTopic(const kafka_groups::FetchOffsetsAnswer& answer) {
  std::vector<Topic> topics;
  for (const kafka_groups::FetchedOffset& offset : answer.offsets) {
    if (topics.empty() || topics.back().name != offset.partition.topic)
      topics.emplace_back().name = offset.partition.topic;
    auto& partition = topics.back().partitions.emplace_back();
    partition.partition_index = offset.partition.partition;
    partition.committed_offset = offset.committed.offset;
    partition.committed_leader_epoch = offset.committed.leader_epoch;
    partition.metadata = offset.committed.metadata;
    partition.error_code = offset.error;
  }
  return topics;
}

}  // namespace

asio::awaitable<OffsetCommitResponse> CommitOffsets(Service& service, const Request& request,
                                                    OffsetCommitRequest& message) {
  const OffsetsToCommit offsets = OffsetsOf(service.backend(), request, message.topics);
  kafka_groups::CommitRequest commit{
      {std::move(message.group_id), message.generation_id_or_member_epoch,
       std::move(message.member_id), std::move(message.group_instance_id)},
      offsets.known};
  kafka_groups::PartitionErrors errors;
  if (!commit.offsets.empty()) {
    net::Waiting<kafka_groups::PartitionErrors> waiting;
    service.groups().Commit(commit, net::TellTo(waiting));
    Result<kafka_groups::PartitionErrors> committed = co_await waiting.Get();
    errors = std::move(*committed);
  }
  OffsetCommitResponse response;
  response.topics = CommitAnswer<OffsetCommitResponse::OffsetCommitResponseTopic>(message.topics,
                                                                                  offsets, errors);
  co_return response;
}

asio::awaitable<OffsetDeleteResponse> DeleteOffsets(Service& service, const Request& request,
                                                    OffsetDeleteRequest& message) {
  std::vector<kafka_groups::TopicPartition> wanted;
  for (const auto& topic : message.topics) {
    if (!request.May(auth::Permission::kConsume, topic.name)) {
      OffsetDeleteResponse denied;
      denied.error_code = ErrorCode::kTopicAuthorizationFailed;
      co_return denied;
    }
    for (const auto& partition : topic.partitions)
      wanted.push_back({topic.name, partition.partition_index});
  }
  net::Waiting<kafka_groups::DeleteOffsetsAnswer> waiting;
  service.groups().DeleteOffsets(message.group_id, wanted, net::TellTo(waiting));
  const Result<kafka_groups::DeleteOffsetsAnswer> deleted = co_await waiting.Get();
  OffsetDeleteResponse response;
  response.error_code = deleted->error;
  if (deleted->error != ErrorCode::kNone) co_return response;
  size_t next = 0;
  for (const auto& topic : message.topics) {
    auto& out = response.topics.emplace_back();
    out.name = topic.name;
    for (const auto& partition : topic.partitions)
      out.partitions.push_back({partition.partition_index, deleted->partitions[next++]});
  }
  co_return response;
}

OffsetFetchResponse FetchOffsets(Service& service, const Request& request,
                                 const OffsetFetchRequest& message) {
  const kafka_groups::GroupCoordinator& groups = service.groups();
  OffsetFetchResponse response;
  if (request.version >= kFetchOfGroups) {
    for (const auto& group : message.groups) {
      std::optional<std::vector<kafka_groups::TopicPartition>> wanted;
      if (group.topics) wanted = Wanted(*group.topics);
      auto answer = groups.Fetch(group.group_id, wanted, message.require_stable);
      HideOffsets(request, wanted.has_value(), answer);
      auto& out = response.groups.emplace_back();
      out.group_id = group.group_id;
      out.error_code = answer.error;
      out.topics =
          ByTopic<OffsetFetchResponse::OffsetFetchResponseGroup::OffsetFetchResponseTopics>(answer);
    }
    return response;
  }
  std::optional<std::vector<kafka_groups::TopicPartition>> wanted;
  if (message.topics) wanted = Wanted(*message.topics);
  auto answer = groups.Fetch(message.group_id, wanted, message.require_stable);
  HideOffsets(request, wanted.has_value(), answer);
  response.topics = ByTopic<OffsetFetchResponse::OffsetFetchResponseTopic>(answer);
  if (request.version >= kFetchWithError) response.error_code = answer.error;
  return response;
}

}  // namespace millrace::kafka
