#include "kafka/transaction_handlers.h"

#include "kafka/offset_handlers.h"
#include "net/await.h"

namespace millrace::kafka {

namespace {

// The first versions whose clients know PRODUCER_FENCED (KIP-588).
constexpr int16_t kInitKnowsFenced = 4;
constexpr int16_t kOthersKnowFenced = 2;

ErrorCode AsKnown(ErrorCode error, const Request& request, int16_t known_from) {
  return error == ErrorCode::kProducerFenced && request.version < known_from
             ? ErrorCode::kInvalidProducerEpoch
             : error;
}

}  // namespace

asio::awaitable<InitProducerIdResponse> InitProducerId(Service& service, const Request& request,
                                                       const InitProducerIdRequest& message) {
  std::optional<kafka_groups::ProducerIdentity> known;
  if (message.producer_id >= 0)
    known = kafka_groups::ProducerIdentity{message.producer_id, message.producer_epoch};
  net::Waiting<kafka_groups::InitProducerIdAnswer> waiting;
  service.transactions().InitProducerId(message.transactional_id,
                                        std::chrono::milliseconds(message.transaction_timeout_ms),
                                        known, net::TellTo(waiting));
  const Result<kafka_groups::InitProducerIdAnswer> answer = co_await waiting.Get();
  InitProducerIdResponse response;
  response.error_code = AsKnown(answer->error, request, kInitKnowsFenced);
  response.producer_id = answer->producer.id;
  response.producer_epoch = answer->producer.epoch;
  co_return response;
}

asio::awaitable<AddPartitionsToTxnResponse> AddPartitionsToTxn(
    Service& service, const Request& request, const AddPartitionsToTxnRequest& message) {
  std::vector<kafka_groups::TopicPartition> partitions;
  bool all_known = true;
  AddPartitionsToTxnResponse response;
  for (const auto& topic : message.v3_and_below_topics) {
    const std::optional<Topic> found = service.backend().FindTopic(topic.name);
    auto& out = response.results_by_topic_v3_and_below.emplace_back();
    out.name = topic.name;
    for (const int32_t partition : topic.partitions) {
      const bool allowed = request.May(auth::Permission::kIngest, topic.name);
      const bool known = allowed && found && partition >= 0 && partition < found->partitions;
      all_known = all_known && known;
      // Where one is not there none is added.
      out.results_by_partition.push_back({partition, !allowed ? ErrorCode::kTopicAuthorizationFailed
                                                     : known
                                                         ? ErrorCode::kOperationNotAttempted
                                                         : ErrorCode::kUnknownTopicOrPartition});
      partitions.push_back({topic.name, partition});
    }
  }
  if (!all_known) co_return response;
  net::Waiting<ErrorCode> waiting;
  service.transactions().AddPartitions(
      message.v3_and_below_transactional_id,
      {message.v3_and_below_producer_id, message.v3_and_below_producer_epoch}, partitions,
      net::TellTo(waiting));
  const Result<ErrorCode> added = co_await waiting.Get();
  const ErrorCode error = AsKnown(*added, request, kOthersKnowFenced);
  for (auto& topic : response.results_by_topic_v3_and_below) {
    for (auto& partition : topic.results_by_partition) partition.partition_error_code = error;
  }
  co_return response;
}

asio::awaitable<AddOffsetsToTxnResponse> AddOffsetsToTxn(Service& service, const Request& request,
                                                         const AddOffsetsToTxnRequest& message) {
  net::Waiting<ErrorCode> waiting;
  service.transactions().AddOffsets(message.transactional_id,
                                    {message.producer_id, message.producer_epoch}, message.group_id,
                                    net::TellTo(waiting));
  const Result<ErrorCode> added = co_await waiting.Get();
  AddOffsetsToTxnResponse response;
  response.error_code = AsKnown(*added, request, kOthersKnowFenced);
  co_return response;
}

asio::awaitable<EndTxnResponse> EndTxn(Service& service, const Request& request,
                                       const EndTxnRequest& message) {
  net::Waiting<ErrorCode> waiting;
  service.transactions().End(message.transactional_id,
                             {message.producer_id, message.producer_epoch}, message.committed,
                             net::TellTo(waiting));
  const Result<ErrorCode> ended = co_await waiting.Get();
  EndTxnResponse response;
  response.error_code = AsKnown(*ended, request, kOthersKnowFenced);
  co_return response;
}

asio::awaitable<TxnOffsetCommitResponse> TxnOffsetCommit(Service& service, const Request& request,
                                                         const TxnOffsetCommitRequest& message) {
  const OffsetsToCommit offsets = OffsetsOf(service.backend(), request, message.topics);
  kafka_groups::PartitionErrors errors;
  if (!offsets.known.empty()) {
    const kafka_groups::CommitRequest commit{
        {message.group_id, message.generation_id, message.member_id, message.group_instance_id},
        offsets.known};
    net::Waiting<kafka_groups::PartitionErrors> waiting;
    service.groups().CommitInTransaction(commit, {message.producer_id, message.producer_epoch},
                                         net::TellTo(waiting));
    Result<kafka_groups::PartitionErrors> committed = co_await waiting.Get();
    errors = std::move(*committed);
  }
  TxnOffsetCommitResponse response;
  response.topics = CommitAnswer<TxnOffsetCommitResponse::TxnOffsetCommitResponseTopic>(
      message.topics, offsets, errors);
  co_return response;
}

}  // namespace millrace::kafka
