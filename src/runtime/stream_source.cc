#include "runtime/stream_source.h"

#include <algorithm>

#include "base/logging.h"

namespace millrace::runtime {

namespace {

// Values are decoded in slices of this many, so that the decoder's buffers stay in the cache.
constexpr size_t kDecodeSlice = 8 * STANDARD_VECTOR_SIZE;

struct RecordPlace {
  log::Offset offset;
  int64_t timestamp_micros;
  int64_t ingested_micros;
  int64_t order;
};

bool IsIdle(const catalog::StreamDefinition& stream, const Position* position, Micros clock) {
  return position == nullptr || position->event_time_max == kNoEventTime ||
         position->moved_at.value + stream.idle_after.count() < clock.value;
}

const Position* FindPosition(const NodeState& state, log::PartitionId partition) {
  const auto it = state.positions.find(partition);
  return it == state.positions.end() ? nullptr : &it->second;
}

// Of the append order in the source's rows: behind what the first version has.
size_t OrderPlace(const catalog::EngineLayout& layout) {
  return layout.hidden() + catalog::kHiddenStreamColumns;
}

rows::Schema SourceSchema(const catalog::EngineLayout& layout) {
  rows::Schema schema = layout.schema();
  rows::Column order;
  order.name = "_order";
  order.type = duckdb::LogicalType::BIGINT;
  schema.columns.insert(schema.columns.begin() + static_cast<std::ptrdiff_t>(OrderPlace(layout)),
                        std::move(order));
  return schema;
}

}  // namespace

stream::Plan StreamPlan(const Relation& relation) {
  const catalog::StreamDefinition& definition = *relation.stream();
  const catalog::EngineLayout layout(definition);
  const rows::Schema source = SourceSchema(layout);
  const size_t order = OrderPlace(layout);
  // The state of what follows began with the columns of the first version.
  const size_t known = order + 1;

  stream::Plan plan;
  size_t top = plan.Add({stream::Source{relation.internal_name, /*insert_only=*/true},
                         {},
                         source.types(),
                         source.names()});
  plan.nodes[top].known_types = known;
  if (definition.deduplicate) {
    const std::vector<size_t> positions = layout.PositionsOf(definition.schema);
    stream::Deduplicate deduplicate;
    for (const std::string& column : definition.deduplicate->columns) {
      deduplicate.keys.push_back(positions[*definition.schema.Find(column)]);
    }
    deduplicate.within = definition.deduplicate->within;
    if (deduplicate.within && definition.watermark)
      deduplicate.time = positions[*definition.schema.Find(definition.watermark->column)];
    deduplicate.partition = layout.hidden();
    deduplicate.offset = layout.hidden() + 1;
    deduplicate.order = order;
    deduplicate.stream = relation.internal_name;
    top = plan.Add({std::move(deduplicate), {top}, source.types(), source.names()});
    plan.nodes[top].known_types = known;
  }
  stream::Project project;
  rows::Schema given;
  for (size_t i = 0; i < source.columns.size(); ++i) {
    if (i == order) continue;
    const rows::Column& column = source.columns[i];
    project.expressions.push_back(
        std::make_shared<duckdb::BoundReferenceExpression>(column.name, column.type, i));
    given.columns.push_back(column);
  }
  top = plan.Add({std::move(project), {top}, given.types(), given.names()});
  plan.Add({stream::Output{relation.internal_name, /*gathered=*/false},
            {top},
            given.types(),
            given.names()});
  return plan;
}

Result<std::unique_ptr<StreamSource>> StreamSource::Make(std::shared_ptr<const Relation> relation,
                                                         const catalog::Catalog& catalog,
                                                         int workers, sql::Database& database) {
  std::vector<std::unique_ptr<ingest::RowChecker>> checkers;
  for (int i = 0; i < workers; ++i) {
    TRY(auto checker,
        ingest::RowChecker::Make(catalog, relation->stream()->schema, relation->stream()->checks,
                                 database, relation->format()));
    checkers.push_back(std::move(checker));
  }
  return std::unique_ptr<StreamSource>(new StreamSource(std::move(relation), std::move(checkers)));
}

StreamSource::StreamSource(std::shared_ptr<const Relation> relation,
                           std::vector<std::unique_ptr<ingest::RowChecker>> checkers)
    : relation_(std::move(relation)),
      checkers_(std::move(checkers)),
      layout_(*relation_->stream()),
      types_(SourceSchema(layout_).types()),
      places_(layout_.PositionsOf(relation_->stream()->schema)) {
  places_.resize(relation_->shape.visible);
  for (size_t& place : places_) {
    if (place >= OrderPlace(layout_)) ++place;
  }
  for (size_t i = 0; i < types_.size(); ++i) {
    const bool filled = (i >= layout_.hidden() && i <= OrderPlace(layout_)) ||
                        std::find(places_.begin(), places_.end(), i) != places_.end();
    if (!filled) gone_.push_back(i);
  }
  if (relation_->stream()->watermark)
    time_column_ = relation_->stream()->schema.Find(relation_->stream()->watermark->column);
}

void StreamSource::Prepare(std::vector<PartitionSlice> slices, const NodeState& state,
                           Micros clock) {
  const catalog::StreamDefinition& stream = *relation_->stream();
  const auto partitions = static_cast<size_t>(stream.partitions);
  slices_.assign(partitions, {});
  findings_.assign(partitions, {});
  late_below_.assign(partitions, INT64_MIN);
  future_limit_ = clock.value + stream.future_max.count();
  for (PartitionSlice& slice : slices)
    slices_[static_cast<size_t>(slice.partition.partition)] = std::move(slice);
  WarnOfHeat();
  const auto watermark = state.watermarks.find(relation_->internal_name);
  for (size_t i = 0; i < partitions; ++i) {
    const Position* position = FindPosition(state, {relation_->topic(), static_cast<int32_t>(i)});
    PartitionFindings& found = findings_[i];
    found.event_time_max = position == nullptr ? kNoEventTime : position->event_time_max;
    found.moved =
        !slices_[i].batches.empty() || (position != nullptr && position->next < slices_[i].end);
    found.end = slices_[i].end;
    found.aborted = slices_[i].aborted;
    if (!stream.watermark) continue;
    // Never below the stream's watermark: what it closed stays closed, also for a partition that
    // was idle meanwhile.
    if (watermark != state.watermarks.end()) late_below_[i] = watermark->second.value;
    if (!IsIdle(stream, position, clock)) {
      late_below_[i] =
          std::max(late_below_[i], position->event_time_max - stream.watermark->delay.count());
    }
  }
}

void StreamSource::WarnOfHeat() const {
  const Heat::Time now = std::chrono::steady_clock::now();
  const int32_t hot = relation_->heat->TakeWarning(relation_->partitions(), now);
  if (hot < 0) return;
  const Heat::Partition seen = relation_->heat->Read(now).at(static_cast<size_t>(hot));
  std::string keys;
  for (const Heat::Key& key : seen.keys)
    keys += fmt::format("{}{} ({:.0f} %)", keys.empty() ? "" : ", ", key.key, 100.0 * key.share);
  LOG_WARNING("a partition has more than twice its share of its stream",
              "stream={} partition={} share={:.0f}% keys={}", relation_->object.name(), hot,
              100.0 * seen.share, Quoted(keys));
}

Result<rows::Batch> StreamSource::Read(int worker) {
  rows::Batch out;
  const size_t workers = checkers_.size();
  for (size_t i = static_cast<size_t>(worker); i < slices_.size(); i += workers) {
    if (!slices_[i].batches.empty())
      ReadPartition(*checkers_[static_cast<size_t>(worker)], slices_[i], out);
  }
  return out;
}

void StreamSource::ReadPartition(ingest::RowChecker& checker, const PartitionSlice& slice,
                                 rows::Batch& out) {
  const catalog::StreamDefinition& stream = *relation_->stream();
  const auto partition = static_cast<size_t>(slice.partition.partition);
  PartitionFindings& found = findings_[partition];
  int64_t late_below = late_below_[partition];
  const size_t hidden = layout_.hidden();

  std::vector<ingest::Record> values;
  std::vector<RecordPlace> places;
  const auto decode = [&] {
    const rows::Decoded decoded = checker.Decode(values);
    found.records += static_cast<int64_t>(values.size());
    // One exclusion a record, however many of its columns are wrong.
    size_t last_bad = SIZE_MAX;
    for (const rows::RowError& error : decoded.errors) {
      if (error.row == last_bad) continue;
      last_bad = error.row;
      found.exclusions.push_back({places[error.row].offset, Reason::kInvalid});
      ++found.invalid;
    }
    size_t first = 0;
    for (const auto& chunk : decoded.chunks) {
      const size_t count = chunk->size();
      auto rows = std::make_shared<duckdb::DataChunk>();
      rows->InitializeEmpty(types_);
      for (size_t i = 0; i < places_.size(); ++i) rows->data[places_[i]].Reference(chunk->data[i]);
      for (const size_t gone : gone_) rows->data[gone].Reference(duckdb::Value(types_[gone]));
      const auto fill = [&](size_t column, const auto& value_of) {
        using Value = decltype(value_of(places[0]));
        duckdb::Vector vector(types_[column], count);
        auto* data = duckdb::FlatVector::GetData<Value>(vector);
        for (size_t i = 0; i < count; ++i) data[i] = value_of(places[decoded.inputs[first + i]]);
        rows->data[column].Reference(vector);
      };
      rows->data[hidden].Reference(duckdb::Value::INTEGER(slice.partition.partition));
      fill(hidden + 1, [](const RecordPlace& place) { return place.offset.value; });
      fill(hidden + 2, [](const RecordPlace& place) { return place.ingested_micros; });
      fill(hidden + 3, [](const RecordPlace& place) { return place.timestamp_micros; });
      fill(hidden + 5, [](const RecordPlace& place) { return place.order; });
      rows->SetCardinality(count);

      duckdb::SelectionVector kept(count);
      size_t kept_count = 0;
      if (time_column_) {
        duckdb::Vector late_rows(duckdb::LogicalType::BOOLEAN, count);
        auto* is_late = duckdb::FlatVector::GetData<bool>(late_rows);
        duckdb::UnifiedVectorFormat times;
        chunk->data[*time_column_].ToUnifiedFormat(count, times);
        const auto* data = duckdb::UnifiedVectorFormat::GetData<int64_t>(times);
        for (size_t i = 0; i < count; ++i) {
          const size_t at = times.sel->get_index(i);
          bool late = false;
          if (times.validity.RowIsValid(at)) {
            late = data[at] < late_below;
            if (data[at] <= future_limit_ && data[at] > found.event_time_max) {
              found.event_time_max = data[at];
              late_below = std::max(late_below, data[at] - stream.watermark->delay.count());
            }
          }
          is_late[i] = late;
          const bool diverted = late && stream.late == catalog::StreamDefinition::Late::kDivert;
          if (late) {
            ++(diverted ? found.late_diverted : found.late_kept);
            found.exclusions.push_back({places[decoded.inputs[first + i]].offset,
                                        diverted ? Reason::kLateDiverted : Reason::kLateKept});
          }
          if (!diverted) kept.set_index(kept_count++, i);
        }
        rows->data[hidden + 4].Reference(late_rows);
      } else {
        rows->data[hidden + 4].Reference(duckdb::Value::BOOLEAN(false));
        kept_count = count;
      }
      first += count;
      if (kept_count == 0) continue;
      if (kept_count < count) rows->Slice(kept, kept_count);
      out.parts.push_back({std::move(rows), {}});
    }
    values.clear();
    places.clear();
  };

  int64_t bytes = 0;
  std::vector<std::string_view> keys;
  for (const log::ReadBatch& batch : slice.batches) {
    bytes += static_cast<int64_t>(batch.bytes.size());
    const int64_t order = AppendOrder(batch);
    log::RecordCursor records = batch.view().records();
    while (records.Next()) {
      const log::RecordView& record = records.record();
      if (record.offset < slice.begin) continue;
      if (record.key && record.offset.value % Heat::kSample == 0) keys.push_back(*record.key);
      values.emplace_back(record, batch.frame);
      places.push_back({record.offset, record.timestamp.value * 1000, batch.clock.value, order});
      if (values.size() >= kDecodeSlice) decode();
    }
  }
  if (!values.empty()) decode();
  relation_->heat->Add(slice.partition.partition, slice.records, bytes, keys,
                       std::chrono::steady_clock::now());
  std::sort(
      found.exclusions.begin(), found.exclusions.end(),
      [](const Exclusions::Item& a, const Exclusions::Item& b) { return a.offset < b.offset; });
}

std::optional<Micros> WatermarkOf(const catalog::StreamDefinition& stream, log::TopicId topic,
                                  const NodeState& state, Micros clock,
                                  std::optional<Micros> before) {
  if (!stream.watermark) return std::nullopt;
  std::optional<int64_t> least;
  for (int32_t i = 0; i < stream.partitions; ++i) {
    const Position* position = FindPosition(state, {topic, i});
    if (IsIdle(stream, position, clock)) continue;
    least = std::min(least.value_or(INT64_MAX),
                     position->event_time_max - stream.watermark->delay.count());
  }
  if (!least) return before;
  return Micros{before ? std::max(before->value, *least) : *least};
}

}  // namespace millrace::runtime
