#include "runtime/snapshot.h"

#include <algorithm>

#include "column_cache/column_cache.h"
#include "runtime/set_aside.h"
#include "runtime/stream_columns.h"

namespace millrace::runtime {

namespace {

// Records that a thread reads before it looks for more: enough that what a part begins with does
// not count, few enough that no thread is left with the last one for long.
constexpr int64_t kPartRecords = 128 << 10;

class StreamScan final : public sql::RelationScan {
 public:
  // `note_read`: called at the end with the rows that it gave; may be empty.
  using NoteRead = std::function<void(int64_t rows)>;
  StreamScan(std::shared_ptr<const NodeSnapshot> snapshot, StreamHistory history,
             NoteRead note_read)
      : snapshot_(std::move(snapshot)),
        history_(std::move(history)),
        note_read_(std::move(note_read)) {}
  std::vector<std::unique_ptr<sql::RelationScan>> Split() override {
    std::vector<std::unique_ptr<sql::RelationScan>> parts;
    for (StreamHistory& part : history_.Split(kPartRecords))
      parts.push_back(std::make_unique<StreamScan>(snapshot_, std::move(part), note_read_));
    return parts;
  }
  Status Next(duckdb::DataChunk& out) override {
    TRY(const auto chunk, history_.Next());
    if (chunk == nullptr) {
      snapshot_->AddNotices(history_.lost());
      if (note_read_) note_read_(std::exchange(rows_, 0));
      out.SetCardinality(0);
    } else {
      rows_ += static_cast<int64_t>(chunk->size());
      out.Reference(*chunk);
    }
    return Ok();
  }

 private:
  std::shared_ptr<const NodeSnapshot> snapshot_;
  StreamHistory history_;
  const NoteRead note_read_;
  int64_t rows_ = 0;
};

// Rows that stand in chunks already.
class BatchScan final : public sql::RelationScan {
 public:
  BatchScan(rows::Batch batch, rows::Types types, std::vector<size_t> columns)
      : batch_(std::move(batch)), types_(std::move(types)), columns_(std::move(columns)) {}
  Status Next(duckdb::DataChunk& out) override {
    if (part_ >= batch_.parts.size()) {
      out.SetCardinality(0);
      return Ok();
    }
    const rows::Batch::Part& part = batch_.parts[part_++];
    // A row of weight n stands n times.
    std::vector<duckdb::sel_t> selected;
    for (size_t row = 0; row < part.rows->size(); ++row) {
      for (rows::Weight i = 0; i < part.weight(row); ++i)
        selected.push_back(static_cast<duckdb::sel_t>(row));
    }
    CHECK(selected.size() <= STANDARD_VECTOR_SIZE) << "callers split heavier rows";
    duckdb::SelectionVector selection(selected.data());
    for (size_t i = 0; i < columns_.size(); ++i) {
      out.data[i].Slice(part.rows->data[columns_[i]], selection, selected.size());
      out.data[i].Flatten(selected.size());
    }
    out.SetCardinality(selected.size());
    return Ok();
  }

 private:
  const rows::Batch batch_;
  const rows::Types types_;
  const std::vector<size_t> columns_;
  size_t part_ = 0;
};

class ContentScan final : public sql::RelationScan {
 public:
  ContentScan(std::shared_ptr<const NodeSnapshot> snapshot,
              std::shared_ptr<const Relation> relation, std::vector<size_t> columns)
      : snapshot_(std::move(snapshot)),
        relation_(std::move(relation)),
        columns_(std::move(columns)),
        decoder_(relation_->content->types()) {
    rows_.Initialize(duckdb::Allocator::DefaultAllocator(), relation_->content->types());
  }
  Status Next(duckdb::DataChunk& out) override {
    std::vector<std::string_view> encoded;
    encoded.reserve(STANDARD_VECTOR_SIZE);
    while (encoded.size() < STANDARD_VECTOR_SIZE) {
      if (again_ > 0) {
        encoded.push_back(row_);
        --again_;
      } else if (next_ < entries_.size()) {
        row_ = entries_[next_].first;
        again_ = entries_[next_++].second;
      } else if (!more_ || !encoded.empty()) {
        break;  // the scan's next rows end those that were collected
      } else {
        entries_.clear();
        next_ = 0;
        if (scan_ == nullptr) scan_ = relation_->content->Scan({snapshot_->step()});
        TRY(more_,
            scan_->Next(STANDARD_VECTOR_SIZE, [&](std::string_view row, rows::Weight weight) {
              entries_.emplace_back(row, weight);
            }));
      }
    }
    if (!encoded.empty() && !columns_.empty()) {
      rows_.Reset();
      TRY(decoder_.Decode(encoded, rows_, 0));
      rows_.SetCardinality(encoded.size());
      for (size_t i = 0; i < columns_.size(); ++i) {
        duckdb::VectorOperations::Copy(rows_.data[columns_[i]], out.data[i], encoded.size(), 0, 0);
      }
    }
    out.SetCardinality(encoded.size());
    return Ok();
  }

 private:
  const std::shared_ptr<const NodeSnapshot> snapshot_;
  const std::shared_ptr<const Relation> relation_;
  const std::vector<size_t> columns_;
  rows::RowDecoder decoder_;
  duckdb::DataChunk rows_;
  std::unique_ptr<state::ViewScan> scan_;
  bool more_ = true;
  std::vector<std::pair<std::string_view, rows::Weight>> entries_;
  size_t next_ = 0;
  std::string_view row_;
  rows::Weight again_ = 0;
};

std::unique_ptr<sql::RelationScan> ScanValues(const std::vector<std::vector<duckdb::Value>>& values,
                                              const rows::Types& types,
                                              const std::vector<size_t>& columns) {
  rows::Batch batch;
  for (size_t begin = 0; begin < values.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, values.size() - begin);
    auto chunk = std::make_shared<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types);
    for (size_t row = 0; row < count; ++row) {
      for (size_t column = 0; column < types.size(); ++column)
        chunk->SetValue(column, row, values[begin + row][column]);
    }
    chunk->SetCardinality(count);
    batch.parts.push_back({std::move(chunk), {}});
  }
  return std::make_unique<BatchScan>(std::move(batch), types, columns);
}

// "clicks.quarantine" → the stream clicks and what of it.
struct SetAsideName {
  std::shared_ptr<const Relation> stream;
  SetAside what;
};
std::optional<SetAsideName> FindSetAside(const Published& published, std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view suffix = name.substr(dot + 1);
  const bool quarantine = rows::EqualNames(suffix, "quarantine");
  if (!quarantine && !rows::EqualNames(suffix, "late")) return std::nullopt;
  auto relation = published.relations->Find(name.substr(0, dot));
  if (relation == nullptr) return std::nullopt;
  if (relation->stream() == nullptr &&
      (!quarantine || catalog::TableOfTopic(relation->object) == nullptr))
    return std::nullopt;
  return SetAsideName{std::move(relation), quarantine ? SetAside::kQuarantine : SetAside::kLate};
}

}  // namespace

Result<NodeSnapshot::RelationShape> NodeSnapshot::Shape(std::string_view name) const {
  if (const SystemTable* table = system_tables_.Find(name)) {
    return RelationShape{table->schema, table->schema.columns.size()};
  }
  if (const auto relation = published().relations->Find(name)) return relation->shape;
  // A plain view has no content: its query stands in its place.
  if (const catalog::ViewDefinition* view = catalog().FindView(name);
      view != nullptr && !view->materialized) {
    return RelationShape{view->schema, view->schema.columns.size()};
  }
  if (FindSetAside(published(), name)) {
    const rows::Schema schema = SetAsideSchema();
    return RelationShape{schema, schema.columns.size()};
  }
  if (const catalog::Build* build = catalog().FindBuild(catalog::Kind::kView, name)) {
    const auto state = published().state.builds.find(build->number);
    return Error(Code::kConflict, "view {} is being built from history: {:.0f} % of it is in",
                 Quoted(name),
                 state == published().state.builds.end() ? 0 : state->second.fraction() * 100)
        .Hint("it can be read when it is built; SHOW VIEWS says how far it is")
        .SqlState("55000");
  }
  std::vector<std::string> names = catalog().RelationNames();
  const std::vector<std::string> system = system_tables_.names();
  names.insert(names.end(), system.begin(), system.end());
  return Error(Code::kNotFound, "table {} does not exist", Quoted(name))
      .Hint(DidYouMean(name, names))
      .SqlState("42P01");
}

Result<std::unique_ptr<sql::RelationScan>> NodeSnapshot::Scan(
    std::string_view name, const std::vector<size_t>& columns,
    const std::vector<Equality>& equalities) const {
  if (const SystemTable* table = system_tables_.Find(name)) {
    return ScanValues(table->rows(published()), table->schema.types(), columns);
  }
  const auto relation = published().relations->Find(name);
  if (relation == nullptr) {
    const auto set_aside = FindSetAside(published(), name);
    if (!set_aside)
      return Error(Code::kNotFound, "table {} does not exist", Quoted(name)).SqlState("42P01");
    TRY(const auto values, ReadSetAside(log_, *published().catalog, *set_aside->stream,
                                        set_aside->what, published().state, database_));
    return ScanValues(values, SetAsideSchema().types(), columns);
  }
  if (relation->stream() != nullptr) {
    return ScanStream(relation, columns,
                      StreamHistory::RangesUntil(log_, *relation, published().state));
  }
  NoteHalt(*relation);
  const rows::Types& types = relation->content->types();
  for (const Equality& equality : equalities) {
    if (equality.value.type() != types[equality.column]) continue;
    duckdb::DataChunk key;
    key.Initialize(duckdb::Allocator::DefaultAllocator(), {types[equality.column]}, 1);
    key.SetValue(0, 0, equality.value);
    key.SetCardinality(1);
    rows::KeyEncoder encoder;
    rows::BatchBuilder found(types);
    TRY(const bool looked_up,
        relation->content->Lookup({equality.column}, encoder.Encode(key)[0], {step()}, found));
    if (!looked_up) continue;
    rows::Batch batch = found.Finish();
    const bool light = std::all_of(batch.parts.begin(), batch.parts.end(),
                                   [](const auto& part) { return part.weights.empty(); });
    if (light)
      return std::unique_ptr<sql::RelationScan>(
          std::make_unique<BatchScan>(std::move(batch), types, columns));
  }
  return std::unique_ptr<sql::RelationScan>(
      std::make_unique<ContentScan>(shared_from_this(), relation, columns));
}

std::unique_ptr<sql::RelationScan> NodeSnapshot::ScanStream(
    const std::shared_ptr<const Relation>& relation, const std::vector<size_t>& columns,
    std::vector<StreamHistory::Range> ranges) const {
  StreamScan::NoteRead note_read;
  if (columns_ != nullptr) {
    note_read = [cache = columns_, relation](int64_t rows) {
      if (rows > 0) cache->NoteRead(InternalName(relation->object), relation->object.name(), rows);
    };
  }
  return std::make_unique<StreamScan>(shared_from_this(),
                                      StreamHistory(log_, relation, columns, std::move(ranges)),
                                      std::move(note_read));
}

std::shared_ptr<const sql::ColumnCopy> NodeSnapshot::Copied(std::string_view name) const {
  if (columns_ == nullptr || system_tables_.Find(name) != nullptr) return nullptr;
  const auto relation = published().relations->Find(name);
  if (relation == nullptr || relation->stream() == nullptr ||
      !columns_->Has(InternalName(relation->object)))
    return nullptr;
  const auto stream = StreamInColumns(log_, relation, published().state);
  return stream ? columns_->Find(*stream) : nullptr;
}

Result<std::unique_ptr<sql::RelationScan>> NodeSnapshot::ScanBeyond(
    std::string_view name, const std::vector<size_t>& columns, const sql::ColumnCopy& copy) const {
  const auto relation = published().relations->Find(name);
  if (relation == nullptr || relation->stream() == nullptr)
    return Error(Code::kInternal, "stream {} is gone from its step", Quoted(name));
  auto ranges = StreamHistory::RangesUntil(log_, *relation, published().state);
  for (StreamHistory::Range& range : ranges) {
    for (const sql::ColumnCopy::Part& part : copy.parts) {
      if (part.partition == range.partition)
        range.next = std::min(range.end, std::max(range.next, log::Offset{part.end}));
    }
  }
  return ScanStream(relation, columns, std::move(ranges));
}

void NodeSnapshot::NoteHalt(const Relation& relation) const {
  if (!relation.object.halt) return;
  const catalog::Halt& halt = *relation.object.halt;
  AddNotices({fmt::format("view {} {}: it shows step {}", Quoted(relation.object.name()),
                          halt.why == catalog::Halt::Why::kFailed ? "has failed" : "is paused",
                          halt.step)});
}

std::vector<std::string> NodeSnapshot::notices() const {
  const std::lock_guard lock(notices_mutex_);
  return {notices_.begin(), notices_.end()};
}

void NodeSnapshot::AddNotices(const std::vector<std::string>& notices) const {
  const std::lock_guard lock(notices_mutex_);
  notices_.insert(notices.begin(), notices.end());
}

}  // namespace millrace::runtime
