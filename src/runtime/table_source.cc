#include "runtime/table_source.h"

#include <algorithm>
#include <charconv>
#include <deque>

#include "rows/decode_rows.h"
#include "runtime/stream_source.h"

namespace millrace::runtime {

namespace {

// Keyed: the row, `deleted`, and the order of the changes.
rows::Types KeyedSourceTypes(const rows::Schema& schema) {
  rows::Types types = schema.types();
  types.push_back(duckdb::LogicalType::BOOLEAN);
  types.push_back(duckdb::LogicalType::BIGINT);
  return types;
}

struct Change {
  std::string_view text;  // JSON of the row, or of the key where it is deleted
  int64_t order;
};

}  // namespace

stream::Plan TablePlan(const Relation& relation) {
  const catalog::TableDefinition& table = *relation.table();
  const rows::Types types = table.schema.types();
  const std::vector<std::string> names = table.schema.names();
  stream::Plan plan;
  size_t top = 0;
  if (table.primary_key.empty()) {
    top = plan.Add({stream::Source{relation.internal_name}, {}, types, names});
  } else {
    std::vector<std::string> source_names = names;
    source_names.insert(source_names.end(), {"_deleted", "_order"});
    top = plan.Add(
        {stream::Source{relation.internal_name}, {}, KeyedSourceTypes(table.schema), source_names});
    stream::Upsert upsert;
    upsert.keys = KeyColumns(table);
    upsert.columns = types.size();
    upsert.deleted = types.size();
    upsert.order = types.size() + 1;
    top = plan.Add({std::move(upsert), {top}, types, names});
  }
  plan.Add({stream::Output{relation.internal_name}, {top}, types, names});
  return plan;
}

Result<std::unique_ptr<TableSource>> TableSource::Make(std::shared_ptr<const Relation> relation,
                                                       const catalog::Catalog& catalog,
                                                       sql::Database& database) {
  std::unique_ptr<ChangeDecoder> decoder;
  if (catalog::TableOfTopic(relation->object) != nullptr) {
    TRY(decoder, ChangeDecoder::Make(*relation, catalog, database));
  }
  return std::unique_ptr<TableSource>(new TableSource(std::move(relation), std::move(decoder)));
}

TableSource::TableSource(std::shared_ptr<const Relation> relation,
                         std::unique_ptr<ChangeDecoder> decoder)
    : relation_(std::move(relation)),
      keyed_(!relation_->table()->primary_key.empty()),
      key_columns_(KeyColumns(*relation_->table())),
      row_decoder_(relation_->table()->schema, relation_->table()->schema.all()),
      key_decoder_(relation_->table()->schema,
                   keyed_ ? key_columns_ : relation_->table()->schema.all()),
      encoder_(relation_->table()->schema.types()),
      decoder_(std::move(decoder)) {}

void TableSource::Prepare(std::vector<PartitionSlice> slices) {
  slices_ = std::move(slices);
  findings_ = {};
  for (const PartitionSlice& slice : slices_) {
    if (decoder_ == nullptr) findings_.records += slice.records;
    findings_.aborted += slice.aborted;
  }
}

Result<rows::Batch> TableSource::Read(int worker) {
  if (worker != 0) return rows::Batch{};
  if (decoder_ != nullptr) return ReadTopic();
  return keyed_ ? ReadKeyed() : ReadBag();
}

// The rows of a chunk, or of one of keys where they are deleted, with what the engine wants to know
// of each.
std::shared_ptr<duckdb::DataChunk> TableSource::KeyedChunk(
    duckdb::DataChunk& chunk, bool deleted, const std::vector<int64_t>& orders) const {
  const rows::Types types = KeyedSourceTypes(relation_->table()->schema);
  const size_t columns = types.size() - 2;
  auto rows = std::make_shared<duckdb::DataChunk>();
  rows->InitializeEmpty(types);
  for (size_t i = 0; i < columns; ++i) {
    if (!deleted) {
      rows->data[i].Reference(chunk.data[i]);
      continue;
    }
    const auto key = std::find(key_columns_.begin(), key_columns_.end(), i);
    if (key == key_columns_.end()) {
      rows->data[i].Reference(duckdb::Value(types[i]));
    } else {
      rows->data[i].Reference(chunk.data[static_cast<size_t>(key - key_columns_.begin())]);
    }
  }
  rows->data[columns].Reference(duckdb::Value::BOOLEAN(deleted));
  duckdb::Vector order(duckdb::LogicalType::BIGINT, chunk.size());
  std::copy(orders.begin(), orders.end(), duckdb::FlatVector::GetData<int64_t>(order));
  rows->data[columns + 1].Reference(order);
  rows->SetCardinality(chunk.size());
  return rows;
}

Result<rows::Batch> TableSource::ReadKeyed() {
  std::vector<Change> upserts;
  std::vector<Change> deletes;
  for (const log::ReadBatch& batch : slices_.front().batches) {
    log::RecordCursor records = batch.view().records();
    while (records.Next()) {
      const log::RecordView& record = records.record();
      if (record.value) {
        upserts.push_back({*record.value, record.offset.value});
      } else {
        deletes.push_back({record.key.value_or(std::string_view()), record.offset.value});
      }
    }
  }
  rows::Batch out;
  const auto decode = [&](rows::JsonDecoder& decoder, const std::vector<Change>& changes,
                          bool deleted) {
    std::vector<std::string_view> texts;
    for (const Change& change : changes) texts.push_back(change.text);
    const rows::Decoded decoded = decoder.Decode(texts);
    findings_.invalid += static_cast<int64_t>(changes.size() - decoded.inputs.size());
    size_t next = 0;
    for (const auto& chunk : decoded.chunks) {
      std::vector<int64_t> orders(chunk->size());
      for (int64_t& order : orders) order = changes[decoded.inputs[next++]].order;
      out.parts.push_back({KeyedChunk(*chunk, deleted, orders), {}});
    }
  };
  if (!upserts.empty()) decode(row_decoder_, upserts, false);
  if (!deletes.empty()) decode(key_decoder_, deletes, true);
  return out;
}

// All rows that the table held before the step go.
Status TableSource::AddCleared(int64_t order, rows::Batch& out) const {
  const state::ViewTable& content = *relation_->content;
  std::deque<std::string> bytes;
  std::vector<std::string_view> encoded;
  TRY(content
          .ScanParts({0, state::ViewTable::kParts, 1, content.key()},
                     [&](std::string_view row, rows::Weight) {
                       encoded.push_back(bytes.emplace_back(row));
                     })
          .With("read the content of " + Quoted(relation_->object.name())));
  TRY(const rows::Batch held, rows::DecodeRows(content.types(), encoded));
  for (const rows::Batch::Part& part : held.parts) {
    duckdb::DataChunk keys;
    rows::Types types;
    for (const size_t column : key_columns_) types.push_back(content.types()[column]);
    keys.InitializeEmpty(types);
    for (size_t i = 0; i < key_columns_.size(); ++i)
      keys.data[i].Reference(part.rows->data[key_columns_[i]]);
    keys.SetCardinality(part.rows->size());
    const std::vector<int64_t> orders(keys.size(), order);
    out.parts.push_back({KeyedChunk(keys, true, orders), {}});
  }
  return Ok();
}

Result<rows::Batch> TableSource::ReadTopic() {
  struct Place {
    size_t partition;
    log::Offset offset;
  };
  std::vector<std::pair<const log::ReadBatch*, const PartitionSlice*>> batches;
  for (const PartitionSlice& slice : slices_) {
    for (const log::ReadBatch& batch : slice.batches) batches.emplace_back(&batch, &slice);
  }
  std::stable_sort(batches.begin(), batches.end(), [](const auto& a, const auto& b) {
    return AppendOrder(*a.first) < AppendOrder(*b.first);
  });
  std::vector<ingest::Record> records;
  std::vector<Place> places;
  for (const auto& [batch, slice] : batches) {
    log::RecordCursor cursor = batch->view().records();
    while (cursor.Next()) {
      if (cursor.record().offset < slice->begin) continue;
      records.emplace_back(cursor.record(), batch->frame);
      places.push_back({static_cast<size_t>(slice->partition.partition), cursor.record().offset});
    }
  }
  const RowChanges changes = decoder_->Decode(records);
  findings_.records = static_cast<int64_t>(records.size());
  findings_.invalid = static_cast<int64_t>(changes.errors.size());
  findings_.exclusions.resize(static_cast<size_t>(relation_->partitions()));
  for (const rows::RowError& error : changes.errors) {
    const Place& place = places[error.row];
    findings_.exclusions[place.partition].push_back({place.offset, Reason::kInvalid});
  }
  // What came before the table was emptied does not count; a record's deletion comes before its
  // row.
  const int64_t cleared = changes.cleared.empty() ? -1 : int64_t{changes.cleared.back()};
  rows::Batch out;
  const auto put = [&](const RowChanges::Chunks& chunks, const std::vector<uint32_t>& inputs,
                       bool deleted) {
    size_t next = 0;
    for (const auto& chunk : chunks) {
      std::vector<int64_t> orders;
      duckdb::SelectionVector counts(chunk->size());
      for (size_t row = 0; row < chunk->size(); ++row) {
        const int64_t input = inputs[next++];
        if (input < cleared) continue;
        counts.set_index(orders.size(), row);
        orders.push_back(2 * input + (deleted ? 0 : 1));
      }
      if (orders.empty()) continue;
      if (orders.size() < chunk->size()) {
        chunk->Slice(counts, orders.size());
        chunk->Flatten();
      }
      out.parts.push_back({KeyedChunk(*chunk, deleted, orders), {}});
    }
  };
  put(changes.rows, changes.row_inputs, /*deleted=*/false);
  put(changes.keys, changes.key_inputs, /*deleted=*/true);
  if (cleared >= 0) TRY(AddCleared(2 * cleared, out));
  return out;
}

Result<rows::Batch> TableSource::ReadBag() {
  std::vector<std::string_view> texts;
  std::vector<int64_t> counts;
  for (const log::ReadBatch& batch : slices_.front().batches) {
    log::RecordCursor records = batch.view().records();
    while (records.Next()) {
      const log::RecordView& record = records.record();
      int64_t count = 0;
      if (record.value) {
        const auto [at, error] = std::from_chars(
            record.value->data(), record.value->data() + record.value->size(), count);
        if (error != std::errc() || at != record.value->data() + record.value->size() ||
            count < 0) {
          ++findings_.invalid;
          continue;
        }
      }
      texts.push_back(record.key.value_or(std::string_view()));
      counts.push_back(count);
    }
  }
  const rows::Decoded decoded = row_decoder_.Decode(texts);
  findings_.invalid += static_cast<int64_t>(texts.size() - decoded.inputs.size());
  // Counts are absolute, so the change of a row is against what the table held, and then against
  // the record before.
  std::map<std::string, int64_t> seen;
  rows::Batch out;
  size_t first = 0;
  for (const auto& chunk : decoded.chunks) {
    const std::vector<std::string_view>& encoded = encoder_.Encode(*chunk);
    TRY(const std::vector<rows::Weight> weights,
        relation_->content->NewestWeights(*chunk, encoded));
    rows::Batch::Part part;
    part.rows = std::make_shared<duckdb::DataChunk>();
    part.rows->InitializeEmpty(chunk->GetTypes());
    part.rows->Reference(*chunk);
    for (size_t i = 0; i < chunk->size(); ++i) {
      const auto [it, inserted] = seen.try_emplace(std::string(encoded[i]), 0);
      if (inserted) it->second = weights[i];
      const int64_t count = counts[decoded.inputs[first + i]];
      part.weights.push_back(count - it->second);
      it->second = count;
    }
    first += chunk->size();
    out.parts.push_back(std::move(part));
  }
  return out;
}

}  // namespace millrace::runtime
