#include "ingest/stream_ingest.h"

#include <algorithm>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "ingest/batch_check.h"
#include "ingest/batch_writer.h"
#include "ingest/idempotency.h"
#include "ingest/partitioner.h"
#include "ingest/row_checker.h"
#include "ingest/token.h"

namespace millrace::ingest {

namespace {

constexpr size_t kRejectedListedMax = 1000;
constexpr int64_t kExpireEveryMicros = 60'000'000;

// What Append needs to know of a stream, made once per definition.
struct StreamDoor {
  catalog::StreamDefinition definition;
  uint64_t generation;
  uint64_t revision;
  std::string kept_as;  // the books and the idempotency keys are under this name
  log::TopicId topic;
  std::vector<size_t> key_columns;
  std::atomic<uint32_t> next_partition{0};  // for rows without key

  std::mutex mutex;
  std::vector<std::unique_ptr<RowChecker>> idle_checkers;
};

// A request's records by partition, and what the answer will say of its rows.
struct Sorted {
  std::vector<BatchWriter> writers;
  Answer answer;
};

class StreamIngest final : public Ingest {
 public:
  explicit StreamIngest(IngestContext context) : context_(std::move(context)) {}

  Status Load();
  void Append(Request request, std::function<void(Result<Answer>)> done) override;
  Status Check(const Request& request) override;
  Result<std::string> AppendTogether(const std::vector<Request>& requests,
                                     log::AppendRequest others) override;
  Status AppendBatches(BatchRequest request, log::AppendDone done) override;

 private:
  Result<std::shared_ptr<StreamDoor>> FindRowDoor(const std::string& name);
  Result<std::shared_ptr<StreamDoor>> FindDoor(const std::string& name);
  Result<std::unique_ptr<RowChecker>> TakeChecker(StreamDoor& door);
  Result<Sorted> Sort(StreamDoor& door, const Request& request, Micros now);
  void AppendSorted(std::shared_ptr<StreamDoor> door, Request request, Sorted sorted, Micros now,
                    std::function<void(Result<Answer>)> done);
  Status LoadTopic(log::TopicId topic, bool kept);

  IngestContext context_;
  log::TopicId idempotency_topic_;
  log::TopicId kept_topic_;
  IdempotencyIndex idempotency_;
  std::atomic<int64_t> expired_at_{0};  // when old keys were last dropped

  std::shared_mutex doors_mutex_;
  std::unordered_map<std::string, std::shared_ptr<StreamDoor>> doors_;  // by lower-case name
};

Result<log::TopicId> FindOrCreateTopic(log::Log& log, const char* name,
                                       const log::TopicConfig& config) {
  if (const auto found = log.FindTopic(name)) return found->id;
  TRY(const log::TopicInfo made, log.CreateTopic(name, config));
  return made.id;
}

Status StreamIngest::Load() {
  log::TopicConfig config;
  TRY(kept_topic_, FindOrCreateTopic(*context_.log, kIdempotencyKeptTopic, config));
  config.retention_time = std::chrono::milliseconds(kIdempotencyKept);
  TRY(idempotency_topic_, FindOrCreateTopic(*context_.log, kIdempotencyTopic, config));
  TRY(LoadTopic(idempotency_topic_, false));
  TRY(LoadTopic(kept_topic_, true));
  return context_.log->SetFreeFloor({idempotency_topic_, 0}, log::kOffsetMax);
}

Status StreamIngest::LoadTopic(log::TopicId topic, bool kept) {
  const log::PartitionId partition{topic, 0};
  const auto cut = context_.log->DurableCut();
  const log::Cut::End* end = cut->Find(partition);
  if (end == nullptr) return Ok();
  for (log::Offset at = end->start; at < end->end;) {
    TRY(const log::ReadResult read, context_.log->Read(partition, {.from = at, .until = end->end}));
    for (const log::ReadBatch& batch : read.batches) {
      log::RecordCursor records = batch.view().records();
      while (records.Next()) {
        const log::RecordView& record = records.record();
        if (!record.key || !record.value) continue;
        auto remembered = DecodeRemembered(*record.value);
        TRY(auto value, std::move(remembered).With("read a remembered idempotency key"));
        value.answer.token = EncodeToken({batch.frame});
        idempotency_.Load(std::string(*record.key), kept, std::move(value));
      }
    }
    at = read.next;
  }
  return Ok();
}

Result<std::shared_ptr<StreamDoor>> StreamIngest::FindDoor(const std::string& name) {
  const catalog::CatalogPtr catalog = context_.catalog();
  const catalog::Object* object = catalog->FindRelation(name);
  const catalog::StreamDefinition* stream = catalog->FindStream(name);
  if (stream == nullptr) {
    if (object != nullptr) {
      return Error(Code::kInvalidArgument, "{} is a {}, not a stream", Quoted(name),
                   catalog::KindName(object->kind()));
    }
    std::vector<std::string> streams;
    for (const catalog::Object* other : catalog->OfKind(catalog::Kind::kStream))
      streams.push_back(other->name());
    return Error(Code::kNotFound, "stream {} does not exist", Quoted(name))
        .Hint(DidYouMean(name, streams));
  }
  const std::string key = rows::LowerName(name);
  {
    const std::shared_lock lock(doors_mutex_);
    const auto it = doors_.find(key);
    if (it != doors_.end() && it->second->generation == object->generation &&
        it->second->revision == object->revision)
      return it->second;
  }
  auto door = std::make_shared<StreamDoor>();
  door->definition = *stream;
  door->generation = object->generation;
  door->revision = object->revision;
  door->kept_as = object->kept_as();
  door->topic = {object->topic_id};
  for (const std::string& column : stream->partition_by)
    door->key_columns.push_back(*stream->schema.Find(column));
  const std::unique_lock lock(doors_mutex_);
  auto& slot = doors_[key];
  if (slot == nullptr || slot->generation != object->generation ||
      slot->revision != object->revision)
    slot = door;
  return slot;
}

Result<std::unique_ptr<RowChecker>> StreamIngest::TakeChecker(StreamDoor& door) {
  {
    const std::lock_guard lock(door.mutex);
    if (!door.idle_checkers.empty()) {
      auto checker = std::move(door.idle_checkers.back());
      door.idle_checkers.pop_back();
      return checker;
    }
  }
  return RowChecker::Make(*context_.catalog(), door.definition.schema, door.definition.checks,
                          *context_.database, {door.definition.format, context_.schemas});
}

// Decodes the rows, and sets the good ones (and the bad ones of a quarantining stream) into batches
// by partition.
Result<Sorted> StreamIngest::Sort(StreamDoor& door, const Request& request, Micros now) {
  TRY(auto checker, TakeChecker(door));
  const rows::Decoded decoded = checker->Decode(request.rows);
  Sorted sorted;
  const int32_t partitions = door.definition.partitions;
  sorted.writers.assign(static_cast<size_t>(partitions), BatchWriter(door.definition.storage));
  const log::Millis timestamp{now.value / 1000};

  std::vector<uint8_t> bad(request.rows.size(), 0);
  size_t bad_count = 0;
  for (const rows::RowError& error : decoded.errors) {
    if (!bad[error.row]) ++bad_count;
    bad[error.row] = 1;
  }
  const bool reject = door.definition.on_invalid == catalog::StreamDefinition::OnInvalid::kReject;
  if (bad_count > 0 && request.all_or_nothing) {
    const rows::RowError& first = decoded.errors.front();
    return Error(Code::kInvalidArgument, "row {} of stream {}: {}", first.row + 1,
                 Quoted(door.definition.name), first.message)
        .SqlState(first.kind == "check"      ? "23514"
                  : first.kind == "not_null" ? "23502"
                                             : "22P02");
  }
  if (reject) {
    sorted.answer.rejected_count = bad_count;
    for (const rows::RowError& error : decoded.errors) {
      if (sorted.answer.rejected.size() >= kRejectedListedMax) break;
      sorted.answer.rejected.push_back({error.row, error.column, error.message});
    }
  } else {
    sorted.answer.quarantined = bad_count;
  }
  sorted.answer.accepted = request.rows.size() - bad_count;

  // Rows without a key go together to one partition per request, the next request's to the next
  // one.
  const auto spread =
      static_cast<int32_t>(door.next_partition.fetch_add(1, std::memory_order_relaxed) %
                           static_cast<uint32_t>(partitions));
  std::vector<std::optional<std::string>> keys(request.rows.size());
  if (!door.key_columns.empty()) {
    size_t first = 0;
    for (const auto& chunk : decoded.chunks) {
      std::vector<std::optional<std::string>> chunk_keys = RecordKeys(*chunk, door.key_columns);
      for (size_t i = 0; i < chunk_keys.size(); ++i)
        keys[decoded.inputs[first + i]] = std::move(chunk_keys[i]);
      first += chunk->size();
    }
  }
  for (size_t row = 0; row < request.rows.size(); ++row) {
    if (bad[row] && reject) continue;
    const int32_t partition = keys[row] ? PartitionOf(*keys[row], partitions) : spread;
    BatchWriter& writer = sorted.writers[static_cast<size_t>(partition)];
    if (bad[row]) {  // whoever looks into the quarantine wants to know where it came from
      writer.Add(std::nullopt, request.rows[row], timestamp, {{kSourceHeader, request.source}});
    } else {
      writer.Add(keys[row] ? std::optional<std::string_view>(*keys[row]) : std::nullopt,
                 request.rows[row], timestamp);
    }
  }
  const std::lock_guard lock(door.mutex);
  door.idle_checkers.push_back(std::move(checker));
  return sorted;
}

Result<std::shared_ptr<StreamDoor>> StreamIngest::FindRowDoor(const std::string& name) {
  TRY(auto door, FindDoor(name));
  if (door->definition.format == catalog::StreamDefinition::Format::kRaw)
    return Error(Code::kNotSupported,
                 "stream {} holds raw records, not rows: they come from Kafka clients",
                 Quoted(door->definition.name));
  return door;
}

Status StreamIngest::Check(const Request& request) {
  TRY(const auto door, FindRowDoor(request.stream));
  TRY(Sort(*door, request, context_.clock->Now()));
  return Ok();
}

Result<std::string> StreamIngest::AppendTogether(const std::vector<Request>& requests,
                                                 log::AppendRequest append) {
  TRY(context_.admit());
  const Micros now = context_.clock->Now();
  std::vector<log::PartitionId> partitions;
  std::vector<int64_t> records;
  for (const log::PartitionAppend& other : append) {
    partitions.push_back(other.partition);
    records.push_back(0);  // no Kafka transaction writes there
  }
  std::vector<std::shared_ptr<StreamDoor>> doors;
  for (const Request& request : requests) {
    TRY(doors.emplace_back(), FindRowDoor(request.stream));
    TRY(Sorted sorted, Sort(*doors.back(), request, now));
    for (size_t i = 0; i < sorted.writers.size(); ++i) {
      if (sorted.writers[i].empty()) continue;
      partitions.push_back({doors.back()->topic, static_cast<int32_t>(i)});
      records.push_back(sorted.writers[i].records());
      append.push_back({partitions.back(), sorted.writers[i].Finish()});
    }
  }
  TRY(const log::Appended appended, context_.log->AppendAndWait(std::move(append)));
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto rows = static_cast<int64_t>(requests[i].rows.size());
    context_.door->Add(doors[i]->kept_as, requests[i].source,
                       {.sent = rows, .appended = rows, .repeated = 0, .rejected = 0});
  }
  return EncodeToken(TokenOf(appended, partitions, records));
}

void StreamIngest::Append(Request request, std::function<void(Result<Answer>)> done) {
  auto door = FindRowDoor(request.stream);
  if (!door.ok()) return done(door.error());
  const Micros now = context_.clock->Now();

  const std::string idempotency_key =
      request.idempotency_key.empty() ? "" : (*door)->kept_as + "\n" + request.idempotency_key;
  if (!idempotency_key.empty()) {
    int64_t expired_at = expired_at_.load();
    if (expired_at + kExpireEveryMicros < now.value &&
        expired_at_.compare_exchange_strong(expired_at, now.value)) {
      idempotency_.Expire(Micros{now.value - std::chrono::microseconds(kIdempotencyKept).count()});
    }
    const auto count_repeated = [this, stream = (*door)->kept_as, source = request.source,
                                 rows = static_cast<int64_t>(request.rows.size()),
                                 done](Result<Answer> answer) {
      if (answer.ok())
        context_.door->Add(stream, source,
                           {.sent = rows, .appended = 0, .repeated = rows, .rejected = 0});
      done(std::move(answer));
    };
    const auto verdict =
        idempotency_.Begin(idempotency_key, request.remember_long, request.body_hash,
                           (*door)->topic.value, now, count_repeated);
    if (verdict == IdempotencyIndex::Verdict::kAnswered) return;
  }
  const auto fail = [&](Error error) {
    if (!idempotency_key.empty()) idempotency_.Finish(idempotency_key, error);
    done(std::move(error));
  };
  if (Status admitted = context_.admit(); !admitted.ok()) return fail(admitted.error());
  auto sorted = Sort(**door, request, now);
  if (!sorted.ok()) return fail(sorted.error());
  AppendSorted(*door, std::move(request), std::move(*sorted), now, std::move(done));
}

void StreamIngest::AppendSorted(std::shared_ptr<StreamDoor> door, Request request, Sorted sorted,
                                Micros now, std::function<void(Result<Answer>)> done) {
  log::AppendRequest append;
  std::vector<Placed> placed;  // in the order of `append`
  for (size_t i = 0; i < sorted.writers.size(); ++i) {
    if (sorted.writers[i].empty()) continue;
    const log::PartitionId partition{door->topic, static_cast<int32_t>(i)};
    placed.push_back({partition, {}, sorted.writers[i].records()});
    append.push_back({partition, sorted.writers[i].Finish()});
  }
  const auto appended_rows =
      static_cast<int64_t>(sorted.answer.accepted + sorted.answer.quarantined);
  const DoorCounts counts{.sent = static_cast<int64_t>(request.rows.size()),
                          .appended = appended_rows,
                          .repeated = 0,
                          .rejected = static_cast<int64_t>(sorted.answer.rejected_count)};
  RememberedAnswer remembered{request.body_hash, door->topic.value, now, std::move(sorted.answer)};
  std::string key =
      request.idempotency_key.empty() ? "" : door->kept_as + "\n" + request.idempotency_key;
  if (!key.empty()) {
    log::RecordBatchBuilder record;
    record.Add(key, EncodeRemembered(remembered), log::Millis{now.value / 1000});
    append.push_back(
        {{request.remember_long ? kept_topic_ : idempotency_topic_, 0}, record.Finish()});
  }
  if (append.empty()) {  // every row was rejected, or there was none
    context_.door->Add(door->kept_as, request.source, counts);
    return done(std::move(remembered.answer));
  }
  auto finish = [this, door, key, counts, source = std::move(request.source),
                 remembered = std::move(remembered), placed = std::move(placed),
                 done](Result<log::Appended> appended) mutable {
    if (!appended.ok()) {
      if (!key.empty()) idempotency_.Finish(key, appended.error());
      return done(
          std::move(appended).error().With("append to stream " + Quoted(door->definition.name)));
    }
    std::vector<log::PartitionId> partitions;
    std::vector<int64_t> records;
    for (const Placed& place : placed) {
      partitions.push_back(place.partition);
      records.push_back(place.records);
    }
    remembered.answer.token = EncodeToken(TokenOf(*appended, partitions, records));
    context_.door->Add(door->kept_as, source, counts);
    if (!key.empty()) idempotency_.Finish(key, remembered);
    for (size_t i = 0; i < placed.size(); ++i) placed[i].first = appended->base_offsets[i];
    remembered.answer.placed = std::move(placed);
    done(std::move(remembered.answer));
  };
  // When Append itself fails it does not call back: then the same function tells.
  auto shared = std::make_shared<decltype(finish)>(std::move(finish));
  const Status queued = context_.log->Append(
      std::move(append),
      [shared](Result<log::Appended> appended) { (*shared)(std::move(appended)); });
  if (!queued.ok()) (*shared)(queued.error());
}

Status StreamIngest::AppendBatches(BatchRequest request, log::AppendDone done) {
  TRY(auto door, FindDoor(request.stream));
  TRY(context_.admit());
  const bool rejects = door->definition.on_invalid == catalog::StreamDefinition::OnInvalid::kReject;
  std::unique_ptr<RowChecker> checker;
  if (rejects) {
    TRY(checker, TakeChecker(*door));
  }
  const Result<int64_t> records = CheckBatches(
      request.batches, {.rows = checker.get(), .packed_keys = door->definition.storage.compact});
  if (checker != nullptr) {
    const std::lock_guard lock(door->mutex);
    door->idle_checkers.push_back(std::move(checker));
  }
  if (!records.ok()) {
    if (records.error().code() == Code::kInvalidArgument)
      return Error(Code::kInvalidArgument, "stream {}: {}", Quoted(door->definition.name),
                   records.error().message());
    return records.error();
  }
  log::AppendRequest append;
  append.push_back({{door->topic, request.partition}, std::move(request.batches)});
  return context_.log->Append(
      std::move(append), [this, door, source = std::move(request.source), count = *records,
                          done = std::move(done)](Result<log::Appended> appended) {
        if (appended.ok()) {
          context_.door->Add(door->kept_as, source,
                             {.sent = count,
                              .appended = count - appended->repeated_records,
                              .repeated = appended->repeated_records,
                              .rejected = 0});
        }
        done(std::move(appended));
      });
}

}  // namespace

Result<std::unique_ptr<Ingest>> MakeIngest(IngestContext context) {
  auto ingest = std::make_unique<StreamIngest>(std::move(context));
  TRY(ingest->Load());
  return std::unique_ptr<Ingest>(std::move(ingest));
}

Result<Answer> Ingest::AppendAndWait(Request request) {
  auto promise = std::make_shared<std::promise<Result<Answer>>>();
  auto answer = promise->get_future();
  Append(std::move(request),
         [promise](Result<Answer> result) { promise->set_value(std::move(result)); });
  return answer.get();
}

}  // namespace millrace::ingest
