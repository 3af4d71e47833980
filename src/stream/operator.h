// A running operator: one instance per worker, which sees only the rows of that worker's keys.
// Thread rule: an instance is used by its worker's thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "rows/batch.h"
#include "rows/key.h"
#include "state/tables.h"
#include "stream/budget.h"
#include "stream/plan.h"
#include "stream/watchdog.h"

namespace millrace::stream {

// A row of a stream that no reader sees, decided in the step: here a duplicate.
struct Exclusion {
  int32_t partition;
  int64_t offset;
};

// A row or group whose expression failed, left out of the view.
struct RowFailure {
  std::string message;
  std::string row;      // its values, for a person
  rows::Weight weight;  // +1: came; -1: was retracted, which heals
};

// What an operator may know and tell during one step.
struct StepContext {
  state::Step step;
  Micros clock;  // the step's now(), from the journal
  // By stream: what a stream gives in this step and later is not earlier. A stream without
  // watermark has none.
  const std::map<std::string, Micros>& watermarks;
  std::vector<Exclusion> exclusions;  // filled by the operator
  std::vector<RowFailure> failures;   // filled by the operator
  int64_t filtered = 0;               // rows that a Filter leaves out, counted by it
  Budget budget;
};

class Operator {
 public:
  virtual ~Operator() = default;
  // Consumes one step's changes of the inputs (nullptr or empty: none) and returns the change of
  // the output. Called when any input has rows, in the first step after the node was added, and
  // when a watermark that closes its keys has moved. kTooLarge and
  // kTimeout end the views that the operator serves (Limits); any other error ends the node's step
  // loop: I/O, corruption.
  virtual Result<rows::Batch> Step(StepContext& context,
                                   std::span<const rows::Batch* const> inputs) = 0;
  // From when on by the steps' clock it has something to give though no row comes; none: never.
  virtual std::optional<Micros> NextDue() const { return std::nullopt; }
};

inline int OwnerOfEmptyKey(int workers) {
  return rows::WorkerOfShard(rows::VirtualShard(rows::KeyHash({})), workers);
}

// What an operator is made from.
struct OperatorContext {
  duckdb::ClientContext& client;  // for expressions; of this worker alone
  state::WorkerState& state;
  Watchdog& watchdog;    // of calls on connections of the operator's own
  state::TableId table;  // the first of eight ids that belong to this node: table, table+1, …
  int worker = 0;
  int workers = 1;
  std::vector<rows::Types> input_types;
  // Per input: no row of it is ever retracted, so that less needs to be kept. Only a hint where it
  // is false.
  std::vector<bool> insert_only;
  bool first_worker() const { return worker == 0; }
  // Of a node without key (constant, global aggregate, top-k without partition, cross join) all
  // rows go to the worker that owns the empty key.
  bool owns_empty_key() const { return worker == OwnerOfEmptyKey(workers); }
};

// One factory per operator, in the file of that name. REQUIRES: node.op holds the kind.
std::unique_ptr<Operator> MakeFilter(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeTemporalFilter(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeProject(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeUnionAll(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeConstant(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeNegate(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeUnnest(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeFunctionRows(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeJoin(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeAggregate(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeDistinct(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeTopK(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeAsofJoin(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeWindow(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeHold(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeDropClosed(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeSessionWindow(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeDeduplicate(const Node& node, OperatorContext context);
std::unique_ptr<Operator> MakeUpsert(const Node& node, OperatorContext context);

}  // namespace millrace::stream
