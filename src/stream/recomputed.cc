#include "stream/recomputed.h"

#include <algorithm>
#include <unordered_set>

#include "base/check.h"
#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/parser/statement/logical_plan_statement.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/operator/logical_column_data_get.hpp"
#include "duckdb/planner/operator/logical_comparison_join.hpp"
#include "rows/duckdb_exception.h"
#include "stream/expressions.h"
#include "stream/session.h"
#include "stream/window_plan.h"

namespace millrace::stream {
namespace {

using Plans = std::vector<duckdb::unique_ptr<duckdb::LogicalOperator>>;

std::vector<ColumnIndex> KeyOf(const Node& node, size_t input) {
  if (const auto* window = std::get_if<Window>(&node.op)) return window->partition;
  const auto& join = std::get<AsofJoin>(node.op);
  return input == 0 ? join.left_keys : join.right_keys;
}

duckdb::unique_ptr<duckdb::LogicalOperator> PlanOfAsof(const AsofJoin& join, Plans inputs) {
  auto plan = duckdb::make_uniq<duckdb::LogicalComparisonJoin>(
      join.kind == JoinKind::kLeft ? duckdb::JoinType::LEFT : duckdb::JoinType::INNER,
      duckdb::LogicalOperatorType::LOGICAL_ASOF_JOIN);
  const auto compare = [&](ColumnIndex left, ColumnIndex right, duckdb::ExpressionType comparison) {
    duckdb::JoinCondition condition;
    condition.left =
        duckdb::make_uniq<duckdb::BoundReferenceExpression>(inputs[0]->types[left], left);
    condition.right =
        duckdb::make_uniq<duckdb::BoundReferenceExpression>(inputs[1]->types[right], right);
    condition.comparison = comparison;
    plan->conditions.push_back(std::move(condition));
  };
  for (size_t i = 0; i < join.left_keys.size(); ++i)
    compare(join.left_keys[i], join.right_keys[i], duckdb::ExpressionType::COMPARE_EQUAL);
  compare(join.left_value, join.right_value, join.comparison);
  for (auto& input : inputs) plan->children.push_back(std::move(input));
  return plan;
}

}  // namespace

RecomputedOperator::Input::Input(const std::vector<ColumnIndex>& key,
                                 const rows::Types& input_types, state::BagTable& bags)
    : types(input_types), keys(key, types), encoder(types), decoder(types), table(bags) {}

RecomputedOperator::RecomputedOperator(const Node& node, const OperatorContext& context)
    : node_(node), client_(context.client), watchdog_(context.watchdog) {
  for (size_t i = 0; i < context.input_types.size(); ++i) {
    inputs_.push_back(std::make_unique<Input>(
        KeyOf(node, i), context.input_types[i],
        context.state.Bags(state::TableId{context.table.value + i}, /*ordered=*/true)));
  }
  if (const auto* join = std::get_if<AsofJoin>(&node.op))
    right_values_.emplace(std::vector<ColumnIndex>{join->right_value}, context.input_types[1]);
  if (!node.closing) return;
  closing_column_ = KeyOf(node, 0)[node.closing->key];
  closing_.emplace(node, context.input_types[0][closing_column_], context);
}

Result<rows::Batch> RecomputedOperator::Step(StepContext& context,
                                             std::span<const rows::Batch* const> inputs) {
  CHECK(inputs.size() == inputs_.size());
  const auto for_each_part = [&](const auto& visit) -> Status {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i] == nullptr) continue;
      for (const rows::Batch::Part& part : inputs[i]->parts) TRY(visit(*inputs_[i], part));
    }
    return Ok();
  };
  TRY(for_each_part([&](Input& input, const rows::Batch::Part& part) -> Status {
    NoteKeys(input, part);
    return Ok();
  }));
  TRY(const std::vector<Rows> before, ReadRows());
  TRY(for_each_part(
      [&](Input& input, const rows::Batch::Part& part) { return Apply(input, part); }));
  TRY(const std::vector<Rows> after, ReadRows());
  rows::Batch out;
  TRY(Compute(context, before, -1, out));
  TRY(Compute(context, after, +1, out));
  touched_.clear();
  touched_at_.clear();
  bytes_.Clear();
  if (closing_) {
    TRY(const auto closed, closing_->Take(context));
    TRY(EraseGroups(inputs_[0]->table, closed));
  }
  return rows::Consolidate(out, node_.types);
}

void RecomputedOperator::NoteKeys(Input& input, const rows::Batch::Part& part) {
  const std::vector<state::Key>& keys = input.keys.Read(*part.rows);
  for (size_t i = 0; i < part.rows->size(); ++i) {
    if (part.weight(i) == 0 || touched_at_.contains(keys[i].bytes)) continue;
    touched_.push_back({bytes_.Copy(keys[i].bytes), keys[i].hash});
    touched_at_.emplace(touched_.back().bytes, touched_.size() - 1);
  }
}

Status RecomputedOperator::Apply(Input& input, const rows::Batch::Part& part) {
  const std::vector<state::Key>& keys = input.keys.Read(*part.rows);
  TRY(input.table.FindOrCreate(keys, groups_));
  if (closing_) {
    opened_.clear();
    for (size_t i = 0; i < keys.size(); ++i) {
      if (input.table.Size(groups_[i]) == 0)
        opened_.push_back({static_cast<duckdb::sel_t>(i), keys[i], {}});
    }
    TRY(closing_->Note(part.rows->data[closing_column_], keys.size(), opened_));
  }
  const std::vector<std::string_view>& encoded = input.encoder.Encode(*part.rows);
  for (size_t i = 0; i < encoded.size(); ++i)
    input.table.Add(groups_[i], encoded[i], part.weight(i));
  return Ok();
}

// What the touched keys hold now. The bytes are copied: the tables may change before they are used.
Result<std::vector<RecomputedOperator::Rows>> RecomputedOperator::ReadRows() {
  std::vector<Rows> keys(touched_.size(), Rows(inputs_.size()));
  for (size_t i = 0; i < inputs_.size(); ++i) {
    TRY(inputs_[i]->table.Find(touched_, groups_));
    for (size_t key = 0; key < touched_.size(); ++key) {
      if (groups_[key] == nullptr) continue;
      inputs_[i]->table.Rows(groups_[key], entries_);
      for (const state::BagTable::Entry& entry : entries_) {
        if (entry.weight > 0) keys[key][i].push_back({bytes_.Copy(entry.row), entry.weight});
      }
    }
  }
  return keys;
}

Status RecomputedOperator::Compute(StepContext& context, const std::vector<Rows>& keys,
                                   rows::Weight weight, rows::Batch& out) {
  TRY(const auto failed, Run(context.budget, keys, 0, keys.size(), weight, out));
  if (!failed) return Ok();
  for (size_t i = 0; i < keys.size(); ++i) {
    TRY(const auto failure, Run(context.budget, keys, i, i + 1, weight, out));
    if (!failure) continue;
    TRY(std::string row, Describe(keys[i]));
    context.failures.push_back({*failure, "all rows of the key of " + std::move(row), weight});
  }
  return Ok();
}

// A row of the key, for a person.
Result<std::string> RecomputedOperator::Describe(const Rows& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].empty()) continue;
    duckdb::DataChunk first;
    first.Initialize(duckdb::Allocator::DefaultAllocator(), inputs_[i]->types, 1);
    TRY(inputs_[i]->decoder.Decode({&rows[i][0].bytes, 1}, first, 0));
    first.SetCardinality(1);
    return DescribeRow(first, 0);
  }
  return std::string();
}

Status RecomputedOperator::ForEachChunk(const Budget& budget, size_t input,
                                        const std::vector<Rows>& keys, size_t begin, size_t end,
                                        const Visit& visit) {
  Input& from = *inputs_[input];
  duckdb::DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), from.types);
  std::vector<std::string_view> rows;
  std::vector<size_t> key_of_row;
  const auto flush = [&]() -> Status {
    chunk.Reset();
    TRY(from.decoder.Decode(rows, chunk, 0));
    chunk.SetCardinality(rows.size());
    visit(chunk, key_of_row);
    rows.clear();
    key_of_row.clear();
    return budget.CheckTime();
  };
  for (size_t key = begin; key < end; ++key) {
    for (const Row& row : keys[key][input]) {
      for (rows::Weight copy = 0; copy < row.weight; ++copy) {
        rows.push_back(row.bytes);
        key_of_row.push_back(key);
        if (rows.size() == STANDARD_VECTOR_SIZE) TRY(flush());
      }
    }
  }
  if (!rows.empty()) TRY(flush());
  return Ok();
}

RecomputedOperator::Visit RecomputedOperator::AsTheyAre(Into& into) {
  return [&into](duckdb::DataChunk& chunk, std::span<const size_t>) { into.Append(chunk); };
}

// Each row is followed by its ordinal.
RecomputedOperator::Visit RecomputedOperator::Numbered(Into& into) const {
  return [&into, ordinal = int64_t{0}](duckdb::DataChunk& chunk, std::span<const size_t>) mutable {
    duckdb::DataChunk numbered;
    numbered.InitializeEmpty(into.Types());
    for (size_t i = 0; i < chunk.ColumnCount(); ++i) numbered.data[i].Reference(chunk.data[i]);
    numbered.data.back().Sequence(ordinal, 1, chunk.size());
    numbered.SetCardinality(chunk.size());
    ordinal += static_cast<int64_t>(chunk.size());
    into.Append(numbered);
  };
}

// Of the right rows of an ASOF join that have one key and value the first stands for all: which one
// DuckDB took would depend on how many others there are.
RecomputedOperator::Visit RecomputedOperator::FirstOfEachValue(Into& into) {
  return [this, &into, seen = std::unordered_set<std::string>(), seen_of = size_t{0}](
             duckdb::DataChunk& chunk, std::span<const size_t> key_of_row) mutable {
    const std::vector<state::Key>& values = right_values_->Read(chunk);
    duckdb::SelectionVector kept(STANDARD_VECTOR_SIZE);
    size_t count = 0;
    for (size_t i = 0; i < chunk.size(); ++i) {
      if (key_of_row[i] != seen_of) seen.clear();
      seen_of = key_of_row[i];
      if (seen.emplace(values[i].bytes).second) kept.set_index(count++, i);
    }
    chunk.Slice(kept, count);
    into.Append(chunk);
  };
}

// The keys' rows as DuckDB's operator reads them.
Result<duckdb::unique_ptr<duckdb::LogicalOperator>> RecomputedOperator::Collect(
    const Budget& budget, size_t input, const std::vector<Rows>& keys, size_t begin, size_t end) {
  const bool is_window = std::holds_alternative<Window>(node_.op);
  duckdb::vector<duckdb::LogicalType> types(inputs_[input]->types.begin(),
                                            inputs_[input]->types.end());
  if (is_window) types.push_back(duckdb::LogicalType::BIGINT);
  auto rows = duckdb::make_uniq<Into>(duckdb::Allocator::DefaultAllocator(), types);
  const Visit visit = is_window    ? Numbered(*rows)
                      : input == 0 ? AsTheyAre(*rows)
                                   : FirstOfEachValue(*rows);
  TRY(ForEachChunk(budget, input, keys, begin, end, visit));
  duckdb::unique_ptr<duckdb::LogicalOperator> plan =
      duckdb::make_uniq<duckdb::LogicalColumnDataGet>(input, types, std::move(rows));
  plan->ResolveOperatorTypes();
  return plan;
}

Result<std::optional<std::string>> RecomputedOperator::Run(const Budget& budget,
                                                           const std::vector<Rows>& keys,
                                                           size_t begin, size_t end,
                                                           rows::Weight weight, rows::Batch& out) {
  // Neither operator makes a row of nothing, and every row of theirs has one of the first input.
  const bool nothing = std::all_of(keys.begin() + static_cast<ptrdiff_t>(begin),
                                   keys.begin() + static_cast<ptrdiff_t>(end),
                                   [](const Rows& rows) { return rows[0].empty(); });
  if (nothing) return std::optional<std::string>();
  if (session_ == nullptr) {
    TRY(session_, OpenSession(*client_.db));
    session_->context->config.enable_optimizer = false;
  }
  const Watchdog::Guard watch(watchdog_, *session_->context, [&budget] { return budget.IsOver(); });
  try {
    Plans inputs;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      TRY(auto input, Collect(budget, i, keys, begin, end));
      inputs.push_back(std::move(input));
    }
    const auto* window = std::get_if<Window>(&node_.op);
    auto plan = window != nullptr ? PlanOfWindow(*window, std::move(inputs[0]))
                                  : PlanOfAsof(std::get<AsofJoin>(node_.op), std::move(inputs));
    plan->ResolveOperatorTypes();
    const auto result = session_->context->Query(
        duckdb::make_uniq<duckdb::LogicalPlanStatement>(std::move(plan)), {});
    if (result->HasError()) result->ThrowError();
    while (auto chunk = result->Fetch()) {
      if (chunk->size() == 0) break;
      chunk->Flatten();
      rows::Batch::Part part;
      part.weights.assign(chunk->size(), weight);
      part.rows = std::shared_ptr<duckdb::DataChunk>(chunk.release());
      out.parts.push_back(std::move(part));
    }
    // An interrupt may end the rows without an error.
    TRY(budget.CheckTime());
    return std::optional<std::string>();
  } catch (const std::exception& exception) {
    TRY(budget.CheckTime());
    const std::string message = rows::ReadableMessage(exception);
    if (EndsTheStep(exception)) return Error(rows::CodeOf(exception), "compute anew: {}", message);
    return std::optional(message);
  }
}

std::unique_ptr<Operator> MakeWindow(const Node& node, OperatorContext context) {
  return std::make_unique<RecomputedOperator>(node, context);
}
std::unique_ptr<Operator> MakeAsofJoin(const Node& node, OperatorContext context) {
  return std::make_unique<RecomputedOperator>(node, context);
}

}  // namespace millrace::stream
