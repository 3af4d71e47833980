// The Engine runs one circuit on W workers, step by step. It knows no log and no SQL text: it gets
// batches and gives changes.
//
//   engine.Add(plan, …)                 between steps: nodes, exchanges and operators on every
//   worker engine.Step(input) → result         all workers together; the result is a function of
//   input and state alone
//
// Determinism: the content of a StepResult does not depend on the number of workers or on thread
// timing. Thread rule: one caller thread. The workers' threads are the engine's own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "rows/batch.h"
#include "state/store.h"
#include "stream/operator.h"
#include "stream/plan.h"
#include "stream/sharing.h"

namespace millrace::stream {

// Gives the rows that a step takes from a source. Called once per worker and step, on that worker's
// thread, at the same time as for other workers: each call gives that worker's share (its
// partitions).
class SourceReader {
 public:
  virtual ~SourceReader() = default;
  virtual Result<rows::Batch> Read(int worker) = 0;
};

struct StepInput {
  state::Step step;
  Micros clock;
  // By name of the Source. A source without reader has no rows in this step.
  std::map<std::string, SourceReader*> sources;
  // By stream: no row of this step or a later one is earlier, late ones apart (Node::closing).
  std::map<std::string, Micros> watermarks;
  // What views that are being built take in beside the changes of the step (history_input.h).
  struct History {
    SourceReader* rows = nullptr;       // asked once per worker for each node that reads it
    std::optional<uint32_t> parts;      // only changes of rows in parts below are followed
    std::vector<size_t> parts_by = {};  // the columns whose hash names the part; none: the row
  };
  std::map<std::pair<uint64_t, std::string>, History> history;  // by build and relation
  double limit_factor = 1;  // how often the Limits may be used in this step; 0: without limit
};

// How the rows that a view reads of a relation fared on their way to the view's first operator that
// is no filter and no projection: rows = used + filtered + failed. A view that reads a relation at
// two places counts its rows at both.
struct ReadCounts {
  int64_t rows = 0;
  int64_t used = 0;
  int64_t filtered = 0;
  int64_t failed = 0;

  ReadCounts& operator+=(const ReadCounts& other) {
    rows += other.rows;
    used += other.used;
    filtered += other.filtered;
    failed += other.failed;
    return *this;
  }
  bool operator==(const ReadCounts&) const = default;
};

struct StepResult {
  // By Output name: the change of that relation, consolidated, rows in row-codec order. Only those
  // that changed.
  std::map<std::string, rows::Batch> changes;
  // By stream (Deduplicate::stream), ordered by (partition, offset).
  std::map<std::string, std::vector<Exclusion>> exclusions;
  // By Output name of the views that a failing node feeds.
  std::map<std::string, std::vector<RowFailure>> failures;
  // By Output name: its view has exceeded its Limits in this step, or reads one that has. Its
  // change is left out here, its state is that of no step: what remains is to Remove it, dependents
  // first.
  std::map<std::string, Error> stopped;
  // By (relation, Output that reads it): only where rows were read in this step.
  std::map<std::pair<std::string, std::string>, ReadCounts> reads;
};

struct OperatorStats {
  std::vector<std::string> outputs;  // the relations that it feeds, ascending; several share it
  std::string description;           // "aggregate [stock_code] count(*)"
  // Of a Relation and an Output, which are no operators: what they name.
  std::string relation;
  std::string output;
  uint64_t fingerprint;
  uint64_t rows_in = 0, rows_out = 0, steps = 0;  // a step counts once per worker with rows
  double seconds = 0;                  // over all workers; operators and readers, without exchanges
  std::vector<state::TableId> tables;  // where it remembers
  state::TableStats state;             // over its tables
};

class Engine {
 public:
  struct Options {
    int workers = 1;
  };
  // `store` has as many workers. `database` gives each worker a connection for expressions. Both
  // outlive the engine.
  static Result<std::unique_ptr<Engine>> Start(const Options& options, state::Store& store,
                                               duckdb::DuckDB& database);
  ~Engine();  // stops and joins the workers

  // Adds the nodes of a plan. Nodes equal (by text and generation) to ones already there are
  // shared. `generation` is stored with the definition that the plan belongs to: nodes of one
  // generation were fed the same history. Nodes whose state tables already hold content (a
  // restart) go on from it. `build`: not 0 where the plan is being built from history: its Relation
  // nodes take in StepInput::history as well, and no watermark closes anything in it, until Join.
  // `limits`: what each of its nodes may use in a step; none: as much as it takes.
  Status Add(const Plan& plan, uint64_t generation, uint64_t build = 0,
             std::optional<Limits> limits = std::nullopt, const Sharing& sharing = {});
  // Makes one of equal nodes of different generations, where each has all its history, gives what
  // follows from its relations' rows alone (not from watermarks or the clock), and all its plans
  // are whole. Gives, by Output, what has to be handed to Add when the plan is added again
  // (Sharing::generations), in addition to what was handed in. Between steps.
  std::map<std::string, Sharing::Generations> ShareEqual();
  // Puts the nodes of a relation's plan in the place of those that make it now: the same operators,
  // with more columns behind those that there are. State stays. Who reads the relation goes on with
  // the columns that it knows.
  Status Widen(const Plan& plan);
  // The nodes of that build have all their history.
  void Join(uint64_t build);
  // Removes the Output and every node that only it needed, with their state.
  Status Remove(const std::string& output);

  Result<StepResult> Step(const StepInput& input);

  // The streams by whose watermark keys close.
  std::set<std::string> closing_streams() const;
  // From when on by the clock a step without rows would do something: rows come or go (now() in a
  // condition). None: never.
  std::optional<Micros> next_due() const;
  // Whether a step with these watermarks and without rows would do something: keys may close.
  bool WouldClose(const std::map<std::string, Micros>& watermarks) const;

  std::vector<OperatorStats> stats() const;
  int workers() const;

  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::stream
