#include "stream/expressions.h"

#include "duckdb/common/error_data.hpp"
#include "duckdb/common/type_visitor.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace millrace::stream {
namespace {

void AddAll(duckdb::ExpressionExecutor& executor, const std::vector<Expression>& expressions) {
  for (const Expression& expression : expressions) executor.AddExpression(*expression);
}

// Whether some function keeps a state of its own between runs. The texts of its results may lie in
// there (those of JSON do), where the next run overwrites them.
bool KeepsState(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION &&
      expression.Cast<duckdb::BoundFunctionExpression>().function.HasInitStateCallback()) {
    return true;
  }
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CAST &&
      expression.Cast<duckdb::BoundCastExpression>().bound_cast.init_local_state != nullptr) {
    return true;
  }
  bool keeps = false;
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const duckdb::Expression& child) { keeps = keeps || KeepsState(child); });
  return keeps;
}

bool HasText(const duckdb::LogicalType& type) {
  return duckdb::TypeVisitor::Contains(type, [](const duckdb::LogicalType& part) {
    return part.InternalType() == duckdb::PhysicalType::VARCHAR;
  });
}

}  // namespace

std::string ReadableMessage(const std::exception& exception) {
  return duckdb::ErrorData(exception).RawMessage();
}

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

Code CodeOf(const std::exception& exception) {
  const bool no_memory =
      duckdb::ErrorData(exception).Type() == duckdb::ExceptionType::OUT_OF_MEMORY ||
      dynamic_cast<const std::bad_alloc*>(&exception) != nullptr;
  return no_memory ? Code::kTooLarge : Code::kInternal;
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
    : expressions_(std::move(expressions)), client_(client), executor_(client) {
  for (size_t i = 0; i < expressions_.size(); ++i) {
    types_.push_back(expressions_[i]->return_type);
    if (HasText(types_[i]) && KeepsState(*expressions_[i])) borrowed_.push_back(i);
  }
  AddAll(executor_, expressions_);
}

std::shared_ptr<duckdb::DataChunk> ExpressionRunner::NewChunk() const {
  auto chunk = std::make_shared<duckdb::DataChunk>();
  chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types_);
  return chunk;
}

Result<bool> ExpressionRunner::TryRun(duckdb::DataChunk& input, duckdb::DataChunk& out) {
  try {
    executor_.Execute(input, out);
    out.SetCardinality(input.size());
    // Chunks of a batch may be read by several threads, which dictionaries do not allow.
    out.Flatten();
    for (const size_t column : borrowed_) {
      duckdb::Vector own(types_[column], std::max<size_t>(input.size(), STANDARD_VECTOR_SIZE));
      duckdb::VectorOperations::Copy(out.data[column], own, input.size(), 0, 0);
      out.data[column].Reference(own);
    }
    return true;
  } catch (const std::exception& exception) {
    failure_ = ReadableMessage(exception);
    if (EndsTheStep(exception))
      return Error(CodeOf(exception), "evaluate expressions: {}", failure_);
    return false;
  }
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
    const size_t count = executor_.SelectExpression(*part.rows, rows);
    selected_.assign(rows.data(), rows.data() + count);
    return &selected_;
  } catch (const std::exception& exception) {
    if (EndsTheStep(exception)) {
      return Error(CodeOf(exception), "evaluate expressions: {}", ReadableMessage(exception));
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
