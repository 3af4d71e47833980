// A Worker runs its share of the circuit's nodes in one step.
// Thread rule: RunStep is called on the worker's thread; what it gathered is read by the engine
// between steps.
#pragma once

#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "state/tables.h"
#include "stream/circuit.h"
#include "stream/engine.h"

namespace millrace::stream {

// What a step is, the same for all workers.
struct StepPlan {
  const StepInput* input = nullptr;
  const Circuit* circuit = nullptr;
  uint32_t ticket = 0;
  std::vector<bool> active;  // by node: may have rows in this step, or is in its first one
  std::vector<size_t> walk;  // the active ones, ascending
  std::vector<bool> due;     // by node: it may have something to give though no row comes
  std::atomic<bool>* failed =
      nullptr;  // set by a worker that has to give up; the others then stop early
};

class Worker {
 public:
  Worker(int index, state::WorkerState& state) : index_(index), state_(state) {}

  void RunStep(const StepPlan& step);

  // Of the last step, by node.
  const rows::Batch& output(size_t node) const { return *values_[node]; }
  std::vector<std::pair<const CircuitNode*, RowFailure>>& failures() { return failures_; }
  int64_t filtered(size_t node) const { return filtered_[node]; }
  std::vector<std::pair<std::string, Exclusion>>& exclusions() { return exclusions_; }
  // Nodes that have exceeded their limits.
  const std::vector<std::pair<const CircuitNode*, Error>>& stopped() const { return stopped_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  // Forgets the last step.
  void Clear(const StepPlan& step);
  // The rows of its input that a node with a dispatch gets.
  const rows::Batch& Dispatched(const StepPlan& step, const CircuitNode& node);
  Status RunNode(const StepPlan& step, CircuitNode& node);
  Status ReadSource(SourceReader* reader, CircuitNode& node);
  Status AddHistory(const StepInput::History& history, CircuitNode& node);
  size_t TakeInputs(const StepPlan& step, const CircuitNode& node);
  Status RunOperator(const StepPlan& step, CircuitNode& node);
  Status RunWithin(CircuitNode& node, StepContext& context);
  void Send(const StepPlan& step, const CircuitNode& node);

  const int index_;
  state::WorkerState& state_;
  uint64_t circuit_version_ = 0;            // of the last step
  std::vector<size_t> walk_;                // of the last step
  std::vector<rows::Batch> owned_;          // by node
  std::vector<const rows::Batch*> values_;  // by node: in owned_, or that of the node it passes on
  std::vector<int64_t> filtered_;           // by node
  std::vector<Mail> received_;
  std::vector<const rows::Batch*> inputs_;
  std::vector<std::pair<const CircuitNode*, RowFailure>> failures_;
  std::vector<std::pair<std::string, Exclusion>> exclusions_;
  std::vector<std::pair<const CircuitNode*, Error>> stopped_;
  std::optional<Error> error_;
};

}  // namespace millrace::stream
