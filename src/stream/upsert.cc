#include "stream/upsert.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"

namespace millrace::stream {
namespace {

std::vector<ColumnIndex> FirstColumns(size_t count) {
  std::vector<ColumnIndex> columns(count);
  std::iota(columns.begin(), columns.end(), size_t{0});
  return columns;
}

rows::Types RowTypes(const Upsert& upsert, const rows::Types& input) {
  CHECK(upsert.columns <= input.size());
  return rows::Types(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(upsert.columns));
}

}  // namespace

UpsertOperator::UpsertOperator(const Upsert& upsert, const OperatorContext& context)
    : upsert_(upsert),
      key_reader_(upsert.keys, context.input_types[0]),
      row_columns_(FirstColumns(upsert.columns), context.input_types[0]),
      encoder_(RowTypes(upsert, context.input_types[0])),
      table_(context.state.Bags(context.table, /*ordered=*/false)),
      removed_(RowTypes(upsert, context.input_types[0]), /*numbered=*/false),
      added_(RowTypes(upsert, context.input_types[0])) {}

Result<rows::Batch> UpsertOperator::Step(StepContext&, std::span<const rows::Batch* const> inputs) {
  CHECK(inputs.size() == 1);
  if (inputs[0] == nullptr || inputs[0]->empty()) return rows::Batch{};
  const rows::Batch& input = *inputs[0];
  Collect(input);
  // Back to the order of the input, so that each chunk is encoded once.
  std::sort(changes_.begin(), changes_.end(), [](const Change& a, const Change& b) {
    return a.part != b.part ? a.part < b.part : a.row < b.row;
  });
  for (size_t begin = 0; begin < changes_.size();) {
    size_t end = begin;
    while (end < changes_.size() && changes_[end].part == changes_[begin].part) ++end;
    TRY(Apply(*input.parts[changes_[begin].part].rows,
              std::span(changes_).subspan(begin, end - begin)));
    begin = end;
  }
  TRY(removed_.Flush());
  old_rows_.Clear();
  changes_.clear();
  keys_.Clear();
  rows::Batch out = removed_.Take();
  out.Append(added_.Finish());
  return out;
}

// Finds each key's last change.
void UpsertOperator::Collect(const rows::Batch& input) {
  slots_.assign(1024, 0);
  for (size_t part = 0; part < input.parts.size(); ++part) {
    CHECK(input.parts[part].weights.empty() || input.insert_only());
    duckdb::DataChunk& rows = *input.parts[part].rows;
    const std::vector<state::Key>& keys = key_reader_.Read(rows);
    const Int64Column order(rows.data[upsert_.order], rows.size());
    duckdb::UnifiedVectorFormat deleted;
    rows.data[upsert_.deleted].ToUnifiedFormat(rows.size(), deleted);
    const auto* deleted_values = duckdb::UnifiedVectorFormat::GetData<bool>(deleted);
    for (size_t row = 0; row < rows.size(); ++row) {
      const auto at = deleted.sel->get_index(row);
      KeepLast({.key = keys[row].bytes,
                .hash = keys[row].hash,
                .order = order[row],
                .part = static_cast<uint32_t>(part),
                .row = static_cast<uint32_t>(row),
                .deleted = deleted.validity.RowIsValid(at) && deleted_values[at]});
    }
  }
}

void UpsertOperator::KeepLast(const Change& change) {
  if (2 * (changes_.size() + 1) > slots_.size()) GrowSlots();
  const size_t mask = slots_.size() - 1;
  // The low bits of the hash choose the worker: they are nearly the same for all keys here.
  size_t slot = (change.hash >> 16) & mask;
  while (slots_[slot] != 0) {
    Change& known = changes_[slots_[slot] - 1];
    if (known.hash == change.hash && known.key == change.key) {
      if (change.order >= known.order) {
        const std::string_view key = known.key;
        known = change;
        known.key = key;
      }
      return;
    }
    slot = (slot + 1) & mask;
  }
  changes_.push_back(change);
  changes_.back().key = keys_.Copy(change.key);
  slots_[slot] = static_cast<uint32_t>(changes_.size());
}

void UpsertOperator::GrowSlots() {
  slots_.assign(slots_.size() * 4, 0);
  const size_t mask = slots_.size() - 1;
  for (size_t i = 0; i < changes_.size(); ++i) {
    size_t slot = (changes_[i].hash >> 16) & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<uint32_t>(i + 1);
  }
}

// Applies the changes that stand in one chunk. Keys differ from each other.
Status UpsertOperator::Apply(duckdb::DataChunk& rows, std::span<const Change> changes) {
  duckdb::DataChunk& columns = row_columns_.Of(rows);
  const std::vector<std::string_view>& encoded = encoder_.Encode(columns);
  // A deletion of a key without row must leave nothing behind, so deletions only look.
  std::vector<state::Key> keys[2];
  for (const Change& change : changes) keys[change.deleted].push_back({change.key, change.hash});
  std::vector<state::BagTable::Group*> groups[2];
  TRY(table_.FindOrCreate(keys[false], groups[false]));
  TRY(table_.Find(keys[true], groups[true]));

  size_t next[2] = {0, 0};
  std::vector<state::BagTable::Entry> entries;
  std::vector<duckdb::sel_t> added;
  for (const Change& change : changes) {
    state::BagTable::Group* group = groups[change.deleted][next[change.deleted]++];
    if (group == nullptr) continue;
    entries.clear();
    if (table_.Size(group) > 0) table_.Rows(group, entries);
    CHECK(entries.size() <= 1);
    const std::string_view row = encoded[change.row];
    if (!entries.empty()) {
      if (!change.deleted && entries[0].row == row) continue;
      const std::string_view old_row = old_rows_.Copy(entries[0].row);
      TRY(removed_.Add(old_row, -1));
      table_.Add(group, old_row, -1);
    }
    if (change.deleted) continue;
    table_.Add(group, row, +1);
    added.push_back(change.row);
  }
  const std::vector<rows::Weight> ones(added.size(), 1);
  if (!added.empty()) added_.Append(columns, added.data(), added.size(), ones.data());
  return Ok();
}

std::unique_ptr<Operator> MakeUpsert(const Node& node, OperatorContext context) {
  return std::make_unique<UpsertOperator>(std::get<Upsert>(node.op), context);
}

}  // namespace millrace::stream
