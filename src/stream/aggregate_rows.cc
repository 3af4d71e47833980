// The part of Aggregate that keeps rows: key variants, min and max, distinct values, evaluated
// calls.
#include <algorithm>

#include "base/coding.h"
#include "stream/aggregate.h"

namespace millrace::stream {
namespace {

// The group's first row that starts with `prefix`; empty where there is none.
std::string FirstRow(const state::BagTable& bag, const state::BagTable::Group* group,
                     std::string_view prefix) {
  std::string first;
  bag.Scan(group, prefix, [&](const state::BagTable::Entry& entry) {
    if (!entry.row.starts_with(prefix)) return false;
    if (entry.weight <= 0) return true;
    first.assign(entry.row);
    return false;
  });
  return first;
}

}  // namespace

Status AggregateOperator::ReadFirstRows(size_t block, Results& results) {
  for (size_t row = 0; row < results.shown.size(); ++row) {
    if (!results.shown[row]) continue;
    const size_t group = first_of(block) + row;
    if (has_variants_) {
      const std::string first = FirstRow(*variants_, variant_groups_[group], {});
      const std::string_view view = first;
      TRY(variant_decoder_->Decode({&view, 1}, *results.rows, row));
      PutBytes(results.bytes[row], first);
    }
    for (Kept& kept : kept_) {
      if (!kept.decoder) continue;
      const size_t column = column_of(kept.call);
      const std::string first = FirstRow(*rows_, row_groups_[group], kept.encoder->prefix());
      PutBytes(results.bytes[row], first);
      if (first.empty()) {
        duckdb::FlatVector::SetNull(results.rows->data[column], row, true);
        continue;
      }
      const std::string_view arguments = BagRowEncoder::ArgumentsOf(first);
      TRY(kept.decoder->Decode({&arguments, 1}, *results.rows, row, column));
    }
  }
  return Ok();
}

Status AggregateOperator::ReadOldRows(size_t block, Results& results) {
  TRY(ReadFirstRows(block, results));
  if (stored_ == nullptr) return Ok();
  duckdb::DataChunk stored;
  stored.Initialize(duckdb::Allocator::DefaultAllocator(), stored_types_);
  std::vector<state::BagTable::Entry> entries;
  for (size_t row = 0; row < results.shown.size(); ++row) {
    if (!results.shown[row]) continue;
    stored_->Rows(stored_groups_[first_of(block) + row], entries);
    if (entries.size() != 1) return Error(Code::kCorruption, "a group without its last result");
    TRY(stored_decoder_->Decode({&entries[0].row, 1}, stored, row));
    PutBytes(results.bytes[row], entries[0].row);
  }
  UseStored(stored, results);
  return Ok();
}

Status AggregateOperator::ReadNewRows(const StepContext& context, size_t block, Results& results) {
  TRY(ReadFirstRows(block, results));
  if (stored_ == nullptr) return Ok();
  duckdb::DataChunk stored;
  stored.Initialize(duckdb::Allocator::DefaultAllocator(), stored_types_);
  const size_t count = results.shown.size();
  for (size_t row = 0; row < count; ++row) {
    size_t column = 0;
    for (Kept& kept : kept_) {
      if (!kept.evaluated) continue;
      duckdb::FlatVector::SetNull(stored.data[column], row, true);
      if (results.shown[row]) {
        TRY(const auto failure, kept.evaluated->Evaluate(*rows_, row_groups_[first_of(block) + row],
                                                         kept.encoder->prefix(), context.budget,
                                                         stored.data[column + 1], row));
        if (failure) stored.SetValue(column, row, duckdb::Value(*failure));
      } else {
        duckdb::FlatVector::SetNull(stored.data[column + 1], row, true);
      }
      column += 2;
    }
  }
  stored.SetCardinality(count);
  const auto& encoded = stored_encoder_->Encode(stored);
  std::vector<state::BagTable::Entry> entries;
  for (size_t row = 0; row < count; ++row) {
    state::BagTable::Group* group = stored_groups_[first_of(block) + row];
    stored_->Rows(group, entries);
    const std::string old = entries.empty() ? "" : std::string(entries[0].row);
    const std::string_view now = results.shown[row] ? encoded[row] : std::string_view();
    PutBytes(results.bytes[row], now);
    if (old == now) continue;
    if (!old.empty()) stored_->Add(group, old, -1);
    if (!now.empty()) stored_->Add(group, now, +1);
  }
  UseStored(stored, results);
  return Ok();
}

void AggregateOperator::UseStored(duckdb::DataChunk& stored, Results& results) {
  size_t column = 0;
  for (const Kept& kept : kept_) {
    if (!kept.evaluated) continue;
    for (size_t row = 0; row < results.shown.size(); ++row) {
      if (!results.shown[row] || duckdb::FlatVector::IsNull(stored.data[column], row)) continue;
      results.failures.emplace(row, stored.GetValue(column, row).ToString());
    }
    results.rows->data[column_of(kept.call)].Reference(stored.data[column + 1]);
    column += 2;
  }
}

AggregateOperator::Fed AggregateOperator::WithFeed(const Input& input, size_t feed) const {
  Fed fed{input.rows, group_of_row_};
  if (feed >= input.feeds.size()) return fed;
  fed.rows.Append(*input.feeds[feed]);
  fed.groups.insert(fed.groups.end(), group_of_feed_[feed].begin(), group_of_feed_[feed].end());
  return fed;
}

Status AggregateOperator::AddRows(const Input& input) {
  if (distinct_) TRY(AddDistinct(input));
  if (has_variants_) AddVariants(input.rows);
  size_t feed = distinct_ ? distinct_->arguments() : 0;
  for (Kept& kept : kept_) {
    if (kept.decoder && insert_only_) kept.best.assign(groups_.size(), {});
    const Fed fed = WithFeed(input, feed++);
    const uint32_t* groups = fed.groups.data();
    for (const rows::Batch::Part& part : fed.rows.parts) {
      AddKept(kept, part, groups);
      groups += part.rows->size();
    }
    AddBest(kept);
  }
  return Ok();
}

void AggregateOperator::AddVariants(const rows::Batch& input) {
  const uint32_t* groups = group_of_row_.data();
  for (const rows::Batch::Part& part : input.parts) {
    for (size_t i = 0; i < op_.groups.size(); ++i)
      key_columns_.data[i].Reference(part.rows->data[op_.groups[i]]);
    key_columns_.SetCardinality(part.rows->size());
    const auto& encoded = variant_encoder_->Encode(key_columns_);
    for (size_t row = 0; row < encoded.size(); ++row) {
      variants_->Add(variant_groups_[groups[row]], encoded[row], part.weight(row));
    }
    groups += part.rows->size();
  }
}

void AggregateOperator::AddKept(Kept& kept, const rows::Batch::Part& part, const uint32_t* groups) {
  const bool is_extreme = kept.decoder.has_value();
  const auto& encoded = kept.encoder->Encode(*part.rows);
  for (size_t row = 0; row < encoded.size(); ++row) {
    if (!kept.encoder->Passes(row) || (is_extreme && kept.encoder->HasNull(row))) continue;
    if (is_extreme && insert_only_) {
      std::string& best = kept.best[groups[row]];
      if (best.empty() || encoded[row] < best) best.assign(encoded[row]);
    } else {
      rows_->Add(row_groups_[groups[row]], encoded[row], part.weight(row));
    }
  }
}

void AggregateOperator::AddBest(const Kept& kept) {
  for (size_t i = 0; i < kept.best.size(); ++i) {
    const std::string& row = kept.best[i];
    if (row.empty()) continue;
    const std::string best = FirstRow(*rows_, row_groups_[i], kept.encoder->prefix());
    if (!best.empty() && best <= row) continue;
    if (!best.empty()) rows_->Add(row_groups_[i], best, -1);
    rows_->Add(row_groups_[i], row, +1);
  }
}

Status AggregateOperator::AddDistinct(const Input& input) {
  const auto visit = [this](const DistinctValues::Change& change) {
    layout_.AccumulateRow(change.slot, change.part, change.row, change.change, change.group,
                          delta(change.group), outside_);
  };
  std::function<Status(std::span<const DistinctValues::New>)> note;
  if (closing_) note = [this](auto values) { return NoteValues(values); };
  for (size_t argument = 0; argument < distinct_->arguments(); ++argument) {
    const Fed fed = WithFeed(input, argument);
    TRY(distinct_->Apply(argument, fed.rows, fed.groups, groups_.keys(), visit, note));
  }
  return Ok();
}

}  // namespace millrace::stream
