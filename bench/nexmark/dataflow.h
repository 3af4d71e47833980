// One query running on the engine over its own state store, planned as a node plans it: the three
// streams (and q13's table) as sources, the query as a view.
//
// Not thread-safe: one caller thread; the sources are read on the engine's workers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "nexmark/generator.h"
#include "sql/database.h"
#include "state/store.h"
#include "stream/engine.h"

namespace millrace::nexmark {

// The catalog of the three streams and the side table.
catalog::CatalogPtr NexmarkCatalog();
// The rows of the side table.
rows::Batch SideInputRows();

struct DataflowOptions {
  int workers = 1;
  std::string directory;  // of the state, to be made
  bool gather = false;    // Step gives the view's changes
  bool emit_on_close = false;
  size_t memory_bytes = state::StoreOptions{}.memory_bytes;
  // How streams are read, by relation name; those not named have a plain Source.
  std::map<std::string, stream::Plan> stream_plans = {};
};

class Dataflow {
 public:
  // Steps run after this one; the side table is filled. `database` outlives the dataflow.
  static Result<std::unique_ptr<Dataflow>> Start(const DataflowOptions& options,
                                                 sql::Database& database,
                                                 const std::string& select);

  // Runs a step over what the readers (by relation name) give, after which the streams' watermarks
  // are at `watermark`. Returns the change of the view where it is gathered. State is flushed as a
  // node does, in the background.
  Result<rows::Batch> Step(const std::map<std::string, stream::SourceReader*>& sources,
                           std::optional<Micros> watermark = {});
  // Waits for the flush that is under way, and flushes what is left.
  Status Flush();

  std::string Explain() const { return stream::Explain(plan_); }
  const rows::Types& types() const { return plan_.nodes.back().types; }
  int64_t rows_out() const;
  size_t state_bytes() const { return store_->stats().memory_bytes; }
  std::vector<stream::OperatorStats> stats() const { return engine_->stats(); }

 private:
  Dataflow() = default;
  Status AddRelation(const DataflowOptions& options, const std::string& name,
                     const catalog::Catalog& catalog);

  Result<rows::Batch> RunStep(const stream::StepInput& input);

  std::unique_ptr<state::Store> store_;
  std::unique_ptr<stream::Engine> engine_;
  stream::Plan plan_;
  state::Step step_;
  std::map<std::string, Micros> watermarks_;
  std::chrono::steady_clock::time_point last_flush_ = Tick();
};

// Each worker makes its share of the events [begin, end) of one kind.
class GeneratedEvents final : public stream::SourceReader {
 public:
  GeneratedEvents(const Generator& generator, Kind kind, int workers)
      : generator_(generator), kind_(kind), workers_(workers) {}
  // REQUIRES: no step is running.
  void Prepare(EventRange range) { range_ = range; }
  Result<rows::Batch> Read(int worker) override;

 private:
  const Generator& generator_;
  const Kind kind_;
  const int workers_;
  EventRange range_;
};

}  // namespace millrace::nexmark
