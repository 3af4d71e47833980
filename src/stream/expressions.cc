#include "stream/expressions.h"

#include "base/utf8.h"
#include "duckdb/common/error_data.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "rows/duckdb_exception.h"

namespace millrace::stream {
namespace {

void AddAll(duckdb::ExpressionExecutor& executor, const std::vector<Expression>& expressions) {
  for (const Expression& expression : expressions) executor.AddExpression(*expression);
}

// Whether texts of the result may lie in memory of the executor that its next run writes again:
// functions and casts with a state of their own keep an arena in it (all of JSON), and nested
// values are made of the executor's buffers.
bool MayBorrowTexts(const duckdb::Expression& expression) {
  if (expression.return_type.IsNested()) return true;
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION &&
      expression.Cast<duckdb::BoundFunctionExpression>().function.HasInitStateCallback())
    return true;
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CAST &&
      expression.Cast<duckdb::BoundCastExpression>().bound_cast.init_local_state != nullptr)
    return true;
  bool may = false;
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const duckdb::Expression& child) { may = may || MayBorrowTexts(child); });
  return may;
}

ResultMemory MemoryOf(const duckdb::Expression& expression) {
  // Refers to the input, which nobody writes any more.
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF)
    return ResultMemory::kOwned;
  if (expression.return_type.IsNested()) return ResultMemory::kBorrowed;
  if (expression.return_type.InternalType() == duckdb::PhysicalType::VARCHAR &&
      MayBorrowTexts(expression))
    return ResultMemory::kBorrowed;
  return ResultMemory::kOwnedUnlessMoved;
}

}  // namespace

bool EndsTheStep(const std::exception& exception) {
  switch (duckdb::ErrorData(exception).Type()) {
    case duckdb::ExceptionType::OUT_OF_MEMORY:
    case duckdb::ExceptionType::FATAL:
    case duckdb::ExceptionType::IO:
    case duckdb::ExceptionType::INTERRUPT:
      return true;
    default:
      return dynamic_cast<const std::bad_alloc*>(&exception) != nullptr;
  }
}

std::string DescribeRow(duckdb::DataChunk& chunk, size_t row) {
  std::string text;
  for (duckdb::idx_t column = 0; column < chunk.ColumnCount(); ++column) {
    if (column > 0) text += ", ";
    text += chunk.GetValue(column, row).ToString();
  }
  return text;
}

ExpressionRunner::ExpressionRunner(duckdb::ClientContext& client,
                                   std::vector<Expression> expressions)
    : expressions_(std::move(expressions)), client_(client) {
  for (const Expression& expression : expressions_) {
    types_.push_back(expression->return_type);
    memory_.push_back(MemoryOf(*expression));
  }
}

duckdb::ExpressionExecutor& ExpressionRunner::Executor() {
  if (!executor_) {
    auto executor = std::make_unique<duckdb::ExpressionExecutor>(client_);
    AddAll(*executor, expressions_);
    executor_ = std::move(executor);
  }
  return *executor_;
}

std::shared_ptr<duckdb::DataChunk> ExpressionRunner::NewChunk() const {
  auto chunk = std::make_shared<duckdb::DataChunk>();
  chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types_);
  return chunk;
}

Result<bool> ExpressionRunner::TryRun(duckdb::DataChunk& input, duckdb::DataChunk& out) {
  try {
    std::vector<duckdb::const_data_ptr_t> own;
    for (duckdb::Vector& column : out.data) own.push_back(duckdb::FlatVector::GetData(column));
    Executor().Execute(input, out);
    out.SetCardinality(input.size());
    for (size_t i = 0; i < expressions_.size(); ++i) Own(i, own[i], out.data[i], input.size());
    // Chunks of a batch may be read by several threads, which dictionaries do not allow.
    out.Flatten();
    return true;
  } catch (const std::exception& exception) {
    failure_ = rows::ReadableMessage(exception);
    if (EndsTheStep(exception))
      return Error(rows::CodeOf(exception), "evaluate expressions: {}", failure_);
    return false;
  }
}

// Casts that only change the type hand on the buffer of what they cast.
void ExpressionRunner::Own(size_t index, duckdb::const_data_ptr_t own, duckdb::Vector& column,
                           size_t count) const {
  const bool moved = column.GetVectorType() == duckdb::VectorType::FLAT_VECTOR &&
                     duckdb::FlatVector::GetData(column) != own;
  if (memory_[index] == ResultMemory::kOwned) return;
  if (memory_[index] == ResultMemory::kOwnedUnlessMoved && !moved) return;
  duckdb::Vector copy(column.GetType());
  duckdb::VectorOperations::Copy(column, copy, count, 0, 0);
  column.Reference(copy);
}

Status ExpressionRunner::RunHalves(StepContext& context, const rows::Batch::Part& part,
                                   size_t begin, size_t count, rows::BatchBuilder& results,
                                   std::vector<duckdb::sel_t>& kept) {
  duckdb::SelectionVector rows(count);
  for (size_t i = 0; i < count; ++i) rows.set_index(i, begin + i);
  duckdb::DataChunk slice;
  slice.Initialize(duckdb::Allocator::DefaultAllocator(), part.rows->GetTypes(), count);
  part.rows->Copy(slice, rows, count, 0);
  auto out = NewChunk();
  TRY(const bool done, TryRun(slice, *out));
  if (done) {
    std::vector<rows::Weight> weights(count);
    for (size_t i = 0; i < count; ++i) {
      weights[i] = part.weight(begin + i);
      kept.push_back(static_cast<duckdb::sel_t>(begin + i));
    }
    results.Append(*out, nullptr, count, weights.data());
    return Ok();
  }
  if (count == 1) {
    context.failures.push_back({failure_, DescribeRow(*part.rows, begin), part.weight(begin)});
    return Ok();
  }
  TRY(RunHalves(context, part, begin, count / 2, results, kept));
  return RunHalves(context, part, begin + count / 2, count - count / 2, results, kept);
}

Result<std::optional<rows::Batch::Part>> ExpressionRunner::Project(StepContext& context,
                                                                   const rows::Batch::Part& part) {
  auto out = NewChunk();
  TRY(const bool done, TryRun(*part.rows, *out));
  if (done) return std::optional(rows::Batch::Part{std::move(out), part.weights});
  rows::BatchBuilder results(types_);
  std::vector<duckdb::sel_t> kept;
  TRY(RunHalves(context, part, 0, part.rows->size(), results, kept));
  rows::Batch batch = results.Finish();
  if (batch.empty()) return std::optional<rows::Batch::Part>();
  CHECK(batch.parts.size() == 1) << "one chunk of input gave several of output";
  return std::optional(std::move(batch.parts[0]));
}

Result<const std::vector<duckdb::sel_t>*> ExpressionRunner::Select(StepContext& context,
                                                                   const rows::Batch::Part& part) {
  selected_.clear();
  try {
    duckdb::SelectionVector rows(part.rows->size());
    const size_t count = Executor().SelectExpression(*part.rows, rows);
    selected_.assign(rows.data(), rows.data() + count);
    return &selected_;
  } catch (const std::exception& exception) {
    if (EndsTheStep(exception)) {
      return Error(rows::CodeOf(exception), "evaluate expressions: {}",
                   rows::ReadableMessage(exception));
    }
  }
  rows::BatchBuilder results(types_);
  std::vector<duckdb::sel_t> kept;
  TRY(RunHalves(context, part, 0, part.rows->size(), results, kept));
  const rows::Batch batch = results.Finish();
  size_t next = 0;
  for (const auto& result : batch.parts) {
    duckdb::UnifiedVectorFormat format;
    result.rows->data[0].ToUnifiedFormat(result.rows->size(), format);
    const bool* values = duckdb::UnifiedVectorFormat::GetData<bool>(format);
    for (size_t i = 0; i < result.rows->size(); ++i, ++next) {
      const auto at = format.sel->get_index(i);
      if (format.validity.RowIsValid(at) && values[at]) selected_.push_back(kept[next]);
    }
  }
  return &selected_;
}

}  // namespace millrace::stream
