#include "runtime/stream_history.h"

#include <algorithm>

#include "catalog/stream_versions.h"

namespace millrace::runtime {

namespace {
constexpr size_t kHistoryReadBytes = 1 << 20;
}

std::vector<StreamHistory::Range> StreamHistory::RangesUntil(const log::Log& log,
                                                             const Relation& relation,
                                                             const NodeState& state) {
  std::vector<Range> ranges;
  const auto cut = log.DurableCut();
  for (int32_t i = 0; i < relation.partitions(); ++i) {
    const log::PartitionId partition{relation.topic(), i};
    const auto position = state.positions.find(partition);
    const log::Cut::End* available = cut->Find(partition);
    if (position == state.positions.end() || available == nullptr) continue;
    ranges.push_back({i, available->start, position->second.next});
  }
  return ranges;
}

StreamHistory::StreamHistory(const log::Log& log, std::shared_ptr<const Relation> relation,
                             const std::vector<size_t>& columns, std::vector<Range> ranges)
    : log_(log), relation_(std::move(relation)), columns_(columns), ranges_(std::move(ranges)) {
  const catalog::RelationShape& shape = relation_->shape;
  for (size_t column : columns_) {
    if (column < shape.visible) wanted_.push_back(column);
    types_.push_back(shape.schema.columns[column].type);
  }
  std::sort(wanted_.begin(), wanted_.end());
  wanted_.erase(std::unique(wanted_.begin(), wanted_.end()), wanted_.end());
}

std::vector<StreamHistory> StreamHistory::Split(int64_t records) const {
  std::vector<StreamHistory> parts;
  for (const Range& range : ranges_) {
    for (log::Offset at = range.next; at < range.end; at = at + records) {
      const log::Offset end = range.end - at > records ? at + records : range.end;
      parts.push_back(StreamHistory(log_, relation_, columns_, {{range.partition, at, end}}));
    }
  }
  return parts;
}

Result<std::shared_ptr<duckdb::DataChunk>> StreamHistory::Next() {
  while (ready_next_ >= ready_.size()) {
    if (range_ >= ranges_.size()) return std::shared_ptr<duckdb::DataChunk>();
    TRY(Decode());
  }
  return std::move(ready_[ready_next_++]);
}

Status StreamHistory::Decode() {
  ready_.clear();
  ready_next_ = 0;
  Range& range = ranges_[range_];
  if (range.next >= range.end) {
    ++range_;
    return Ok();
  }
  const log::PartitionId partition{relation_->topic(), range.partition};
  const catalog::VersionRange version =
      catalog::VersionAt(*relation_->stream(), range.partition, range.next.value);
  const log::Offset end = version.end ? std::min(log::Offset{*version.end}, range.end) : range.end;
  if (decoder_ == nullptr || &decoder_->schema() != version.schema)
    decoder_ = std::make_unique<VersionDecoder>(*relation_->stream(), relation_->format(),
                                                *version.schema, wanted_);
  TRY(const log::ReadResult read, log_.Read(partition, {.from = range.next,
                                                        .until = end,
                                                        .bytes_max = kHistoryReadBytes,
                                                        .unpack = true,
                                                        .committed_only = true}));
  for (const log::DamagedRange& damaged : read.damaged) {
    if (damaged.first >= end) continue;
    lost_.push_back(
        fmt::format("stream {}: records {} to {} of partition {} are lost to damage on disk ({})",
                    relation_->object.name(), damaged.first.value, damaged.last.value,
                    range.partition, damaged.reason));
  }
  const std::vector<Exclusions::Item> excluded =
      relation_->exclusions->Read(range.partition, range.next, std::min(read.next, end));
  struct Place {
    int64_t offset;
    int64_t timestamp_micros;
    int64_t ingested_micros;
    bool late;
  };
  std::vector<ingest::Record> values;
  std::vector<Place> places;
  auto next_excluded = excluded.begin();
  for (const log::ReadBatch& batch : read.batches) {
    log::RecordCursor records = batch.view().records();
    while (records.Next()) {
      const log::RecordView& record = records.record();
      if (record.offset < range.next) continue;
      if (record.offset >= end) break;
      while (next_excluded != excluded.end() && next_excluded->offset < record.offset)
        ++next_excluded;
      const bool set_aside =
          next_excluded != excluded.end() && next_excluded->offset == record.offset;
      if (set_aside && Excludes(next_excluded->reason)) continue;
      const bool late = set_aside && next_excluded->reason == Reason::kLateKept;
      values.emplace_back(record, batch.frame);
      places.push_back(
          {record.offset.value, record.timestamp.value * 1000, batch.clock.value, late});
    }
  }
  range.next = std::min(std::max(read.next, range.next + 1), end);

  // A query may ask for hidden columns only, or none at all (count(*)): then nothing needs
  // decoding.
  rows::Decoded decoded;
  if (!wanted_.empty()) {
    TRY(decoded, decoder_->Decode(values));
    if (!decoded.errors.empty()) {
      return Error(Code::kCorruption,
                   "stream {}: a record at partition {} that was a row cannot be decoded: {}",
                   Quoted(relation_->object.name()), range.partition, decoded.errors[0].message);
    }
  }
  const size_t visible = relation_->shape.visible;
  size_t chunk_index = 0;
  for (size_t first = 0; first < values.size(); ++chunk_index) {
    const size_t count = wanted_.empty()
                             ? std::min<size_t>(STANDARD_VECTOR_SIZE, values.size() - first)
                             : decoded.chunks[chunk_index]->size();
    auto rows = std::make_shared<duckdb::DataChunk>();
    rows->InitializeEmpty(types_);
    for (size_t i = 0; i < columns_.size(); ++i) {
      const size_t column = columns_[i];
      if (column < visible) {
        const auto at = std::lower_bound(wanted_.begin(), wanted_.end(), column) - wanted_.begin();
        rows->data[i].Reference(decoded.chunks[chunk_index]->data[static_cast<size_t>(at)]);
      } else if (column == visible) {
        rows->data[i].Reference(duckdb::Value::INTEGER(range.partition));
      } else if (column == visible + 4) {
        duckdb::Vector vector(types_[i], count);
        auto* data = duckdb::FlatVector::GetData<bool>(vector);
        for (size_t row = 0; row < count; ++row) data[row] = places[first + row].late;
        rows->data[i].Reference(vector);
      } else {
        duckdb::Vector vector(types_[i], count);
        auto* data = duckdb::FlatVector::GetData<int64_t>(vector);
        for (size_t row = 0; row < count; ++row) {
          const Place& place = places[first + row];
          data[row] = column == visible + 1   ? place.offset
                      : column == visible + 2 ? place.ingested_micros
                                              : place.timestamp_micros;
        }
        rows->data[i].Reference(vector);
      }
    }
    rows->SetCardinality(count);
    ready_.push_back(std::move(rows));
    first += count;
  }
  return Ok();
}

}  // namespace millrace::runtime
