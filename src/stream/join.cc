#include "stream/join.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace millrace::stream {
namespace {

using rows::Weight;

std::vector<Expression> ConditionOf(const Join& join) {
  return join.condition ? std::vector<Expression>{join.condition} : std::vector<Expression>{};
}

}  // namespace

JoinOperator::Side::Side(const std::vector<ColumnIndex>& key_columns,
                         const std::vector<bool>& nulls_equal, const rows::Types& types,
                         state::BagTable& bags)
    : keys(key_columns, types), columns(key_columns), encoder(types), table(bags) {
  CHECK(nulls_equal.size() == key_columns.size());
  for (size_t i = 0; i < key_columns.size(); ++i) {
    if (!nulls_equal[i]) not_null.push_back(key_columns[i]);
  }
}

JoinOperator::JoinOperator(const Node& node, const OperatorContext& context)
    : is_left_(std::get<Join>(node.op).kind == JoinKind::kLeft),
      types_(node.types),
      left_(std::get<Join>(node.op).left_keys, std::get<Join>(node.op).nulls_equal,
            context.input_types[0], context.state.Bags(context.table, /*ordered=*/false)),
      right_(std::get<Join>(node.op).right_keys, std::get<Join>(node.op).nulls_equal,
             context.input_types[1],
             context.state.Bags(state::TableId{context.table.value + 1}, /*ordered=*/false)),
      matches_(is_left_ && std::get<Join>(node.op).condition
                   ? &context.state.Bags(state::TableId{context.table.value + 2}, /*ordered=*/false)
                   : nullptr),
      closing_key_(node.closing ? node.closing->key : 0),
      left_is_new_(JoinRows::From::kChunk, context.input_types[0], JoinRows::From::kStored,
                   context.input_types[1]),
      right_is_new_(JoinRows::From::kStored, context.input_types[0], JoinRows::From::kChunk,
                    context.input_types[1]),
      new_is_padded_(JoinRows::From::kChunk, context.input_types[0], JoinRows::From::kNull,
                     context.input_types[1]),
      stored_is_padded_(JoinRows::From::kStored, context.input_types[0], JoinRows::From::kNull,
                        context.input_types[1]),
      out_(types_) {
  CHECK(types_.size() == context.input_types[0].size() + context.input_types[1].size());
  std::vector<Expression> condition = ConditionOf(std::get<Join>(node.op));
  if (!condition.empty()) condition_.emplace(context.client, std::move(condition));
  if (node.closing)
    closing_.emplace(node, context.input_types[0][left_.columns[closing_key_]], context);
}

Result<rows::Batch> JoinOperator::Step(StepContext& context,
                                       std::span<const rows::Batch* const> inputs) {
  CHECK(inputs.size() == 2);
  if (inputs[1] != nullptr) {
    for (const rows::Batch::Part& part : inputs[1]->parts) TRY(StepRight(context, part));
    // What points to rows of A must be written before these change.
    TRY(FlushPairs(context, right_is_new_, nullptr));
    TRY(EmitFlips());
    TRY(Flush(stored_is_padded_));
  }
  if (inputs[0] != nullptr) {
    for (const rows::Batch::Part& part : inputs[0]->parts) TRY(StepLeft(context, part));
    TRY(FlushPairs(context, left_is_new_, nullptr));
    TRY(Flush(new_is_padded_));
  }
  if (closing_) TRY(DropClosed(context));
  return out_.Finish();
}

// z⁻¹I(A) ⋈ ΔB, then B += ΔB.
Status JoinOperator::StepRight(StepContext& context, const rows::Batch::Part& part) {
  TRY(ReadKeys(right_, part, /*pad_nulls=*/false));
  TRY(left_.table.Find(keys_, groups_));
  if (matches_ != nullptr) {
    TRY(MatchRight(context, part));
  } else {
    TRY(EmitPairs(context, part, left_.table, right_is_new_, nullptr));
  }
  return ApplyRight(part);
}

// ΔA ⋈ I(B), then A += ΔA. REQUIRES: all of ΔB is in B.
Status JoinOperator::StepLeft(StepContext& context, const rows::Batch::Part& part) {
  new_is_padded_.SetChunk(*part.rows);
  TRY(ReadKeys(left_, part, /*pad_nulls=*/is_left_));
  TRY(right_.table.Find(keys_, groups_));
  if (matches_ != nullptr) {
    TRY(MatchLeft(context, part));
  } else {
    TRY(EmitPairs(context, part, right_.table, left_is_new_, nullptr));
    for (size_t i = 0; is_left_ && i < rows_.size(); ++i) {
      if (groups_[i] != nullptr && right_.table.Size(groups_[i]) > 0) continue;
      TRY(Pad(new_is_padded_, rows_[i], {}, part.weight(rows_[i])));
    }
  }
  return ApplyLeft(part);
}

// Fills rows_ and keys_ with the rows of the chunk that can match at all.
Status JoinOperator::ReadKeys(Side& side, const rows::Batch::Part& part, bool pad_nulls) {
  duckdb::DataChunk& rows = *part.rows;
  const std::vector<state::Key>& keys = side.keys.Read(rows);
  std::vector<uint8_t> is_null;
  for (const ColumnIndex column : side.not_null) {
    duckdb::UnifiedVectorFormat format;
    rows.data[column].ToUnifiedFormat(rows.size(), format);
    if (format.validity.AllValid()) continue;
    is_null.resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!format.validity.RowIsValid(format.sel->get_index(i))) is_null[i] = 1;
    }
  }
  rows_.clear();
  keys_.clear();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (part.weight(i) == 0) continue;
    if (!is_null.empty() && is_null[i]) {
      if (pad_nulls) TRY(Pad(new_is_padded_, static_cast<duckdb::sel_t>(i), {}, part.weight(i)));
      continue;
    }
    rows_.push_back(static_cast<duckdb::sel_t>(i));
    keys_.push_back(keys[i]);
  }
  return Ok();
}

// Joins the chunk's rows with those of their groups_ in `stored`. With `on_match` all pairs are
// written at the end.
Status JoinOperator::EmitPairs(StepContext& context, const rows::Batch::Part& part,
                               const state::BagTable& stored, JoinRows& pairs,
                               const OnMatch* on_match) {
  pairs.SetChunk(*part.rows);
  const state::BagTable::Group* group = nullptr;
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (groups_[i] == nullptr) continue;
    if (groups_[i] != group) {
      group = groups_[i];
      entries_.clear();
      stored.Rows(group, entries_);
    }
    const Weight weight = part.weight(rows_[i]);
    for (const state::BagTable::Entry& entry : entries_) {
      pairs.Add(rows_[i], entry.row, weight * entry.weight);
      if (pairs.full()) TRY(FlushPairs(context, pairs, on_match));
    }
  }
  return on_match != nullptr ? FlushPairs(context, pairs, on_match) : Ok();
}

// Writes the pairs for which the condition holds, and tells `on_match` of them unless it is null.
Status JoinOperator::FlushPairs(StepContext& context, JoinRows& pairs, const OnMatch* on_match) {
  if (!condition_) TRY(context.budget.Spend(pairs.bytes()));
  if (!condition_) return Flush(pairs);
  if (pairs.size() == 0) return Ok();
  TRY(context.budget.CheckTime());
  if (candidates_.rows == nullptr) {
    candidates_.rows = std::make_shared<duckdb::DataChunk>();
    candidates_.rows->Initialize(duckdb::Allocator::DefaultAllocator(), types_);
  } else {
    candidates_.rows->Reset();
  }
  TRY(pairs.Write(*candidates_.rows, 0));
  candidates_.rows->SetCardinality(pairs.size());
  candidates_.weights = pairs.weights();
  TRY(const std::vector<duckdb::sel_t>* matching, condition_->Select(context, candidates_));
  std::vector<Weight> weights;
  for (const duckdb::sel_t i : *matching) weights.push_back(candidates_.weights[i]);
  if (!weights.empty()) {
    TRY(context.budget.Spend(pairs.bytes() * weights.size() / pairs.size()));
    out_.Append(*candidates_.rows, matching->data(), matching->size(), weights.data());
  }
  if (on_match != nullptr) {
    for (const duckdb::sel_t i : *matching) {
      TRY((*on_match)(pairs.row(i), pairs.stored(i), candidates_.weights[i]));
    }
  }
  pairs.Clear();
  return Ok();
}

Status JoinOperator::Pad(JoinRows& padded, duckdb::sel_t row, std::string_view stored,
                         Weight weight) {
  padded.Add(row, stored, weight);
  return padded.full() ? Flush(padded) : Ok();
}

Status JoinOperator::Flush(JoinRows& rows) {
  if (rows.size() == 0) return Ok();
  duckdb::DataChunk& chunk = out_.Room(rows.size());
  TRY(rows.Write(chunk, chunk.size()));
  out_.Commit(rows.size(), rows.weights().data());
  rows.Clear();
  return Ok();
}

Status JoinOperator::ApplyRight(const rows::Batch::Part& part) {
  const std::vector<std::string_view>& encoded = right_.encoder.Encode(*part.rows);
  TRY(right_.table.FindOrCreate(keys_, groups_));
  if (closing_) TRY(NoteKeys(right_, *part.rows));
  const bool notes_flips = is_left_ && matches_ == nullptr;
  for (size_t i = 0; i < rows_.size(); ++i) {
    const Weight weight = part.weight(rows_[i]);
    const Weight before = right_.table.Add(groups_[i], encoded[rows_[i]], weight);
    if (!notes_flips || (before != 0 && before + weight != 0)) continue;
    const size_t size = right_.table.Size(groups_[i]);
    const bool came = before == 0 && size == 1;
    const bool left = before != 0 && size == 0;
    if (!came && !left) continue;
    flips_.push_back({flip_keys_.Copy(keys_[i].bytes), keys_[i].hash, came ? +1 : -1});
  }
  return Ok();
}

Status JoinOperator::ApplyLeft(const rows::Batch::Part& part) {
  const std::vector<std::string_view>& encoded = left_.encoder.Encode(*part.rows);
  TRY(left_.table.FindOrCreate(keys_, groups_));
  if (closing_) TRY(NoteKeys(left_, *part.rows));
  for (size_t i = 0; i < rows_.size(); ++i) {
    const duckdb::sel_t row = rows_[i];
    const Weight weight = part.weight(row);
    const Weight before = left_.table.Add(groups_[i], encoded[row], weight);
    if (matches_ == nullptr || match_weight_[row] == 0) continue;
    if (before == 0) matches_->Add(match_groups_[row], encoded[row], match_weight_[row]);
    if (before + weight == 0) matches_->Add(match_groups_[row], encoded[row], -match_weight_[row]);
  }
  return Ok();
}

// Pads or unpads A's rows of each key whose presence in B changed in this step. REQUIRES: ΔA is not
// in A yet.
Status JoinOperator::EmitFlips() {
  if (flips_.empty()) return Ok();
  // A key may come and go several times in one step: what counts is the sum.
  const auto key_of = [](const Flip& flip) { return std::tie(flip.hash, flip.key); };
  std::sort(flips_.begin(), flips_.end(),
            [&](const Flip& a, const Flip& b) { return key_of(a) < key_of(b); });
  size_t kept = 0;
  for (size_t i = 0; i < flips_.size();) {
    Flip sum = flips_[i];
    for (++i; i < flips_.size() && key_of(flips_[i]) == key_of(sum); ++i)
      sum.change += flips_[i].change;
    if (sum.change != 0) flips_[kept++] = sum;
  }
  flips_.resize(kept);
  for (size_t begin = 0; begin < kept; begin += STANDARD_VECTOR_SIZE) {
    const size_t end = std::min<size_t>(kept, begin + STANDARD_VECTOR_SIZE);
    keys_.clear();
    for (size_t i = begin; i < end; ++i) keys_.push_back({flips_[i].key, flips_[i].hash});
    TRY(left_.table.Find(keys_, groups_));
    for (size_t i = begin; i < end; ++i) {
      if (groups_[i - begin] == nullptr) continue;
      entries_.clear();
      left_.table.Rows(groups_[i - begin], entries_);
      for (const state::BagTable::Entry& entry : entries_) {
        TRY(Pad(stored_is_padded_, 0, entry.row, -flips_[i].change * entry.weight));
      }
    }
  }
  flips_.clear();
  flip_keys_.Clear();
  return Ok();
}

// Left join with a condition, changes of B: each left row that gets its first match or loses its
// last one flips.
Status JoinOperator::MatchRight(StepContext& context, const rows::Batch::Part& part) {
  TRY(FindMatchGroups([&](size_t i) { return groups_[i] != nullptr; }));
  const OnMatch on_match = [&](duckdb::sel_t row, std::string_view stored,
                               Weight weight) -> Status {
    const Weight right_weight = part.weight(row);
    const Weight left_weight = weight / right_weight;
    const Weight before = matches_->Add(match_groups_[row], stored, right_weight);
    if (before == 0) return Pad(stored_is_padded_, 0, stored, -left_weight);
    if (before + right_weight == 0) return Pad(stored_is_padded_, 0, stored, left_weight);
    return Ok();
  };
  return EmitPairs(context, part, left_.table, right_is_new_, &on_match);
}

// Left join with a condition, changes of A: counts their matches, pads those without.
Status JoinOperator::MatchLeft(StepContext& context, const rows::Batch::Part& part) {
  match_weight_.assign(part.rows->size(), 0);
  const OnMatch on_match = [&](duckdb::sel_t row, std::string_view, Weight weight) -> Status {
    match_weight_[row] += weight / part.weight(row);
    return Ok();
  };
  TRY(EmitPairs(context, part, right_.table, left_is_new_, &on_match));
  for (const duckdb::sel_t row : rows_) {
    if (match_weight_[row] == 0) TRY(Pad(new_is_padded_, row, {}, part.weight(row)));
  }
  return FindMatchGroups([&](size_t i) { return match_weight_[rows_[i]] != 0; });
}

// Notes the keys of rows_ whose groups_ are empty so far.
Status JoinOperator::NoteKeys(Side& side, duckdb::DataChunk& rows) {
  opened_.clear();
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (side.table.Size(groups_[i]) == 0) opened_.push_back({rows_[i], keys_[i], {}});
  }
  return closing_->Note(rows.data[side.columns[closing_key_]], rows.size(), opened_);
}

Status JoinOperator::DropClosed(StepContext& context) {
  TRY(const auto closed, closing_->Take(context));
  TRY(EraseGroups(left_.table, closed));
  TRY(EraseGroups(right_.table, closed));
  return matches_ == nullptr ? Ok() : EraseGroups(*matches_, closed);
}

// Sets match_groups_ for those of rows_ that are wanted.
Status JoinOperator::FindMatchGroups(const std::function<bool(size_t)>& wanted) {
  std::vector<state::Key> keys;
  std::vector<duckdb::sel_t> of;
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (!wanted(i)) continue;
    keys.push_back(keys_[i]);
    of.push_back(rows_[i]);
  }
  std::vector<state::BagTable::Group*> groups;
  TRY(matches_->FindOrCreate(keys, groups));
  match_groups_.resize(STANDARD_VECTOR_SIZE);
  for (size_t i = 0; i < of.size(); ++i) match_groups_[of[i]] = groups[i];
  return Ok();
}

JoinRows::JoinRows(From left, const rows::Types& left_types, From right,
                   const rows::Types& right_types)
    : halves_{{left, 0, left_types.size()}, {right, left_types.size(), right_types.size()}} {
  CHECK(left != right);
  for (const rows::Types* types : {&left_types, &right_types}) {
    for (const duckdb::LogicalType& type : *types)
      row_bytes_ += duckdb::GetTypeIdSize(type.InternalType());
  }
  if (left == From::kStored) decoder_.emplace(left_types);
  if (right == From::kStored) decoder_.emplace(right_types);
}

void JoinRows::SetChunk(duckdb::DataChunk& chunk) {
  if (!runs_.empty() && runs_.back().begin == size()) runs_.pop_back();
  runs_.push_back({&chunk, size()});
}

void JoinRows::Add(duckdb::sel_t row, std::string_view stored, Weight weight) {
  rows_.push_back(row);
  stored_.push_back(stored);
  weights_.push_back(weight);
}

size_t JoinRows::bytes() const {
  size_t bytes = size() * row_bytes_;
  for (const std::string_view row : stored_) bytes += row.size();
  return bytes;
}

Status JoinRows::Write(duckdb::DataChunk& out, size_t at) {
  for (const Half& half : halves_) {
    if (half.from == From::kStored) {
      TRY(decoder_->Decode(stored_, out, at, half.first_column));
      continue;
    }
    for (size_t column = 0; column < half.columns; ++column) {
      duckdb::Vector& target = out.data[half.first_column + column];
      if (half.from == From::kNull) {
        for (size_t i = 0; i < size(); ++i) duckdb::FlatVector::SetNull(target, at + i, true);
        continue;
      }
      const duckdb::SelectionVector selection(rows_.data());
      for (size_t run = 0; run < runs_.size(); ++run) {
        const size_t end = run + 1 < runs_.size() ? runs_[run + 1].begin : size();
        duckdb::VectorOperations::Copy(runs_[run].chunk->data[column], target, selection, end,
                                       runs_[run].begin, at + runs_[run].begin);
      }
    }
  }
  return Ok();
}

// The chunk stays set: more of its rows may come.
void JoinRows::Clear() {
  if (runs_.size() > 1) runs_.erase(runs_.begin(), runs_.end() - 1);
  for (Run& run : runs_) run.begin = 0;
  rows_.clear();
  stored_.clear();
  weights_.clear();
}

std::unique_ptr<Operator> MakeJoin(const Node& node, OperatorContext context) {
  return std::make_unique<JoinOperator>(node, context);
}

}  // namespace millrace::stream
