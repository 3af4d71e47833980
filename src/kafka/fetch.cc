#include "kafka/fetch.h"

#include <algorithm>

#include "kafka/errors.h"

namespace millrace::kafka {

namespace {

constexpr int16_t kFirstVersionWithTopicIds = 13;
constexpr int32_t kMaxWaitMs = 60'000;

using PartitionData = FetchResponse::FetchableTopicResponse::PartitionData;

struct Fetched {
  FetchResponse response;
  std::vector<std::shared_ptr<const void>> holds;
  size_t bytes = 0;
  Quotas::Bytes of_streams;
  bool failed = false;  // an error is told at once
};

std::optional<Topic> FindTopic(const Backend& backend, const FetchRequest::FetchTopic& wanted,
                               bool by_id) {
  if (!by_id) return backend.FindTopic(wanted.topic);
  const std::optional<log::TopicId> id = TopicIdOf(wanted.topic_id);
  return id ? backend.FindTopic(*id) : std::nullopt;
}

// A reader of committed records gets all batches up to the last stable offset and the list of what
// was aborted among them, and leaves that out itself.
Status AddAborted(const log::Log& log, log::PartitionId partition, const log::ReadResult& read,
                  PartitionData& data) {
  data.aborted_transactions.emplace();
  if (read.batches.empty()) return Ok();
  TRY(const auto aborted,
      log.AbortedTransactions(partition, read.batches.front().base_offset, read.next));
  for (const log::AbortedTransaction& transaction : aborted)
    data.aborted_transactions->push_back({transaction.producer_id, transaction.first.value});
  return Ok();
}

// From the next batch that there is: a client that gets none asks for the same offset again, and
// would never come past what compaction or damage has left of a segment.
Result<log::ReadResult> ReadOn(const log::Log& log, log::PartitionId partition,
                               log::ReadOptions options) {
  for (;;) {
    TRY(log::ReadResult read, log.Read(partition, options));
    if (!read.batches.empty() || read.next <= options.from ||
        read.next >= std::min(read.end, options.until))
      return read;
    options.from = read.next;
  }
}

void ReadPartition(const log::Log& log, log::PartitionId partition, log::Offset from,
                   size_t bytes_max, bool committed, Fetched& out, PartitionData& data) {
  log::ReadOptions options{.from = from, .bytes_max = bytes_max};
  const auto cut = log.DurableCut();
  const log::Cut::End* ends = cut->Find(partition);
  if (committed && ends != nullptr) options.until = ends->stable;
  auto read = ReadOn(log, partition, options);
  if (read.ok() && committed) {
    const Status added = AddAborted(log, partition, *read, data);
    if (!added.ok()) read = added.error();
  }
  if (!read.ok()) {
    data.error_code = ReadErrorCode(read.error());
    out.failed = true;
    if (ends != nullptr) {
      data.high_watermark = ends->end.value;
      data.last_stable_offset = ends->stable.value;
      data.log_start_offset = ends->start.value;
    }
    return;
  }
  data.high_watermark = read->end.value;
  data.last_stable_offset = read->stable.value;
  data.log_start_offset = read->start.value;
  data.records.null = false;
  for (const log::ReadBatch& batch : read->batches) {
    data.records.pieces.push_back(batch.bytes);
    out.bytes += batch.bytes.size();
  }
  out.holds.insert(out.holds.end(), read->holds.begin(), read->holds.end());
}

Fetched Read(Service& service, const Request& request, const FetchRequest& message) {
  Backend& backend = service.backend();
  const bool by_id = request.version >= kFirstVersionWithTopicIds;
  Fetched out;
  const size_t limit = service.quotas().FetchBytesMax(std::min<size_t>(
      service.options().fetch_bytes_max, static_cast<size_t>(std::max(message.max_bytes, 1))));
  for (const FetchRequest::FetchTopic& wanted : message.topics) {
    const std::optional<Topic> topic = FindTopic(backend, wanted, by_id);
    auto& topic_out = out.response.responses.emplace_back();
    topic_out.topic = wanted.topic;
    topic_out.topic_id = wanted.topic_id;
    const size_t bytes_before = out.bytes;
    for (const auto& partition : wanted.partitions) {
      PartitionData& data = topic_out.partitions.emplace_back();
      data.partition_index = partition.partition;
      data.high_watermark = -1;
      data.records.null = false;
      if (topic && !request.May(auth::Permission::kConsume, topic->name)) {
        data.error_code = ErrorCode::kTopicAuthorizationFailed;
        out.failed = true;
        continue;
      }
      if (!topic || partition.partition < 0 || partition.partition >= topic->partitions) {
        data.error_code =
            !topic && by_id ? ErrorCode::kUnknownTopicId : ErrorCode::kUnknownTopicOrPartition;
        out.failed = true;
        continue;
      }
      // Later partitions get what the limit leaves; the first one with records gets at least a
      // batch, however large, so that a reader always comes on (KIP-74).
      const size_t left = limit > out.bytes ? limit - out.bytes : 0;
      if (left == 0) {
        const auto cut = backend.log().DurableCut();
        if (const log::Cut::End* end = cut->Find({topic->id, partition.partition})) {
          data.high_watermark = end->end.value;
          data.last_stable_offset = end->stable.value;
          data.log_start_offset = end->start.value;
        }
        continue;
      }
      ReadPartition(backend.log(), {topic->id, partition.partition},
                    log::Offset{partition.fetch_offset},
                    std::min(left, static_cast<size_t>(std::max(partition.partition_max_bytes, 1))),
                    message.isolation_level == kReadCommitted, out, data);
    }
    if (out.bytes > bytes_before)
      out.of_streams.emplace_back(topic->name, out.bytes - bytes_before);
  }
  return out;
}

// Whether a read would find anything to tell: records, or an error. Cheap enough for the loop.
bool HasNews(const Backend& backend, const Request& request, const FetchRequest& message) {
  const bool by_id = request.version >= kFirstVersionWithTopicIds;
  const bool committed = message.isolation_level == kReadCommitted;
  const auto cut = backend.log().DurableCut();
  for (const FetchRequest::FetchTopic& wanted : message.topics) {
    const std::optional<Topic> topic = FindTopic(backend, wanted, by_id);
    if (!topic || !request.May(auth::Permission::kConsume, topic->name)) return true;
    for (const auto& partition : wanted.partitions) {
      const log::Cut::End* end = cut->Find({topic->id, partition.partition});
      if (end == nullptr) return true;
      const int64_t offset = partition.fetch_offset;
      if (offset < end->start.value || offset > end->end.value) return true;
      if (offset < (committed ? end->stable : end->end).value) return true;
    }
  }
  return false;
}

}  // namespace

asio::awaitable<void> Fetch(Service& service, const Request& request, const FetchRequest& message,
                            Reply& reply) {
  if (message.session_id != 0) {  // none was ever given
    FetchResponse response;
    response.error_code = ErrorCode::kFetchSessionIdNotFound;
    Answer(request, reply, response);
    co_return;
  }
  const auto until = std::chrono::steady_clock::now() +
                     std::chrono::milliseconds(std::clamp(message.max_wait_ms, 0, kMaxWaitMs));
  bool going_on = true;  // the node does not stop
  for (;;) {
    const log::FrameSequence seen = service.backend().log().DurableFrame();
    const bool time_left = going_on && std::chrono::steady_clock::now() < until;
    if (time_left && message.min_bytes > 0 && !HasNews(service.backend(), request, message)) {
      going_on = co_await service.waiters().Wait(seen, until);
      continue;
    }
    // Reads and encodes in one go on the pool: the reply is a copy, the batches are let go.
    const std::function<Result<bool>()> work = [&]() -> Result<bool> {
      Fetched fetched = Read(service, request, message);
      const bool enough =
          fetched.failed || fetched.bytes >= static_cast<size_t>(std::max(message.min_bytes, 0));
      if (!enough && time_left) return false;
      if (service.quotas().limits_fetch(request)) {
        reply.throttle = service.quotas().CountFetch(request, fetched.of_streams);
        fetched.response.throttle_time_ms = static_cast<int32_t>(reply.throttle.count());
      }
      Answer(request, reply, fetched.response);
      return true;
    };
    const Result<bool> answered = co_await RunOn<bool>(service.pool(), work);
    if (!answered.ok()) {
      FetchResponse response;
      response.error_code = ErrorCode::kThrottlingQuotaExceeded;
      Answer(request, reply, response);
      co_return;
    }
    if (*answered) co_return;
    going_on = co_await service.waiters().Wait(seen, until);
  }
}

}  // namespace millrace::kafka
