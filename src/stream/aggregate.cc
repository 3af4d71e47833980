#include "stream/aggregate.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/coding.h"
#include "stream/expressions.h"
#include "stream/pre_aggregate.h"

namespace millrace::stream {
namespace {

rows::Types GroupTypes(const Aggregate& op, const rows::Types& input) {
  rows::Types types;
  for (const ColumnIndex column : op.groups) types.push_back(input[column]);
  return types;
}

std::shared_ptr<duckdb::DataChunk> EmptyChunk(const rows::Types& types) {
  auto chunk = std::make_shared<duckdb::DataChunk>();
  chunk->InitializeEmpty(types);
  return chunk;
}

}  // namespace

std::unique_ptr<Operator> MakeAggregate(const Node& node, OperatorContext context) {
  return std::make_unique<AggregateOperator>(node, context);
}

AggregateOperator::AggregateOperator(const Node& node, const OperatorContext& context)
    : op_(std::get<Aggregate>(node.op)),
      types_(node.types),
      is_global_(op_.groups.empty()),
      is_idle_(is_global_ && !context.owns_empty_key()),
      insert_only_(!context.insert_only.empty() && context.insert_only[0]),
      group_types_(GroupTypes(op_, context.input_types[0])),
      has_variants_(!ArePlainKeys(group_types_)) {
  CHECK(types_.size() == op_.groups.size() + op_.calls.size());
  PlaceCalls(context);
  OpenTables(context);
  if (!is_global_) key_columns_.InitializeEmpty(group_types_);
  if (has_variants_) {
    variant_encoder_.emplace(group_types_);
    variant_decoder_.emplace(group_types_);
  }
  CHECK(!op_.at_close || node.closing) << "an aggregate that never closes";
  if (!node.closing) return;
  closing_group_ = node.closing->key;
  closing_.emplace(node, group_types_[closing_group_], context);
  key_row_encoder_.emplace(group_types_);
  key_row_decoder_.emplace(group_types_);
}

void AggregateOperator::PlaceCalls(const OperatorContext& context) {
  const rows::Types& input = context.input_types[0];
  for (size_t i = 0; i < op_.calls.size(); ++i) {
    const AggregateCall& call = op_.calls[i];
    if (auto placed = layout_.Place(call, input, insert_only_)) {
      slot_calls_.emplace_back(i, std::move(*placed));
      continue;
    }
    const bool is_extreme = IsExtremeCall(call, input);
    Kept kept;
    kept.call = i;
    AggregateCall spec = call;
    if (is_extreme) spec.orders.clear();
    kept.encoder = std::make_unique<BagRowEncoder>(
        static_cast<uint16_t>(i), spec, input,
        rows::KeyOrder{is_extreme && call.function->function.name == "max", false});
    if (is_extreme) {
      kept.decoder.emplace(kept.encoder->argument_types());
    } else {
      kept.evaluated.emplace(call, kept.encoder->argument_types());
      stored_types_.push_back(duckdb::LogicalType::VARCHAR);
      stored_types_.push_back(types_[column_of(i)]);
    }
    kept_.push_back(std::move(kept));
  }
  for (size_t i = 0; i < layout_.slots().size(); ++i) {
    const Slot& slot = layout_.slots()[i];
    if (slot.kind == Slot::Kind::kFloat) float_slots_.push_back(i);
    if (slot.kind == Slot::Kind::kMin || slot.kind == Slot::Kind::kMax) has_extreme_slots_ = true;
  }
}

void AggregateOperator::OpenTables(const OperatorContext& context) {
  const auto table = [&](uint64_t number) { return state::TableId{context.table.value + number}; };
  state::WorkerState& state = context.state;
  cells_ = &state.Cells(table(has_extreme_slots_ ? 6 : 0), layout_.bytes());
  if (has_variants_) variants_ = &state.Bags(table(1), /*ordered=*/true);
  if (!float_slots_.empty()) digits_ = &state.Bags(table(2), /*ordered=*/false);
  if (!kept_.empty()) rows_ = &state.Bags(table(insert_only_ ? 7 : 3), /*ordered=*/true);
  const auto& slots = layout_.slots();
  if (std::any_of(slots.begin(), slots.end(), [](const Slot& slot) { return slot.distinct; }))
    distinct_.emplace(layout_, context.input_types[0], state, table(4));
  if (!stored_types_.empty()) {
    stored_ = &state.Bags(table(5), /*ordered=*/false);
    stored_encoder_.emplace(stored_types_);
    stored_decoder_.emplace(stored_types_);
  }
}

size_t AggregateOperator::count_of(size_t block) const {
  return std::min<size_t>(groups_.size() - first_of(block), STANDARD_VECTOR_SIZE);
}

Result<rows::Batch> AggregateOperator::Step(StepContext& context,
                                            std::span<const rows::Batch* const> inputs) {
  static const rows::Batch kNothing;
  using Pre = PreAggregate;
  const auto batch = [&](size_t i) -> const rows::Batch& {
    return i < inputs.size() && inputs[i] != nullptr ? *inputs[i] : kNothing;
  };
  const Input input{batch(Pre::kRows), batch(Pre::kCells),
                    inputs.subspan(std::min(inputs.size(), Pre::kFeeds))};
  if (is_idle_) return rows::Batch();
  retractions_ = rows::Batch();
  insertions_ = rows::Batch();
  retraction_builder_ = std::make_unique<rows::BatchBuilder>(types_);
  insertion_builder_ = std::make_unique<rows::BatchBuilder>(types_);
  if (!input.rows.empty() || !input.cells.empty() || is_global_) TRY(Change(context, input));
  if (closing_) TRY(CloseGroups(context));
  rows::Batch out = std::move(retractions_);
  out.Append(retraction_builder_->Finish());
  out.Append(std::move(insertions_));
  out.Append(insertion_builder_->Finish());
  return out;
}

Status AggregateOperator::Change(StepContext& context, const Input& input) {
  TRY(GroupInput(input));
  TRY(FindState());
  if (closing_) TRY(NoteOpened());
  // Bags change row by row, so that everything of before is read first. Cells change group by
  // group.
  std::vector<Results> before;
  for (size_t block = 0; !op_.at_close && block < blocks(); ++block) {
    before.push_back(Prepare(block));
    TRY(ReadOldRows(block, before[block]));
  }
  TRY(AddRows(input));
  const bool early = !outside_.empty();  // digits of DOUBLE sums stand in a bag too
  for (size_t block = 0; early && block < before.size(); ++block)
    TRY(ReadCells(block, before[block]));
  if (early) TRY(AddOutside());
  for (size_t block = 0; block < blocks(); ++block) {
    if (op_.at_close) {
      MergeCells(block);
      continue;
    }
    if (!early) TRY(ReadCells(block, before[block]));
    MergeCells(block);
    Results after = Prepare(block);
    TRY(ReadCells(block, after));
    TRY(ReadNewRows(context, block, after));
    Emit(context, block, before[block], after);
  }
  EraseEmpty();
  return Ok();
}

namespace {
// What an entry of the time index speaks of: begins its payload. Behind kGroup the row of the key
// columns may follow.
constexpr char kGroup = 'g';
constexpr char kValue = 'v';
}  // namespace

// Groups that are new in this step. Their key columns go with them where the key's bytes do not
// give them back.
Status AggregateOperator::NoteOpened() {
  for (size_t block = 0; block < blocks(); ++block) {
    duckdb::DataChunk& keys = *keys_.parts[block].rows;
    const bool needs_row = op_.at_close && !has_variants_;
    const std::vector<std::string_view>* rows =
        needs_row ? &key_row_encoder_->Encode(keys) : nullptr;
    opened_.clear();
    payloads_.Clear();
    for (size_t row = 0; row < count_of(block); ++row) {
      const size_t group = first_of(block) + row;
      if (!created_[group]) continue;
      const size_t row_bytes = rows == nullptr ? 0 : (*rows)[row].size();
      char* payload = payloads_.Allocate(1 + row_bytes);
      payload[0] = kGroup;
      if (row_bytes > 0) std::memcpy(payload + 1, (*rows)[row].data(), row_bytes);
      opened_.push_back(
          {static_cast<duckdb::sel_t>(row), groups_.keys()[group], {payload, 1 + row_bytes}});
    }
    TRY(closing_->Note(keys.data[closing_group_], count_of(block), opened_));
  }
  return Ok();
}

// Values of DISTINCT calls go with their group.
Status AggregateOperator::NoteValues(std::span<const DistinctValues::New> values) {
  std::vector<std::vector<ClosingKeys::Opened>> by_block(blocks());
  static constexpr std::string_view kPayload(&kValue, 1);
  const auto note = [&](size_t block) -> Status {
    TRY(closing_->Note(keys_.parts[block].rows->data[closing_group_], count_of(block),
                       by_block[block]));
    by_block[block].clear();
    return Ok();
  };
  for (const DistinctValues::New& value : values) {
    const size_t block = value.group / STANDARD_VECTOR_SIZE;
    by_block[block].push_back(
        {static_cast<duckdb::sel_t>(value.group % STANDARD_VECTOR_SIZE), value.key, kPayload});
    if (by_block[block].size() == STANDARD_VECTOR_SIZE) TRY(note(block));
  }
  for (size_t block = 0; block < blocks(); ++block) TRY(note(block));
  return Ok();
}

Status AggregateOperator::CloseGroups(StepContext& context) {
  TRY(const auto closed, closing_->Take(context));
  if (closed.empty()) return Ok();
  std::vector<TimeIndex::Entry> groups;
  std::vector<TimeIndex::Entry> values;
  for (TimeIndex::Entry entry : closed) {
    if (entry.payload.empty())
      return Error(Code::kCorruption, "an entry of a time index is damaged");
    const char kind = entry.payload[0];
    entry.payload.remove_prefix(1);
    (kind == kValue ? values : groups).push_back(entry);
  }
  if (op_.at_close) TRY(GiveOut(context, groups));
  TRY(EraseCells(*cells_, groups));
  for (state::BagTable* bag : {variants_, digits_, rows_, stored_}) {
    if (bag != nullptr) TRY(EraseGroups(*bag, groups));
  }
  return distinct_ ? EraseCells(distinct_->cells(), values) : Ok();
}

// The rows of these groups, as if they had just come.
Status AggregateOperator::GiveOut(StepContext& context, std::span<const TimeIndex::Entry> closed) {
  groups_.Reset(closed.size());
  for (const TimeIndex::Entry& entry : closed) groups_.FindOrAdd(entry.key.bytes, entry.key.hash);
  rows::BatchBuilder keys(group_types_);
  for (size_t begin = 0; !has_variants_ && begin < closed.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(closed.size() - begin, STANDARD_VECTOR_SIZE);
    std::vector<std::string_view> key_rows;
    for (size_t i = 0; i < count; ++i) key_rows.push_back(closed[begin + i].payload);
    duckdb::DataChunk& chunk = keys.Room(count);
    TRY(key_row_decoder_->Decode(key_rows, chunk, chunk.size()));
    keys.Commit(count, nullptr);
  }
  keys_ = keys.Finish();
  TRY(FindState());
  for (size_t block = 0; block < blocks(); ++block) {
    Results nothing = Prepare(block);
    nothing.shown.assign(nothing.shown.size(), 0);
    Results rows = Prepare(block);
    TRY(ReadCells(block, rows));
    TRY(ReadNewRows(context, block, rows));
    Emit(context, block, nothing, rows);
  }
  return Ok();
}

Status AggregateOperator::FindState() {
  TRY(cells_->FindOrCreate(groups_.keys(), cell_of_, created_));
  if (variants_ != nullptr) TRY(variants_->FindOrCreate(groups_.keys(), variant_groups_));
  if (rows_ != nullptr) TRY(rows_->FindOrCreate(groups_.keys(), row_groups_));
  if (stored_ != nullptr) TRY(stored_->FindOrCreate(groups_.keys(), stored_groups_));
  if (digits_ != nullptr) TRY(digits_->FindOrCreate(groups_.keys(), digit_groups_));
  return Ok();
}

AggregateOperator::Results AggregateOperator::Prepare(size_t block) {
  Results results;
  const size_t count = count_of(block);
  results.shown.assign(count, 0);
  for (size_t row = 0; row < count; ++row) {
    const size_t group = first_of(block) + row;
    results.shown[row] = is_global_ ? !created_[group] : CellLayout::Rows(cell_of_[group]) > 0;
  }
  results.rows = EmptyChunk(types_);
  for (size_t column = 0; column < types_.size(); ++column) {
    if (column < op_.groups.size() && !has_variants_) {
      results.rows->data[column].Reference(keys_.parts[block].rows->data[column]);
    } else {
      results.rows->data[column].Initialize(false, STANDARD_VECTOR_SIZE);
    }
  }
  results.rows->SetCardinality(count);
  if (has_variants_ || !kept_.empty()) results.bytes.resize(count);
  return results;
}

Result<std::vector<Digit>> AggregateOperator::DigitsOf(size_t group, size_t slot) const {
  std::vector<Digit> digits;
  std::vector<state::BagTable::Entry> entries;
  digits_->Rows(digit_groups_[group], entries);
  for (const auto& entry : entries) {
    Reader reader(entry.row);
    TRY(const auto owner, reader.Fixed<uint16_t>());
    TRY(const auto bucket, reader.Fixed<uint16_t>());
    if (owner == slot) digits.push_back({bucket, entry.weight});
  }
  return digits;
}

Status AggregateOperator::AddOutside() {
  std::vector<Digit> digits;
  std::string row;
  for (const OutsideValue& value : outside_) {
    digits.clear();
    AppendDigits(value.value, value.weight, digits);
    for (const Digit& digit : digits) {
      row.clear();
      PutFixed(row, value.slot);
      PutFixed(row, digit.bucket);
      digits_->Add(digit_groups_[value.group], row, digit.coefficient);
    }
    layout_.MarkOutside(value.slot, delta(value.group));
  }
  return Ok();
}

Status AggregateOperator::ReadCells(size_t block, Results& results) {
  for (const auto& [call, result] : slot_calls_) {
    duckdb::Vector& out = results.rows->data[column_of(call)];
    for (size_t row = 0; row < results.shown.size(); ++row) {
      if (!results.shown[row]) continue;
      const size_t group = first_of(block) + row;
      std::vector<Digit> digits;
      if (layout_.HasOutside(result.slot, cell_of_[group])) {
        TRY(digits, DigitsOf(group, result.slot));
      }
      auto failure = layout_.Finish(result, cell_of_[group], digits, out, row);
      if (failure) results.failures.emplace(row, std::move(*failure));
    }
  }
  return Ok();
}

void AggregateOperator::MergeCells(size_t block) {
  for (size_t group = first_of(block); group < first_of(block) + count_of(block); ++group) {
    const std::byte* change = delta(group);
    const bool nothing = std::all_of(change, change + layout_.bytes(),
                                     [](std::byte b) { return b == std::byte{0}; });
    // The global row's cell says that the row was given out, also while it holds only zeros.
    if (nothing && !(is_global_ && created_[group])) continue;
    cells_->Touch(cell_of_[group]);
    layout_.Merge(cell_of_[group], change);
  }
  if (is_global_) created_[0] = 0;  // from now on its row is shown
}

bool AggregateOperator::Same(const Results& before, const Results& after, size_t row) const {
  if (!before.bytes.empty() && before.bytes[row] != after.bytes[row]) return false;
  for (const auto& [call, result] : slot_calls_) {
    duckdb::Vector& old_column = before.rows->data[column_of(call)];
    duckdb::Vector& new_column = after.rows->data[column_of(call)];
    const bool old_valid = duckdb::FlatVector::Validity(old_column).RowIsValid(row);
    if (old_valid != duckdb::FlatVector::Validity(new_column).RowIsValid(row)) return false;
    const size_t size = duckdb::GetTypeIdSize(old_column.GetType().InternalType());
    const auto* old_value = duckdb::FlatVector::GetData(old_column) + row * size;
    if (old_valid &&
        std::memcmp(old_value, duckdb::FlatVector::GetData(new_column) + row * size, size) != 0) {
      return false;
    }
  }
  return true;
}

void AggregateOperator::Emit(StepContext& context, size_t block, const Results& before,
                             const Results& after) {
  const size_t count = count_of(block);
  std::vector<duckdb::sel_t> gone;
  std::vector<duckdb::sel_t> come;
  const std::string none;
  const auto failure_of = [&](const Results& results, size_t row) -> const std::string& {
    if (results.failures.empty() || !results.shown[row]) return none;
    const auto found = results.failures.find(row);
    return found == results.failures.end() ? none : found->second;
  };
  for (size_t row = 0; row < count; ++row) {
    const std::string& old_failure = failure_of(before, row);
    const std::string& new_failure = failure_of(after, row);
    const bool was = before.shown[row] && old_failure.empty();
    const bool is = after.shown[row] && new_failure.empty();
    if (old_failure != new_failure) {
      if (!old_failure.empty())
        context.failures.push_back({old_failure, DescribeGroup(before, row), -1});
      if (!new_failure.empty())
        context.failures.push_back({new_failure, DescribeGroup(after, row), +1});
    }
    if (was && is && Same(before, after, row)) continue;
    if (was) gone.push_back(static_cast<duckdb::sel_t>(row));
    if (is) come.push_back(static_cast<duckdb::sel_t>(row));
  }
  const auto emit = [count](const Results& results, const std::vector<duckdb::sel_t>& selected,
                            rows::Weight weight, rows::Batch& whole, rows::BatchBuilder& builder) {
    if (selected.empty()) return;
    std::vector<rows::Weight> weights;
    if (weight != 1) weights.assign(selected.size(), weight);
    if (selected.size() == count) {
      whole.parts.push_back({results.rows, std::move(weights)});
    } else {
      builder.Append(*results.rows, selected.data(), selected.size(),
                     weight == 1 ? nullptr : weights.data());
    }
  };
  emit(before, gone, -1, retractions_, *retraction_builder_);
  emit(after, come, +1, insertions_, *insertion_builder_);
}

std::string AggregateOperator::DescribeGroup(const Results& results, size_t row) const {
  std::string text;
  for (size_t column = 0; column < op_.groups.size(); ++column) {
    text += (column > 0 ? ", " : "") + results.rows->GetValue(column, row).ToString();
  }
  return text;
}

void AggregateOperator::EraseEmpty() {
  if (is_global_) return;
  for (std::byte* cell : cell_of_) {
    if (CellLayout::Rows(cell) == 0) cells_->Erase(cell);
  }
}

}  // namespace millrace::stream
