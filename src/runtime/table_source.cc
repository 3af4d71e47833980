#include "runtime/table_source.h"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace millrace::runtime {

namespace {

std::vector<size_t> AllColumns(const rows::Schema& schema) {
  std::vector<size_t> columns(schema.columns.size());
  std::iota(columns.begin(), columns.end(), size_t{0});
  return columns;
}

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

TableSource::TableSource(std::shared_ptr<const Relation> relation)
    : relation_(std::move(relation)),
      keyed_(!relation_->table()->primary_key.empty()),
      key_columns_(KeyColumns(*relation_->table())),
      row_decoder_(relation_->table()->schema, AllColumns(relation_->table()->schema)),
      key_decoder_(relation_->table()->schema,
                   keyed_ ? key_columns_ : AllColumns(relation_->table()->schema)),
      encoder_(relation_->table()->schema.types()) {}

void TableSource::Prepare(PartitionSlice slice) {
  slice_ = std::move(slice);
  invalid_ = 0;
}

Result<rows::Batch> TableSource::Read(int worker) {
  if (worker != 0 || slice_.batches.empty()) return rows::Batch{};
  return keyed_ ? ReadKeyed() : ReadBag();
}

Result<rows::Batch> TableSource::ReadKeyed() {
  std::vector<Change> upserts;
  std::vector<Change> deletes;
  for (const log::ReadBatch& batch : slice_.batches) {
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
  const rows::Types types = KeyedSourceTypes(relation_->table()->schema);
  const size_t columns = types.size() - 2;
  rows::Batch out;
  const auto decode = [&](rows::JsonDecoder& decoder, const std::vector<Change>& changes,
                          bool deleted) {
    std::vector<std::string_view> texts;
    for (const Change& change : changes) texts.push_back(change.text);
    const rows::Decoded decoded = decoder.Decode(texts);
    invalid_ += static_cast<int64_t>(changes.size() - decoded.inputs.size());
    size_t first = 0;
    for (const auto& chunk : decoded.chunks) {
      auto rows = std::make_shared<duckdb::DataChunk>();
      rows->InitializeEmpty(types);
      for (size_t i = 0; i < columns; ++i) {
        if (!deleted) {
          rows->data[i].Reference(chunk->data[i]);
          continue;
        }
        const auto key = std::find(key_columns_.begin(), key_columns_.end(), i);
        if (key == key_columns_.end()) {
          rows->data[i].Reference(duckdb::Value(types[i]));
        } else {
          rows->data[i].Reference(chunk->data[static_cast<size_t>(key - key_columns_.begin())]);
        }
      }
      rows->data[columns].Reference(duckdb::Value::BOOLEAN(deleted));
      duckdb::Vector order(duckdb::LogicalType::BIGINT, chunk->size());
      for (size_t i = 0; i < chunk->size(); ++i) {
        duckdb::FlatVector::GetData<int64_t>(order)[i] = changes[decoded.inputs[first + i]].order;
      }
      rows->data[columns + 1].Reference(order);
      rows->SetCardinality(chunk->size());
      first += chunk->size();
      out.parts.push_back({std::move(rows), {}});
    }
  };
  if (!upserts.empty()) decode(row_decoder_, upserts, false);
  if (!deletes.empty()) decode(key_decoder_, deletes, true);
  return out;
}

Result<rows::Batch> TableSource::ReadBag() {
  std::vector<std::string_view> texts;
  std::vector<int64_t> counts;
  for (const log::ReadBatch& batch : slice_.batches) {
    log::RecordCursor records = batch.view().records();
    while (records.Next()) {
      const log::RecordView& record = records.record();
      int64_t count = 0;
      if (record.value) {
        const auto [at, error] = std::from_chars(
            record.value->data(), record.value->data() + record.value->size(), count);
        if (error != std::errc() || at != record.value->data() + record.value->size() ||
            count < 0) {
          ++invalid_;
          continue;
        }
      }
      texts.push_back(record.key.value_or(std::string_view()));
      counts.push_back(count);
    }
  }
  const rows::Decoded decoded = row_decoder_.Decode(texts);
  invalid_ += static_cast<int64_t>(texts.size() - decoded.inputs.size());
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
