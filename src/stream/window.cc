#include "stream/window.h"

#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/parser/statement/logical_plan_statement.hpp"
#include "duckdb/planner/operator/logical_column_data_get.hpp"
#include "duckdb/planner/operator/logical_window.hpp"
#include "stream/expressions.h"
#include "stream/session.h"

namespace millrace::stream {
namespace {

// Of the operators that DuckDB runs; any will do.
constexpr duckdb::idx_t kRowsIndex = 0;
constexpr duckdb::idx_t kWindowIndex = 1;

}  // namespace

WindowOperator::WindowOperator(const Node& node, const OperatorContext& context)
    : op_(std::get<Window>(node.op)),
      input_types_(context.input_types[0]),
      types_(node.types),
      client_(context.client),
      partition_reader_(op_.partition, input_types_),
      encoder_(input_types_),
      decoder_(input_types_),
      rows_(context.state.Bags(context.table, /*ordered=*/true)) {}

Result<rows::Batch> WindowOperator::Step(StepContext& context,
                                         std::span<const rows::Batch* const> inputs) {
  rows::Batch out;
  if (inputs[0] == nullptr) return out;
  for (const rows::Batch::Part& part : inputs[0]->parts) TRY(Apply(part));
  std::vector<std::vector<Row>> before;
  std::vector<std::vector<Row>> after;
  for (Touched& touched : touched_) {
    std::vector<Row> now;
    ReadRows(touched.group, now);
    const bool same = std::equal(
        now.begin(), now.end(), touched.before.begin(), touched.before.end(),
        [](const Row& a, const Row& b) { return a.weight == b.weight && a.bytes == b.bytes; });
    if (same) continue;
    before.push_back(std::move(touched.before));
    after.push_back(std::move(now));
  }
  TRY(Compute(context, before, -1, out));
  TRY(Compute(context, after, +1, out));
  touched_.clear();
  touched_at_.clear();
  bytes_.Clear();
  return rows::Consolidate(out, types_);
}

Status WindowOperator::Apply(const rows::Batch::Part& part) {
  const std::vector<state::Key>& keys = partition_reader_.Read(*part.rows);
  TRY(rows_.FindOrCreate(keys, groups_));
  const std::vector<std::string_view>& encoded = encoder_.Encode(*part.rows);
  for (size_t i = 0; i < encoded.size(); ++i) {
    if (touched_at_.try_emplace(groups_[i], touched_.size()).second) {
      Touched& touched = touched_.emplace_back();
      touched.group = groups_[i];
      ReadRows(groups_[i], touched.before);
    }
    rows_.Add(groups_[i], encoded[i], part.weight(i));
  }
  return Ok();
}

// The rows' bytes are copied: the table may change before they are used.
void WindowOperator::ReadRows(const state::BagTable::Group* group, std::vector<Row>& out) {
  rows_.Rows(group, entries_);
  for (const state::BagTable::Entry& entry : entries_) {
    if (entry.weight > 0) out.push_back({bytes_.Copy(entry.row), entry.weight});
  }
}

Status WindowOperator::Compute(StepContext& context,
                               const std::vector<std::vector<Row>>& partitions, rows::Weight weight,
                               rows::Batch& out) {
  TRY(const auto failed, Run(partitions, 0, partitions.size(), weight, out));
  if (!failed) return Ok();
  for (size_t i = 0; i < partitions.size(); ++i) {
    TRY(const auto failure, Run(partitions, i, i + 1, weight, out));
    if (!failure) continue;
    duckdb::DataChunk first;
    first.Initialize(duckdb::Allocator::DefaultAllocator(), input_types_, 1);
    TRY(decoder_.Decode({&partitions[i][0].bytes, 1}, first, 0));
    first.SetCardinality(1);
    context.failures.push_back({*failure, "the partition of " + DescribeRow(first, 0), weight});
  }
  return Ok();
}

duckdb::unique_ptr<duckdb::ColumnDataCollection> WindowOperator::Collect(
    const std::vector<std::vector<Row>>& partitions, size_t begin, size_t end, Status& status) {
  auto collection = duckdb::make_uniq<duckdb::ColumnDataCollection>(
      duckdb::Allocator::DefaultAllocator(), input_types_);
  duckdb::DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), input_types_);
  std::vector<std::string_view> rows;
  const auto flush = [&] {
    if (!status.ok() || rows.empty()) return;
    chunk.Reset();
    status = decoder_.Decode(rows, chunk, 0);
    chunk.SetCardinality(rows.size());
    if (status.ok()) collection->Append(chunk);
    rows.clear();
  };
  for (size_t i = begin; i < end; ++i) {
    for (const Row& row : partitions[i]) {
      for (rows::Weight copy = 0; copy < row.weight; ++copy) {
        rows.push_back(row.bytes);
        if (rows.size() == STANDARD_VECTOR_SIZE) flush();
      }
    }
  }
  flush();
  return collection;
}

Result<std::optional<std::string>> WindowOperator::Run(
    const std::vector<std::vector<Row>>& partitions, size_t begin, size_t end, rows::Weight weight,
    rows::Batch& out) {
  if (session_ == nullptr) {
    TRY(session_, OpenSession(*client_.db));
    session_->context->config.enable_optimizer = false;
  }
  try {
    Status status = Ok();
    auto collection = Collect(partitions, begin, end, status);
    TRY(std::move(status));
    if (collection->Count() == 0) return std::optional<std::string>();
    auto plan = duckdb::make_uniq<duckdb::LogicalWindow>(kWindowIndex);
    for (const Expression& call : op_.calls) plan->expressions.push_back(call->Copy());
    plan->children.push_back(duckdb::make_uniq<duckdb::LogicalColumnDataGet>(
        kRowsIndex, input_types_, std::move(collection)));
    plan->ResolveOperatorTypes();
    const auto result = session_->context->Query(
        duckdb::make_uniq<duckdb::LogicalPlanStatement>(std::move(plan)), {});
    if (result->HasError()) result->ThrowError();
    rows::Batch computed;
    while (auto chunk = result->Fetch()) {
      if (chunk->size() == 0) break;
      chunk->Flatten();
      rows::Batch::Part part;
      part.weights.assign(chunk->size(), weight);
      part.rows = std::shared_ptr<duckdb::DataChunk>(chunk.release());
      computed.parts.push_back(std::move(part));
    }
    out.Append(std::move(computed));
    return std::optional<std::string>();
  } catch (const std::exception& exception) {
    const std::string message = ReadableMessage(exception);
    if (EndsTheStep(exception)) return Error(Code::kInternal, "compute a window: {}", message);
    return std::optional(message);
  }
}

std::unique_ptr<Operator> MakeWindow(const Node& node, OperatorContext context) {
  return std::make_unique<WindowOperator>(node, context);
}

}  // namespace millrace::stream
