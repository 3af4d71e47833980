// The Circuit is the engine's graph: nodes of all plans, equal ones shared, with their exchanges
// and one operator per worker. It changes between steps only.
//
// Nodes stand in an order in which each comes after its inputs; all workers walk them in this
// order, so that they meet at the exchanges. Thread rule: changed by the caller's thread between
// steps, read by all workers during one.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "state/store.h"
#include "stream/distribution.h"
#include "stream/exchange.h"
#include "stream/key_dispatch.h"
#include "stream/operator.h"
#include "stream/plan.h"
#include "stream/sharing.h"

namespace millrace::stream {

struct CircuitNode;

// The filters of one node's rows by equality of one column.
struct Dispatch {
  const CircuitNode* from;
  ColumnIndex column;
  std::vector<std::unique_ptr<KeyDispatch>> workers;
};

struct CircuitNode {
  // What one worker counted.
  struct alignas(64) Counters {
    uint64_t rows_in = 0, rows_out = 0, steps = 0;
    double seconds = 0;
  };

  Node node;
  uint64_t generation = 0;
  uint64_t fingerprint = 0;
  std::string text;
  std::string description;
  size_t index = 0;                                  // in Circuit::nodes()
  std::vector<CircuitNode*> inputs;                  // a live Relation reads its Output
  std::vector<std::unique_ptr<Exchange>> exchanges;  // per input; null: not needed
  std::vector<std::pair<CircuitNode*, size_t>>
      sends;  // consumers behind an exchange, with their input's number
  std::vector<CircuitNode*> consumers;
  // Where all that comes of its input's rows passes a Filter `column = constant`: it gets only
  // these rows, and those left out count as filtered by it.
  Dispatch* dispatch = nullptr;
  size_t dispatch_slot = 0;
  Distribution distribution;
  bool insert_only = false;
  uint64_t build = 0;  // not 0: it is being built from history
  // Every plan that it came with says so (Sharing::whole).
  bool whole = false;
  std::optional<Limits> own_limits;  // of an Output: its view's
  // The highest of the views below which it stands; none: one of them has none.
  std::optional<Limits> limits;
  // It, or one that it reads from, has exceeded its limits: it never runs again.
  std::atomic<bool> stopped{false};
  bool first_step = true;  // no step since it was added
  // Of the streams that close its keys, as of its last step.
  std::map<std::string, Micros> seen_watermarks;
  std::set<std::string> outputs;  // names of the Outputs below which it stands
  std::vector<std::unique_ptr<Operator>>
      operators;                   // per worker; none for Relation, Source, Output
  std::vector<Counters> counters;  // per worker
};

// The way of a relation's rows to the first node of a view that is no Filter or Project: what of
// them the view uses. A view that reads a relation at two places has two.
struct ReadPath {
  const CircuitNode* relation;
  std::vector<const CircuitNode*> linear;  // the Filters and Projects on the way
  std::set<std::string> outputs;           // the views
};

class Circuit {
 public:
  // What operators of each worker are made with.
  struct WorkerParts {
    duckdb::ClientContext& client;
    state::WorkerState& state;
    Watchdog& watchdog;
  };

  Circuit(std::vector<WorkerParts> workers, state::Store& store);

  // All or nothing.
  Status Add(const Plan& plan, uint64_t generation, uint64_t build, std::optional<Limits> limits,
             const Sharing& sharing);
  // Engine::ShareEqual
  std::map<std::string, Sharing::Generations> ShareEqual();
  Status Widen(const Plan& plan);  // Engine::Widen
  void Join(uint64_t build);
  Status Remove(const std::string& output);

  // The tables that the node has, with what they hold. Between steps.
  std::vector<std::pair<state::TableId, state::TableStats>> StateOf(const CircuitNode& node) const;

  const std::vector<std::unique_ptr<CircuitNode>>& nodes() const { return nodes_; }
  const std::vector<ReadPath>& read_paths() const { return read_paths_; }
  // Those that may do something though none of their inputs has rows: sources, nodes without a step
  // so far, those that take in history, and timed ones.
  const std::vector<CircuitNode*>& starts() const { return starts_; }
  // Those whose keys close or whose rows come and go with the clock.
  const std::vector<CircuitNode*>& timed() const { return timed_; }
  // A different number after each change.
  uint64_t version() const { return version_; }
  // Works out what only steps need: read paths, starts, dispatches. Before a step.
  void Settle();
  // After a step: its nodes have had their first one.
  void FindStarts();
  int workers() const { return static_cast<int>(workers_.size()); }

 private:
  Result<CircuitNode*> AddNode(const Plan& plan, size_t index,
                               const std::vector<CircuitNode*>& added, uint64_t generation,
                               uint64_t build, const Sharing& sharing);
  Status Connect(CircuitNode& node, const std::vector<CircuitNode*>& added,
                 const std::vector<size_t>& inputs);
  // Exchanges and what follows from the inputs.
  void ConnectInputs(CircuitNode& node);
  void DropState(CircuitNode& node);
  void MakeOperators(CircuitNode& node);
  CircuitNode* FindOutput(const std::string& name) const;
  // Works out what follows from the edges: order, consumers, outputs, limits.
  void Rewire();
  void FindReadPaths();
  void FindDispatches();
  void DropFrom(size_t count);

  std::vector<WorkerParts> workers_;
  state::Store& store_;
  std::vector<std::unique_ptr<CircuitNode>> nodes_;
  std::vector<ReadPath> read_paths_;
  std::vector<CircuitNode*> starts_;
  std::vector<CircuitNode*> timed_;
  std::vector<std::unique_ptr<Dispatch>> dispatches_;
  uint64_t version_ = 1;
  uint64_t settled_version_ = 0;
};

// The operator of the node's kind; null for Relation, Source and Output, which only name things.
std::unique_ptr<Operator> MakeOperator(const Node& node, OperatorContext context);

}  // namespace millrace::stream
