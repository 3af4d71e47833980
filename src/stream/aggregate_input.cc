// The part of Aggregate that sums a step's input per group.
#include <numeric>

#include "stream/aggregate.h"
#include "stream/pre_aggregate.h"

namespace millrace::stream {

// Finds the group of every row, and what the cells change by.
Status AggregateOperator::GroupInput(const Input& input) {
  groups_.Reset(input.rows.row_count() + input.cells.row_count() + 1);
  deltas_.clear();
  outside_.clear();
  if (is_global_) {
    groups_.FindOrAdd({}, rows::KeyHash({}));
    deltas_.resize(layout_.bytes());
  }
  rows::BatchBuilder keys(group_types_);
  AccumulateRows(input.rows, keys);
  TRY(AccumulateCells(input.cells, keys));
  group_of_feed_.resize(input.feeds.size());
  for (size_t i = 0; i < input.feeds.size(); ++i) {
    std::vector<uint32_t>& groups = group_of_feed_[i];
    groups.assign(input.feeds[i]->row_count(), 0);
    size_t begin = 0;
    for (const rows::Batch::Part& part : input.feeds[i]->parts) {
      FindGroups(*part.rows, op_.groups, keys, groups.data() + begin);
      begin += part.rows->size();
    }
  }
  keys_ = keys.Finish();
  return Ok();
}

// The groups' numbers; `keys` gets the key columns of those that are new in this step.
void AggregateOperator::FindGroups(duckdb::DataChunk& rows, std::span<const ColumnIndex> columns,
                                   rows::BatchBuilder& keys, uint32_t* groups) {
  if (is_global_) return;
  for (size_t i = 0; i < columns.size(); ++i) key_columns_.data[i].Reference(rows.data[columns[i]]);
  key_columns_.SetCardinality(rows.size());
  const auto& encoded = key_encoder_.Encode(key_columns_);
  first_rows_.clear();
  for (size_t row = 0; row < encoded.size(); ++row) {
    const size_t known = groups_.size();
    groups[row] = groups_.FindOrAdd(encoded[row], rows::KeyHash(encoded[row]));
    if (groups[row] == known) first_rows_.push_back(static_cast<duckdb::sel_t>(row));
  }
  if (!has_variants_ || closing_)
    keys.Append(key_columns_, first_rows_.data(), first_rows_.size(), nullptr);
  deltas_.resize(groups_.size() * layout_.bytes());
}

void AggregateOperator::AccumulateRows(const rows::Batch& rows, rows::BatchBuilder& keys) {
  group_of_row_.assign(rows.row_count(), 0);
  uint32_t* groups = group_of_row_.data();
  for (const rows::Batch::Part& part : rows.parts) {
    const size_t count = part.rows->size();
    FindGroups(*part.rows, op_.groups, keys, groups);
    for (size_t row = 0; row < count; ++row)
      CellLayout::AddRows(delta(groups[row]), part.weight(row));
    for (size_t slot = 0; slot < layout_.slots().size(); ++slot) {
      if (!layout_.slots()[slot].distinct)
        layout_.Accumulate(slot, part, groups, deltas_.data(), outside_);
    }
    groups += count;
  }
}

Status AggregateOperator::AccumulateCells(const rows::Batch& cells, rows::BatchBuilder& keys) {
  std::vector<ColumnIndex> columns(op_.groups.size());
  std::iota(columns.begin(), columns.end(), size_t{0});
  std::vector<uint32_t> groups;
  for (const rows::Batch::Part& part : cells.parts) {
    groups.assign(part.rows->size(), 0);
    FindGroups(*part.rows, columns, keys, groups.data());
    const auto* blobs = duckdb::FlatVector::GetData<duckdb::string_t>(part.rows->data.back());
    for (size_t row = 0; row < groups.size(); ++row) {
      const std::string_view blob(blobs[row].GetData(), blobs[row].GetSize());
      TRY(const std::string_view cell, ReadCellBlob(blob, layout_.bytes(), groups[row], outside_));
      layout_.Merge(delta(groups[row]), reinterpret_cast<const std::byte*>(cell.data()));
    }
  }
  return Ok();
}

}  // namespace millrace::stream
