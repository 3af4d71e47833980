#include "kafka/produce.h"

#include <atomic>

#include "kafka/errors.h"

namespace millrace::kafka {

namespace {

constexpr int16_t kOldestVersion = 3;  // older ones carry records of other formats
constexpr std::chrono::milliseconds kTryAgainEvery{5};
constexpr size_t kAtOnceBytesMax = 64u << 10;

using PartitionResponse = ProduceResponse::TopicProduceResponse::PartitionProduceResponse;

// A Produce on its way: gathers the outcomes of its partitions.
struct Pending {
  Request request;
  std::shared_ptr<Reply> reply;
  Service::Done done;
  bool silent = false;  // acks = 0
  ProduceResponse response;
  std::atomic<size_t> left{1};  // partitions without outcome, and one for the queuing itself

  void Finish() {
    if (left.fetch_sub(1) > 1) return;
    if (!silent) Answer(request, *reply, response);
    done(reply);
  }
};

// What counts is what came, whatever becomes of it. Of streams that are not there only the client's
// account knows: names are the client's choice.
Quotas::Bytes BytesOf(const Backend& backend, const ProduceRequest& message) {
  Quotas::Bytes bytes;
  size_t elsewhere = 0;
  for (const auto& topic : message.topic_data) {
    size_t size = 0;
    for (const auto& data : topic.partition_data) {
      for (const std::string_view piece : data.records.pieces) size += piece.size();
    }
    if (backend.FindTopic(topic.name)) {
      bytes.emplace_back(topic.name, size);
    } else {
      elsewhere += size;
    }
  }
  bytes.emplace_back("", elsewhere);
  return bytes;
}

void Refuse(PartitionResponse& partition, const Error& error) {
  partition.error_code = AppendErrorCode(error);
  partition.error_message = error.message();
  partition.base_offset = -1;
}

// Queues one partition's batches. An error: nothing was queued.
Status TryQueue(Service& service, const Topic& topic, int32_t partition, std::string_view batches,
                const std::shared_ptr<Pending>& pending, PartitionResponse& out) {
  return service.backend().Append(topic, partition, std::string(batches),
                                  [pending, &out](const Result<log::Appended>& result) {
                                    if (result.ok()) {
                                      out.base_offset = result->base_offsets.front().value;
                                      if (result->append_time)
                                        out.log_append_time_ms = result->append_time->value;
                                    } else {
                                      Refuse(out, result.error());
                                    }
                                    pending->Finish();
                                  });
}

// Unpacking and decoding may: that is not for the loop.
bool TakesLong(std::string_view batches) {
  if (batches.size() > kAtOnceBytesMax) return true;
  const auto first = log::RecordBatchView::Parse(batches, log::CrcCheck::kAlreadyVerified);
  return first.ok() && first->codec() != log::Codec::kNone;
}

// The same; while the log's queue is full, waits for room, which holds the connection back.
asio::awaitable<Status> Queue(Service& service, const Topic& topic, int32_t partition,
                              std::string_view batches, std::chrono::steady_clock::time_point until,
                              const std::shared_ptr<Pending>& pending, PartitionResponse& out) {
  const std::function<Result<bool>()> work = [&]() -> Result<bool> {
    TRY(TryQueue(service, topic, partition, batches, pending, out));
    return true;
  };
  const bool takes_long = topic.kind == Topic::Kind::kTable || TakesLong(batches);
  for (;;) {
    Result<bool> queued = Error(Code::kInternal, "not queued yet");
    if (takes_long) {
      queued = co_await RunOn<bool>(service.pool(), work);
    } else {
      queued = work();
    }
    const bool again = !queued.ok() && queued.error().code() == Code::kOverloaded &&
                       std::chrono::steady_clock::now() < until;
    if (!again && queued.ok()) co_return Ok();
    if (!again) co_return queued.error();
    auto executor = co_await asio::this_coro::executor;
    asio::steady_timer pause(executor, kTryAgainEvery);
    millrace::ErrorCode ignored;  // an early end of the pause is a pause
    co_await pause.async_wait(WithError(ignored));
  }
}

}  // namespace

asio::awaitable<void> Produce(Service& service, const Request& request,
                              const ProduceRequest& message, const std::shared_ptr<Reply>& reply,
                              const Service::Done& done) {
  auto pending = std::make_shared<Pending>();
  pending->silent = message.acks == 0;
  pending->reply = reply;
  pending->done = done;
  pending->request = request;
  pending->request.body = {};  // it lives only as long as the connection waits here
  const auto until = std::chrono::steady_clock::now() + service.options().overload_wait;
  if (service.quotas().limits_produce(request)) {
    reply->throttle = service.quotas().CountProduce(request, BytesOf(service.backend(), message));
    pending->response.throttle_time_ms = static_cast<int32_t>(reply->throttle.count());
  }

  // All places first: completions write to them while later partitions are still being queued.
  for (const auto& topic : message.topic_data) {
    auto& out = pending->response.responses.emplace_back();
    out.name = topic.name;
    for (const auto& data : topic.partition_data)
      out.partition_responses.emplace_back().index = data.index;
  }
  const bool acks_known = message.acks >= -1 && message.acks <= 1;
  for (size_t i = 0; i < message.topic_data.size(); ++i) {
    const auto& topic_data = message.topic_data[i];
    const std::optional<Topic> topic = service.backend().FindTopic(topic_data.name);
    for (size_t j = 0; j < topic_data.partition_data.size(); ++j) {
      const auto& data = topic_data.partition_data[j];
      PartitionResponse& out = pending->response.responses[i].partition_responses[j];
      if (request.version < kOldestVersion) {
        Refuse(out, Error(Code::kNotSupported, "records of message format 0 and 1 are not taken"));
        out.error_code = ErrorCode::kUnsupportedForMessageFormat;
        continue;
      }
      if (!request.May(auth::Permission::kIngest, topic_data.name)) {
        Refuse(out, Error(Code::kInvalidArgument, "{} has no scope ingest:{}",
                          request.principal->ToString(), topic_data.name));
        out.error_code = ErrorCode::kTopicAuthorizationFailed;
        continue;
      }
      if (!acks_known) {
        Refuse(out, Error(Code::kInvalidArgument, "acks is 0, 1 or -1"));
        out.error_code = ErrorCode::kInvalidRequiredAcks;
        continue;
      }
      if (!topic || data.index < 0 || data.index >= topic->partitions) {
        Refuse(out,
               Error(Code::kNotFound, "topic {} has no partition {}", topic_data.name, data.index));
        continue;
      }
      if (data.records.null || data.records.pieces.empty()) {
        Refuse(out, Error(Code::kInvalidArgument, "no records"));
        continue;
      }
      pending->left.fetch_add(1);
      const std::string_view batches = data.records.pieces.front();
      const Status queued =
          co_await Queue(service, *topic, data.index, batches, until, pending, out);
      if (queued.ok()) continue;
      Refuse(out, queued.error());
      pending->Finish();
    }
  }
  pending->Finish();
}

}  // namespace millrace::kafka
