#include "nexmark/logged_events.h"

#include "nexmark/dataflow.h"
#include "rows/encode.h"

namespace millrace::nexmark {

namespace {

// A producer's batch, as Kafka clients send them by default under load.
constexpr size_t kBatchBytes = 1 << 20;

}  // namespace

Result<std::unique_ptr<LoggedEvents>> LoggedEvents::Write(const std::string& directory,
                                                          const Generator& generator,
                                                          int64_t events, int64_t step_events,
                                                          int workers, sql::Database& database) {
  std::unique_ptr<LoggedEvents> logged(new LoggedEvents());
  log::LogOptions options;
  options.directory = directory;
  TRY(logged->log_, log::Log::Open(options));
  logged->clock_ = {generator.TimeOf(events)};
  for (const Kind kind : kKinds) TRY(logged->AddStream(kind, workers, database));
  for (int64_t begin = 0; begin < events; begin += step_events) {
    const int64_t count = std::min(step_events, events - begin);
    for (auto& [kind, stream] : logged->streams_) {
      for (int worker = 0; worker < workers; ++worker) {
        const EventRange share{begin + count * worker / workers,
                               begin + count * (worker + 1) / workers};
        TRY(logged->Append(stream, worker, generator.Rows(kind, share)));
      }
    }
  }
  return logged;
}

Status LoggedEvents::AddStream(Kind kind, int workers, sql::Database& database) {
  catalog::StreamDefinition definition = StreamOf(kind);
  definition.partitions = workers;
  TRY(const log::TopicInfo topic,
      log_->CreateTopic(definition.name, log::TopicConfig{.partitions = workers}));
  Stream& stream = streams_[kind];
  stream.relation = std::make_shared<runtime::Relation>();
  stream.relation->internal_name = definition.name;
  stream.relation->object.definition = std::move(definition);
  stream.relation->object.topic_id = topic.id.value;
  stream.relation->shape = catalog::ShapeOf(stream.relation->object);
  TRY(stream.source,
      runtime::StreamSource::Make(stream.relation, *NexmarkCatalog(), workers, database));
  for (int32_t i = 0; i < workers; ++i) {
    const log::PartitionId partition{topic.id, i};
    stream.readers.push_back(
        std::make_unique<runtime::PartitionReader>(*log_, partition, partition, log::Offset{0}));
  }
  stream.ends.resize(static_cast<size_t>(workers));
  return Ok();
}

Status LoggedEvents::Append(Stream& stream, int32_t partition, const rows::Batch& rows) {
  const catalog::RelationShape& shape = stream.relation->shape;
  std::vector<std::string> names = shape.schema.names();
  names.resize(shape.visible);
  rows::RowWriter writer(std::move(names));
  std::vector<log::Offset>& ends = stream.ends[static_cast<size_t>(partition)];
  log::Offset end = ends.empty() ? log::Offset{0} : ends.back();
  log::RecordBatchBuilder builder;
  const log::PartitionId to{stream.relation->topic(), partition};
  const auto flush = [&]() -> Status {
    if (builder.empty()) return Ok();
    const int64_t appended_count = builder.record_count();
    end = end + appended_count;
    std::string bytes = builder.Finish();
    bytes_ += bytes.size();
    TRY(const log::Appended appended, log_->AppendAndWait({{to, std::move(bytes)}}));
    CHECK(appended.base_offsets.at(0) + appended_count == end);
    return Ok();
  };
  std::string json;
  for (const auto& part : rows.parts) {
    writer.Bind(*part.rows);
    const size_t time = shape.visible + 3;
    duckdb::UnifiedVectorFormat times;
    part.rows->data[time].ToUnifiedFormat(part.rows->size(), times);
    for (size_t row = 0; row < part.rows->size(); ++row) {
      json.clear();
      writer.JsonObject(row, json);
      const auto micros = duckdb::UnifiedVectorFormat::GetData<int64_t>(times)[row];
      builder.Add(std::nullopt, json, log::Millis{micros / 1000});
      if (builder.size() >= kBatchBytes) TRY(flush());
    }
  }
  TRY(flush());
  ends.push_back(end);
  return Ok();
}

std::map<std::string, stream::Plan> LoggedEvents::Plans() const {
  std::map<std::string, stream::Plan> plans;
  for (const auto& [kind, stream] : streams_)
    plans[RelationName(kind)] = runtime::StreamPlan(*stream.relation);
  return plans;
}

std::map<std::string, stream::SourceReader*> LoggedEvents::Sources() {
  std::map<std::string, stream::SourceReader*> sources;
  for (auto& [kind, stream] : streams_) sources[RelationName(kind)] = stream.source.get();
  return sources;
}

Status LoggedEvents::Prepare() {
  constexpr log::FrameSequence kAnyFrame{UINT64_MAX};
  for (auto& [kind, stream] : streams_) {
    std::vector<runtime::PartitionSlice> slices;
    for (size_t i = 0; i < stream.readers.size(); ++i) {
      const log::Offset end = stream.ends[i][step_];
      TRY(stream.readers[i]->Fill(end, SIZE_MAX, INT64_MAX));
      slices.push_back(stream.readers[i]->Take(kAnyFrame, end));
    }
    stream.source->Prepare(std::move(slices), runtime::NodeState(), clock_);
  }
  ++step_;
  return Ok();
}

}  // namespace millrace::nexmark
