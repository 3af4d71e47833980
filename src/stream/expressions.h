// Runs bound DuckDB expressions over the rows of a batch. A row for which an expression fails
// (`'abc'::INT`) is left out and reported; because the same row fails the same way when it is
// retracted, the view stays consistent.
//
// The fast path is one vectorised run per chunk. Only when that throws is the chunk halved until
// the failing rows stand alone, so that a failing row costs about 2 log2(2048) runs and its
// neighbours keep their speed.
//
// Errors: rows fail into StepContext::failures. Out of memory, I/O and interrupts are the Result's
// error. Not thread-safe; owned by one operator. DuckDB's exceptions end here.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "rows/batch.h"
#include "stream/operator.h"

namespace millrace::stream {

// Where the values of a result lie. A batch outlives the next run of the executor that made it, so
// what the executor will write again has to be copied.
enum class ResultMemory {
  kOwned,             // in the input, or in the result's own buffers
  kOwnedUnlessMoved,  // in the result's own buffer, unless the result was pointed at another
  kBorrowed,          // possibly in the executor
};

class ExpressionRunner {
 public:
  // The expressions outlive the runner (the plan's node keeps them).
  ExpressionRunner(duckdb::ClientContext& client, std::vector<Expression> expressions);

  // One column per expression for the rows that did not fail, with their weights. No part: all
  // failed.
  Result<std::optional<rows::Batch::Part>> Project(StepContext& context,
                                                   const rows::Batch::Part& part);

  // The rows for which the (only) expression is true, ascending. REQUIRES: one BOOLEAN expression.
  Result<const std::vector<duckdb::sel_t>*> Select(StepContext& context,
                                                   const rows::Batch::Part& part);

 private:
  duckdb::ExpressionExecutor& Executor();  // may throw DuckDB's exceptions
  // False: it threw, and `failure_` says why.
  Result<bool> TryRun(duckdb::DataChunk& input, duckdb::DataChunk& out);
  // Copies the column where its values may be in the executor; `own`: the buffer it was given.
  void Own(size_t index, duckdb::const_data_ptr_t own, duckdb::Vector& column, size_t count) const;
  Status RunHalves(StepContext& context, const rows::Batch::Part& part, size_t begin, size_t count,
                   rows::BatchBuilder& results, std::vector<duckdb::sel_t>& kept);
  std::shared_ptr<duckdb::DataChunk> NewChunk() const;

  std::vector<Expression> expressions_;
  rows::Types types_;
  std::vector<ResultMemory> memory_;
  duckdb::ClientContext& client_;
  std::unique_ptr<duckdb::ExpressionExecutor> executor_;  // made with the first rows
  std::string failure_;
  std::vector<duckdb::sel_t> selected_;
};

// True for exceptions that say nothing of a row: out of memory, I/O, interrupt.
bool EndsTheStep(const std::exception& exception);
// A row's values, for a person: "7, lamp, NULL".
std::string DescribeRow(duckdb::DataChunk& chunk, size_t row);

}  // namespace millrace::stream
