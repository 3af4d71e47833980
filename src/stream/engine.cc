#include "stream/engine.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/check.h"
#include "stream/circuit.h"
#include "stream/session.h"
#include "stream/worker.h"

namespace millrace::stream {
namespace {

Result<std::unique_ptr<duckdb::Connection>> Connect(duckdb::DuckDB& database) {
  TRY(auto connection, OpenSession(*database.instance));
  // Some functions look at the transaction (the catalog of enums, for one); nothing is ever
  // written in it.
  connection->BeginTransaction();
  return connection;
}

// Whether a watermark that closes the node's keys has moved since its last step.
bool MayClose(const CircuitNode& node, const std::map<std::string, Micros>& watermarks) {
  if (!node.node.closing || node.build != 0) return false;
  const auto& terms = node.node.closing->bound.terms;
  return std::any_of(terms.begin(), terms.end(), [&](const TimeBound::Term& term) {
    const auto now = watermarks.find(term.stream);
    if (now == watermarks.end()) return false;
    const auto seen = node.seen_watermarks.find(term.stream);
    return seen == node.seen_watermarks.end() || seen->second != now->second;
  });
}

std::optional<Micros> DueOf(const CircuitNode& node) {
  std::optional<Micros> first;
  for (const auto& op : node.operators) {
    const auto due = op->NextDue();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

bool Before(const RowFailure& a, const RowFailure& b) {
  return std::tie(a.message, a.row, a.weight) < std::tie(b.message, b.row, b.weight);
}

bool Before(const Exclusion& a, const Exclusion& b) {
  return std::tie(a.partition, a.offset) < std::tie(b.partition, b.offset);
}

}  // namespace

struct Engine::Impl {
  Watchdog watchdog;
  std::vector<std::unique_ptr<duckdb::Connection>> connections;
  std::unique_ptr<Circuit> circuit;
  std::vector<std::unique_ptr<Worker>> workers;
  // The first worker runs on the caller's thread, which would only wait otherwise.
  std::vector<std::thread> threads;
  StepPlan plan;
  uint32_t ticket = 0;
  std::atomic<uint32_t> started{0};  // the ticket of the step to run
  std::atomic<uint32_t> running{0};  // other workers that are in the step
  std::atomic<bool> stopping{false};
  std::atomic<bool> failed{false};
  std::optional<Error> error;  // of an earlier step: the operators' state is not that of any step

  ~Impl() {
    stopping.store(true);
    started.store(ticket + 1);
    started.notify_all();
    for (std::thread& thread : threads) thread.join();
    // Operators hold expressions' states, which belong to the connections.
    circuit.reset();
  }

  void RunThread(Worker& worker) {
    for (uint32_t wanted = 1;; ++wanted) {
      SpinThenWait(started, wanted);
      if (stopping.load()) return;
      worker.RunStep(plan);
      if (running.fetch_sub(1) == 1) running.notify_one();
    }
  }

  // Whether the node may do something in this step though none of its inputs has rows.
  bool Starts(const CircuitNode& node, const StepInput& input) const {
    if (const auto* source = std::get_if<Source>(&node.node.op))
      return input.sources.contains(source->name);
    const auto* relation = std::get_if<Relation>(&node.node.op);
    if (relation != nullptr)
      return node.build != 0 && input.history.contains({node.build, relation->name});
    return node.first_step || plan.due[node.index];
  }

  // Whether keys may close in this step, or rows come or go with the clock.
  static bool IsDue(const CircuitNode& node, const StepInput& input) {
    if (MayClose(node, input.watermarks)) return true;
    const auto due = DueOf(node);
    return due && *due <= input.clock;
  }

  // Sets which nodes the workers walk: from those that start on, down.
  void PlanStep(const StepInput& input) {
    circuit->Settle();
    const auto& nodes = circuit->nodes();
    plan.due.assign(nodes.size(), false);
    for (const CircuitNode* node : circuit->timed()) plan.due[node->index] = IsDue(*node, input);
    plan.active.assign(nodes.size(), false);
    std::vector<const CircuitNode*> open;
    for (const CircuitNode* node : circuit->starts()) {
      if (Starts(*node, input)) open.push_back(node);
    }
    while (!open.empty()) {
      const CircuitNode* node = open.back();
      open.pop_back();
      if (plan.active[node->index] || node->stopped.load()) continue;
      plan.active[node->index] = true;
      for (const CircuitNode* consumer : node->consumers) open.push_back(consumer);
    }
    plan.walk.clear();
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (plan.active[i]) plan.walk.push_back(i);
    }
  }

  void NoteSeen(const StepInput& input) {
    bool any_first = false;
    for (const size_t i : plan.walk) {
      CircuitNode& node = *circuit->nodes()[i];
      any_first = any_first || node.first_step;
      node.first_step = false;
      if (!plan.due[i] || !node.node.closing) continue;
      for (const TimeBound::Term& term : node.node.closing->bound.terms) {
        const auto found = input.watermarks.find(term.stream);
        if (found != input.watermarks.end()) node.seen_watermarks[term.stream] = found->second;
      }
    }
    if (any_first) circuit->FindStarts();
  }

  void RunWorkers() {
    running.store(static_cast<uint32_t>(threads.size()));
    started.store(ticket);
    if (!threads.empty()) started.notify_all();
    workers[0]->RunStep(plan);
    SpinThenWait(running, 0);
  }

  rows::Batch Gather(const CircuitNode& node) const {
    rows::Batch all;
    for (const auto& worker : workers) all.Append(worker->output(node.index));
    return all.empty() ? all : rows::ConsolidateSorted(all, node.node.types);
  }

  int64_t RowsOf(const CircuitNode& node) const {
    size_t rows = 0;
    for (const auto& worker : workers) rows += worker->output(node.index).row_count();
    return static_cast<int64_t>(rows);
  }

  int64_t FilteredBy(const CircuitNode& node) const {
    int64_t rows = 0;
    for (const auto& worker : workers) rows += worker->filtered(node.index);
    return rows;
  }

  // REQUIRES: the workers' failures are still there.
  void CountReads(StepResult& result) const {
    std::map<const CircuitNode*, int64_t> failed;
    for (const auto& worker : workers) {
      for (const auto& [node, failure] : worker->failures()) ++failed[node];
    }
    for (const ReadPath& path : circuit->read_paths()) {
      if (!plan.active[path.relation->index]) continue;
      ReadCounts counts;
      counts.filtered = FilteredBy(*path.relation);  // by a dispatch
      counts.rows = RowsOf(*path.relation) + counts.filtered;
      if (counts.rows == 0) continue;
      const CircuitNode& end = path.linear.empty() ? *path.relation : *path.linear.back();
      counts.used = RowsOf(end);
      for (const CircuitNode* node : path.linear) {
        counts.filtered += FilteredBy(*node);
        if (const auto found = failed.find(node); found != failed.end())
          counts.failed += found->second;
      }
      const std::string& relation = std::get<Relation>(path.relation->node.op).name;
      for (const std::string& output : path.outputs) result.reads[{relation, output}] += counts;
    }
  }

  // Why the node stopped: the first that did on its way, on the first worker that knows of one.
  Error ReasonOf(const CircuitNode& node) const {
    for (const auto& worker : workers) {
      for (const auto& [stopped, reason] : worker->stopped()) {
        if (stopped == &node) return reason;
      }
    }
    for (const CircuitNode* input : node.inputs) {
      if (input->stopped.load()) return ReasonOf(*input);
    }
    return Error(Code::kInternal, "{} stopped without a reason", node.description);
  }

  StepResult Collect() {
    StepResult result;
    CountReads(result);
    for (const size_t i : plan.walk) {
      const CircuitNode& node = *circuit->nodes()[i];
      const auto* output = std::get_if<Output>(&node.node.op);
      if (output == nullptr) continue;
      if (node.stopped.load()) result.stopped.emplace(output->name, ReasonOf(node));
      if (!output->gathered || node.stopped.load()) continue;
      rows::Batch changes = Gather(node);
      if (!changes.empty()) result.changes.emplace(output->name, std::move(changes));
    }
    for (const auto& worker : workers) {
      for (auto& [node, failure] : worker->failures()) {
        for (const std::string& name : node->outputs) {
          if (!result.stopped.contains(name)) result.failures[name].push_back(failure);
        }
      }
      for (auto& [stream, exclusion] : worker->exclusions())
        result.exclusions[stream].push_back(exclusion);
    }
    for (auto& [name, failures] : result.failures) {
      std::sort(failures.begin(), failures.end(),
                [](const auto& a, const auto& b) { return Before(a, b); });
    }
    for (auto& [name, list] : result.exclusions) {
      std::sort(list.begin(), list.end(),
                [](const auto& a, const auto& b) { return Before(a, b); });
    }
    return result;
  }
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Start(const Options& options, state::Store& store,
                                              duckdb::DuckDB& database) {
  CHECK(options.workers > 0);
  auto impl = std::make_unique<Impl>();
  std::vector<Circuit::WorkerParts> parts;
  for (int i = 0; i < options.workers; ++i) {
    TRY(auto connection, Connect(database));
    parts.push_back({*connection->context, store.worker(i), impl->watchdog});
    impl->connections.push_back(std::move(connection));
    impl->workers.push_back(std::make_unique<Worker>(i, store.worker(i)));
  }
  impl->circuit = std::make_unique<Circuit>(std::move(parts), store);
  for (int i = 1; i < options.workers; ++i) {
    impl->threads.emplace_back(
        [state = impl.get(), worker = impl->workers[i].get()] { state->RunThread(*worker); });
  }
  return std::make_unique<Engine>(std::move(impl));
}

Status Engine::Add(const Plan& plan, uint64_t generation, uint64_t build,
                   std::optional<Limits> limits, const Sharing& sharing) {
  try {
    return impl_->circuit->Add(plan, generation, build, limits, sharing);
  } catch (const std::exception& exception) {
    return Error(Code::kInternal, "add plan: {}", duckdb::ErrorData(exception).RawMessage());
  }
}

Status Engine::Widen(const Plan& plan) {
  try {
    return impl_->circuit->Widen(plan);
  } catch (const std::exception& exception) {
    return Error(Code::kInternal, "widen plan: {}", duckdb::ErrorData(exception).RawMessage());
  }
}

std::map<std::string, Sharing::Generations> Engine::ShareEqual() {
  return impl_->circuit->ShareEqual();
}

void Engine::Join(uint64_t build) { impl_->circuit->Join(build); }

Status Engine::Remove(const std::string& output) { return impl_->circuit->Remove(output); }

Result<StepResult> Engine::Step(const StepInput& input) {
  Impl& impl = *impl_;
  if (impl.error) return *impl.error;
  impl.failed.store(false);
  impl.ticket += 1;
  impl.plan.input = &input;
  impl.plan.circuit = impl.circuit.get();
  impl.plan.ticket = impl.ticket;
  impl.PlanStep(input);
  impl.plan.failed = &impl.failed;
  impl.RunWorkers();
  for (const auto& worker : impl.workers) {
    if (worker->error() && !impl.error) impl.error = *worker->error();
  }
  if (impl.error) return *impl.error;
  try {
    StepResult result = impl.Collect();
    impl.NoteSeen(input);
    return result;
  } catch (const std::exception& exception) {
    impl.error =
        Error(Code::kInternal, "gather changes: {}", duckdb::ErrorData(exception).RawMessage());
    return *impl.error;
  }
}

std::set<std::string> Engine::closing_streams() const {
  std::set<std::string> streams;
  for (const CircuitNode* node : impl_->circuit->timed()) {
    if (!node->node.closing) continue;
    for (const TimeBound::Term& term : node->node.closing->bound.terms) streams.insert(term.stream);
  }
  return streams;
}

std::optional<Micros> Engine::next_due() const {
  std::optional<Micros> first;
  for (const CircuitNode* node : impl_->circuit->timed()) {
    const auto due = DueOf(*node);
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

bool Engine::WouldClose(const std::map<std::string, Micros>& watermarks) const {
  const auto& timed = impl_->circuit->timed();
  return std::any_of(timed.begin(), timed.end(),
                     [&](const auto& node) { return MayClose(*node, watermarks); });
}

std::vector<OperatorStats> Engine::stats() const {
  std::vector<OperatorStats> all;
  for (const auto& node : impl_->circuit->nodes()) {
    OperatorStats stats;
    stats.outputs.assign(node->outputs.begin(), node->outputs.end());
    stats.description = node->description;
    stats.fingerprint = node->fingerprint;
    if (const auto* output = std::get_if<Output>(&node->node.op)) stats.output = output->name;
    if (const auto* read = std::get_if<Relation>(&node->node.op)) stats.relation = read->name;
    for (const auto& counters : node->counters) {
      stats.rows_in += counters.rows_in;
      stats.rows_out += counters.rows_out;
      stats.steps += counters.steps;
      stats.seconds += counters.seconds;
    }
    for (const auto& [table, of_table] : impl_->circuit->StateOf(*node)) {
      stats.tables.push_back(table);
      stats.state += of_table;
    }
    all.push_back(std::move(stats));
  }
  return all;
}

int Engine::workers() const { return static_cast<int>(impl_->workers.size()); }

}  // namespace millrace::stream
