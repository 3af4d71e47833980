// FunctionRows: out = for each row of Δin the rows that the function gives of its arguments, with
// the row's weight. Linear, no state.
//
// The function sees one row at a time, as DuckDB shows it those of a lateral join. A row for which
// it fails is left out and reported.
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/execution/execution_context.hpp"
#include "duckdb/parallel/thread_context.hpp"
#include "rows/duckdb_exception.h"
#include "stream/expressions.h"
#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream {
namespace {

class FunctionRowsOperator final : public Operator {
 public:
  FunctionRowsOperator(const Node& node, const OperatorContext& context)
      : op_(std::get<FunctionRows>(node.op)),
        client_(context.client),
        thread_(context.client),
        types_(node.types),
        width_(context.input_types[0].size()),
        arguments_(op_.arguments, context.input_types[0]) {
    for (const ColumnIndex column : op_.arguments)
      argument_types_.push_back(context.input_types[0][column]);
    function_types_.assign(types_.begin() + static_cast<ptrdiff_t>(width_),
                           types_.end() - (op_.numbered ? 1 : 0));
    for (size_t i = 0; i < function_types_.size(); ++i) column_ids_.emplace_back(i);
  }

  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override {
    rows::BatchBuilder out(types_);
    if (inputs[0] == nullptr) return out.Finish();
    for (const rows::Batch::Part& part : inputs[0]->parts) {
      duckdb::DataChunk& arguments = arguments_.Of(*part.rows);
      for (size_t row = 0; row < part.rows->size(); ++row) {
        if (part.weight(row) == 0) continue;
        TRY(const bool done, Call(arguments, row));
        if (done) {
          PutOut(*part.rows, row, part.weight(row), out);
        } else {
          context.failures.push_back({failure_, DescribeRow(*part.rows, row), part.weight(row)});
        }
      }
    }
    return out.Finish();
  }

 private:
  void Open() {
    duckdb::TableFunctionInitInput input(op_.bound.get(), column_ids_, {}, nullptr);
    local_.reset();
    global_.reset();
    if (op_.function->init_global) global_ = op_.function->init_global(client_, input);
    duckdb::ExecutionContext execution(client_, thread_, nullptr);
    if (op_.function->init_local)
      local_ = op_.function->init_local(execution, input, global_.get());
    open_ = true;
  }

  // All rows of one call, in given_[0..given_count_). False: it failed, and `failure_` says why.
  Result<bool> Call(duckdb::DataChunk& arguments, size_t row) {
    given_count_ = 0;
    try {
      if (!open_) Open();
      duckdb::DataChunk one;
      one.Initialize(duckdb::Allocator::DefaultAllocator(), argument_types_, 1);
      for (size_t i = 0; i < argument_types_.size(); ++i)
        one.SetValue(i, 0, arguments.GetValue(i, row));
      one.SetCardinality(1);
      duckdb::ExecutionContext execution(client_, thread_, nullptr);
      duckdb::TableFunctionInput data(op_.bound.get(), local_.get(), global_.get());
      auto result = duckdb::OperatorResultType::HAVE_MORE_OUTPUT;
      while (result == duckdb::OperatorResultType::HAVE_MORE_OUTPUT) {
        duckdb::DataChunk& chunk = NextChunk();
        result = op_.function->in_out_function(execution, data, one, chunk);
        if (chunk.size() > 0) Keep(chunk);
      }
      return true;
    } catch (const std::exception& exception) {
      open_ = false;  // whatever it had begun with the row
      failure_ = rows::ReadableMessage(exception);
      if (EndsTheStep(exception))
        return Error(Code::kInternal, "{}(): {}", op_.function->name, failure_);
      return false;
    }
  }

  duckdb::DataChunk& NextChunk() {
    if (scratch_.ColumnCount() == 0)
      scratch_.Initialize(duckdb::Allocator::DefaultAllocator(), function_types_);
    scratch_.Reset();
    return scratch_;
  }

  // The function's next rows may stand where these do.
  void Keep(duckdb::DataChunk& chunk) {
    if (given_count_ == given_.size()) {
      given_.push_back(std::make_unique<duckdb::DataChunk>());
      given_.back()->Initialize(duckdb::Allocator::DefaultAllocator(), function_types_);
    }
    duckdb::DataChunk& kept = *given_[given_count_++];
    kept.Reset();
    chunk.Copy(kept);
  }

  void PutOut(duckdb::DataChunk& rows, size_t row, rows::Weight weight, rows::BatchBuilder& out) {
    int64_t number = 0;
    for (size_t piece = 0; piece < given_count_; ++piece) {
      duckdb::DataChunk& given = *given_[piece];
      const size_t count = given.size();
      duckdb::DataChunk& chunk = out.Room(count);
      const size_t at = chunk.size();
      duckdb::SelectionVector same(count);
      for (size_t i = 0; i < count; ++i) same.set_index(i, row);
      for (size_t i = 0; i < width_; ++i)
        duckdb::VectorOperations::Copy(rows.data[i], chunk.data[i], same, count, 0, at);
      for (size_t i = 0; i < function_types_.size(); ++i)
        duckdb::VectorOperations::Copy(given.data[i], chunk.data[width_ + i], count, 0, at);
      if (op_.numbered) {
        auto* numbers = duckdb::FlatVector::GetData<int64_t>(chunk.data.back());
        for (size_t i = 0; i < count; ++i) numbers[at + i] = ++number;
      }
      const std::vector<rows::Weight> weights(count, weight);
      out.Commit(count, weights.data());
    }
  }

  const FunctionRows& op_;
  duckdb::ClientContext& client_;
  duckdb::ThreadContext thread_;
  const rows::Types types_;
  const size_t width_;
  ColumnView arguments_;
  rows::Types argument_types_;
  rows::Types function_types_;
  duckdb::vector<duckdb::ColumnIndex> column_ids_;

  bool open_ = false;
  duckdb::unique_ptr<duckdb::GlobalTableFunctionState> global_;
  duckdb::unique_ptr<duckdb::LocalTableFunctionState> local_;
  std::string failure_;
  duckdb::DataChunk scratch_;
  std::vector<std::unique_ptr<duckdb::DataChunk>> given_;
  size_t given_count_ = 0;
};

}  // namespace

std::unique_ptr<Operator> MakeFunctionRows(const Node& node, OperatorContext context) {
  return std::make_unique<FunctionRowsOperator>(node, context);
}

}  // namespace millrace::stream
