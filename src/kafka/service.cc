#include "kafka/service.h"

#include "base/logging.h"
#include "kafka/authorization.h"
#include "kafka/fetch.h"
#include "kafka/group_handlers.h"
#include "kafka/list_offsets.h"
#include "kafka/metadata.h"
#include "kafka/offset_handlers.h"
#include "kafka/produce.h"
#include "kafka/sasl.h"
#include "kafka/topic_handlers.h"
#include "kafka/transaction_handlers.h"

namespace millrace::kafka {

Service::Service(ServiceOptions options, Backend& backend, Coordinators& coordinators)
    : options_(std::move(options)),
      backend_(backend),
      coordinators_(coordinators),
      waiters_(backend.log()),
      quotas_(options_.quotas),
      pool_(options_.pool_threads, options_.pool_queue_max) {}

Service::~Service() { Stop(); }

void Service::Advertise(std::string host, int32_t port) {
  advertised_.store(std::make_shared<const Advertised>(Advertised{std::move(host), port}));
}

void Service::StopWaiting() {
  waiters_.Stop();
  coordinators_.Shutdown();
}

void Service::Stop() {
  StopWaiting();
  pool_.Stop();
}

template <typename Q, typename F>
Status Service::AtOnce(const Request& request, Reply& reply, const F& handler) {
  TRY(const Q message, Decode<Q>(request.body, request.version));
  Answer(request, reply, handler(message));
  return Ok();
}

template <typename Q, typename F>
asio::awaitable<Status> Service::OnPool(const Request& request, Reply& reply, F handler) {
  Result<Q> message = Decode<Q>(request.body, request.version);
  if (!message.ok()) co_return message.error();
  const std::function<Result<bool>()> work = [&]() -> Result<bool> {
    Answer(request, reply, handler(*message));
    return true;
  };
  const Result<bool> answered = co_await RunOn<bool>(pool_, work);
  // There is no answer of all messages that says "too busy": the client connects anew.
  if (!answered.ok()) co_return answered.error();
  co_return Ok();
}

template <typename Q, typename F>
asio::awaitable<Status> Service::Awaited(const Request& request, Reply& reply, F handler) {
  Result<Q> message = Decode<Q>(request.body, request.version);
  if (!message.ok()) co_return message.error();
  const auto response = co_await handler(*message);
  Answer(request, reply, response);
  co_return Ok();
}

asio::awaitable<Status> Service::Metadata(const Request& request, Reply& reply) {
  Result<MetadataRequest> message = Decode<MetadataRequest>(request.body, request.version);
  if (!message.ok()) co_return message.error();
  std::vector<std::string> missing;
  if (request.May(auth::Permission::kAdmin, "")) missing = MissingTopics(*this, request, *message);
  if (!missing.empty()) {
    const std::function<Result<bool>()> work = [&]() -> Result<bool> {
      for (const std::string& name : missing) {
        const Status created = backend_.CreateTopic(name, 1, {}, /*validate_only=*/false);
        if (!created.ok() && created.error().code() != Code::kAlreadyExists) {
          LOG_WARNING("a topic that a client asked for cannot be made", "topic={} error=\"{}\"",
                      name, created.error().message());
        }
      }
      return true;
    };
    const Result<bool> made = co_await RunOn<bool>(pool_, work);
    if (!made.ok()) co_return made.error();
  }
  MetadataResponse response = DescribeTopics(*this, request, *message);
  HideTopics(request, *message, response);
  Answer(request, reply, response);
  co_return Ok();
}

asio::awaitable<Status> Service::HandleSasl(const Request& request, Reply& reply) {
  Status status;
  if (request.api->key == ApiKey::kSaslHandshake) {
    status = AtOnce<SaslHandshakeRequest>(request, reply, [&](const auto& message) {
      return request.session->Handshake(request, message);
    });
  } else {
    status = co_await Awaited<SaslAuthenticateRequest>(
        request, reply, [&](SaslAuthenticateRequest& message) {
          return request.session->Authenticate(std::move(message.auth_bytes.value));
        });
  }
  co_return status;
}

asio::awaitable<Status> Service::Handle(const Request& request, const std::shared_ptr<Reply>& reply,
                                        const Done& done) {
  const Result<bool> denied = AnswerIfDenied(request, *reply);
  if (!denied.ok()) co_return denied.error();
  if (*denied) {
    done(reply);
    co_return Ok();
  }
  const Status status = co_await HandleAdmitted(request, reply, done);
  co_return status;
}

asio::awaitable<Status> Service::HandleAdmitted(const Request& request,
                                                const std::shared_ptr<Reply>& reply,
                                                const Done& done) {
  Status status;
  switch (request.api->key) {
    case ApiKey::kApiVersions:
      AnswerApiVersions(request, *reply);
      break;
    case ApiKey::kSaslHandshake:
    case ApiKey::kSaslAuthenticate:
      status = co_await HandleSasl(request, *reply);
      break;
    case ApiKey::kProduce: {
      Result<ProduceRequest> message = Decode<ProduceRequest>(request.body, request.version);
      if (!message.ok()) co_return message.error();
      co_await Produce(*this, request, *message, reply, done);
      co_return Ok();
    }
    case ApiKey::kFetch: {
      Result<FetchRequest> message = Decode<FetchRequest>(request.body, request.version);
      if (!message.ok()) co_return message.error();
      co_await Fetch(*this, request, *message, *reply);
      break;
    }
    case ApiKey::kMetadata:
      status = co_await Metadata(request, *reply);
      break;
    case ApiKey::kDescribeCluster:
      status = AtOnce<DescribeClusterRequest>(
          request, *reply, [&](const auto& message) { return DescribeCluster(*this, message); });
      break;
    case ApiKey::kFindCoordinator:
      status = AtOnce<FindCoordinatorRequest>(request, *reply, [&](const auto& message) {
        return FindCoordinator(*this, request, message);
      });
      break;
    case ApiKey::kListOffsets:
      status = co_await OnPool<ListOffsetsRequest>(request, *reply, [&](const auto& message) {
        return ListOffsets(backend_, request, message);
      });
      break;
    case ApiKey::kOffsetForLeaderEpoch:
      status = AtOnce<OffsetForLeaderEpochRequest>(request, *reply, [&](const auto& message) {
        return EndOfEpochs(backend_, request, message);
      });
      break;
    case ApiKey::kCreateTopics:
      status = co_await OnPool<CreateTopicsRequest>(
          request, *reply, [&](const auto& message) { return CreateTopics(*this, message); });
      break;
    case ApiKey::kDeleteTopics:
      status = co_await OnPool<DeleteTopicsRequest>(request, *reply, [&](const auto& message) {
        return DeleteTopics(*this, request, message);
      });
      break;
    case ApiKey::kDeleteRecords:
      status = co_await OnPool<DeleteRecordsRequest>(
          request, *reply, [&](const auto& message) { return DeleteRecords(*this, message); });
      break;
    case ApiKey::kCreatePartitions:
      status = co_await OnPool<CreatePartitionsRequest>(
          request, *reply, [&](const auto& message) { return CreatePartitions(*this, message); });
      break;
    case ApiKey::kDescribeLogDirs:
      status = co_await OnPool<DescribeLogDirsRequest>(
          request, *reply, [&](const auto& message) { return DescribeLogDirs(*this, message); });
      break;
    case ApiKey::kAlterConfigs:
      status = co_await OnPool<AlterConfigsRequest>(
          request, *reply, [&](const auto& message) { return AlterConfigs(*this, message); });
      break;
    case ApiKey::kIncrementalAlterConfigs:
      status = co_await OnPool<IncrementalAlterConfigsRequest>(
          request, *reply,
          [&](const auto& message) { return IncrementalAlterConfigs(*this, message); });
      break;
    case ApiKey::kDescribeConfigs:
      status = AtOnce<DescribeConfigsRequest>(
          request, *reply, [&](const auto& message) { return DescribeConfigs(*this, message); });
      break;
    default:
      status = co_await HandleGroups(request, *reply);
  }
  if (status.ok()) done(reply);
  co_return status;
}

asio::awaitable<Status> Service::HandleGroups(const Request& request, Reply& reply) {
  Status status;
  switch (request.api->key) {
    case ApiKey::kJoinGroup:
      status = co_await Awaited<JoinGroupRequest>(request, reply, [&](JoinGroupRequest& message) {
        return JoinGroup(groups(), request, message);
      });
      break;
    case ApiKey::kSyncGroup:
      status = co_await Awaited<SyncGroupRequest>(request, reply, [&](SyncGroupRequest& message) {
        return SyncGroup(groups(), request, message);
      });
      break;
    case ApiKey::kHeartbeat:
      status = AtOnce<HeartbeatRequest>(
          request, reply, [&](const auto& message) { return Heartbeat(groups(), message); });
      break;
    case ApiKey::kLeaveGroup:
      status = AtOnce<LeaveGroupRequest>(request, reply, [&](const auto& message) {
        return LeaveGroup(groups(), request, message);
      });
      break;
    case ApiKey::kDescribeGroups:
      status = AtOnce<DescribeGroupsRequest>(
          request, reply, [&](const auto& message) { return DescribeGroups(groups(), message); });
      break;
    case ApiKey::kListGroups:
      status = AtOnce<ListGroupsRequest>(
          request, reply, [&](const auto& message) { return ListGroups(groups(), message); });
      break;
    case ApiKey::kDeleteGroups:
      status = co_await Awaited<DeleteGroupsRequest>(
          request, reply,
          [&](DeleteGroupsRequest& message) { return DeleteGroups(groups(), request, message); });
      break;
    case ApiKey::kOffsetCommit:
      status = co_await Awaited<OffsetCommitRequest>(
          request, reply,
          [&](OffsetCommitRequest& message) { return CommitOffsets(*this, request, message); });
      break;
    case ApiKey::kOffsetFetch:
      status = AtOnce<OffsetFetchRequest>(request, reply, [&](const auto& message) {
        return FetchOffsets(*this, request, message);
      });
      break;
    case ApiKey::kOffsetDelete:
      status = co_await Awaited<OffsetDeleteRequest>(
          request, reply,
          [&](OffsetDeleteRequest& message) { return DeleteOffsets(*this, request, message); });
      break;
    default:
      status = co_await HandleTransactions(request, reply);
  }
  co_return status;
}

asio::awaitable<Status> Service::HandleTransactions(const Request& request, Reply& reply) {
  Status status;
  switch (request.api->key) {
    case ApiKey::kInitProducerId:
      status = co_await Awaited<InitProducerIdRequest>(
          request, reply,
          [&](InitProducerIdRequest& message) { return InitProducerId(*this, request, message); });
      break;
    case ApiKey::kAddPartitionsToTxn:
      status = co_await Awaited<AddPartitionsToTxnRequest>(
          request, reply, [&](AddPartitionsToTxnRequest& message) {
            return AddPartitionsToTxn(*this, request, message);
          });
      break;
    case ApiKey::kAddOffsetsToTxn:
      status = co_await Awaited<AddOffsetsToTxnRequest>(
          request, reply, [&](AddOffsetsToTxnRequest& message) {
            return AddOffsetsToTxn(*this, request, message);
          });
      break;
    case ApiKey::kEndTxn:
      status = co_await Awaited<EndTxnRequest>(
          request, reply, [&](EndTxnRequest& message) { return EndTxn(*this, request, message); });
      break;
    case ApiKey::kTxnOffsetCommit:
      status = co_await Awaited<TxnOffsetCommitRequest>(
          request, reply, [&](TxnOffsetCommitRequest& message) {
            return TxnOffsetCommit(*this, request, message);
          });
      break;
    default:
      status = Error(Code::kNotSupported, "{} is not served", request.api->name);
  }
  co_return status;
}

}  // namespace millrace::kafka
