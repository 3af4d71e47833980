#include "stream/worker.h"

#include "base/clock.h"
#include "rows/duckdb_exception.h"
#include "stream/expressions.h"
#include "stream/history_input.h"

namespace millrace::stream {
namespace {

SourceReader* Find(const std::map<std::string, SourceReader*>& readers, const std::string& name) {
  const auto found = readers.find(name);
  return found == readers.end() ? nullptr : found->second;
}

// What a node that has stopped would have given is missing, so that nothing after it can be right.
// Another worker's node that stops later in the step makes no difference here: what this worker has
// of it is whole, and before anything is received from that one, it is known.
bool StopsWithInputs(CircuitNode& node) {
  for (const CircuitNode* input : node.inputs) {
    if (input->stopped.load(std::memory_order_acquire))
      node.stopped.store(true, std::memory_order_release);
  }
  return node.stopped.load(std::memory_order_acquire);
}

// The first columns of a relation that has become wider than its reader knows.
rows::Batch Narrowed(const rows::Batch& batch, const rows::Types& types) {
  rows::Batch narrow;
  for (const rows::Batch::Part& part : batch.parts) {
    auto rows = std::make_shared<duckdb::DataChunk>();
    rows->InitializeEmpty(types);
    for (size_t i = 0; i < types.size(); ++i) rows->data[i].Reference(part.rows->data[i]);
    rows->SetCardinality(part.rows->size());
    narrow.parts.push_back({std::move(rows), part.weights});
  }
  return narrow;
}

}  // namespace

void Worker::RunStep(const StepPlan& step) {
  const auto& nodes = step.circuit->nodes();
  Clear(step);
  for (const size_t i : step.walk) {
    // After an error the walk goes on without work: the other workers wait for what this one sends.
    if (!error_ && !step.failed->load(std::memory_order_acquire)) {
      Status done = RunNode(step, *nodes[i]);
      if (!done.ok()) {
        error_ = std::move(done).error().With(nodes[i]->description);
        step.failed->store(true, std::memory_order_release);
      }
    }
    Send(step, *nodes[i]);
  }
  if (error_) return;
  Status kept = state_.AfterStep();
  if (!kept.ok()) {
    error_ = std::move(kept).error();
    step.failed->store(true, std::memory_order_release);
  }
}

// What was not walked has nothing to forget: a step costs what it has to do, whatever else the
// circuit holds.
void Worker::Clear(const StepPlan& step) {
  const size_t count = step.circuit->nodes().size();
  if (circuit_version_ != step.circuit->version()) {
    circuit_version_ = step.circuit->version();
    owned_.assign(count, rows::Batch());
    values_.resize(count);
    for (size_t i = 0; i < count; ++i) values_[i] = &owned_[i];
    filtered_.assign(count, 0);
  } else {
    for (const size_t i : walk_) {
      owned_[i] = rows::Batch();
      values_[i] = &owned_[i];
      filtered_[i] = 0;
    }
  }
  walk_ = step.walk;
  failures_.clear();
  exclusions_.clear();
  stopped_.clear();
  error_.reset();
}

const rows::Batch& Worker::Dispatched(const StepPlan& step, const CircuitNode& node) {
  const rows::Batch& all = *values_[node.inputs[0]->index];
  const rows::Batch& some =
      node.dispatch->workers[index_]->RowsOf(node.dispatch_slot, step.ticket, all);
  filtered_[node.index] += static_cast<int64_t>(all.row_count() - some.row_count());
  return some;
}

void Worker::Send(const StepPlan& step, const CircuitNode& node) {
  for (const auto& [consumer, input] : node.sends) {
    consumer->exchanges[input]->Send(index_, step.ticket, values_[node.index]);
  }
}

Status Worker::RunNode(const StepPlan& step, CircuitNode& node) {
  if (const auto* source = std::get_if<Source>(&node.node.op)) {
    return ReadSource(Find(step.input->sources, source->name), node);
  }
  if (const auto* relation = std::get_if<Relation>(&node.node.op)) {
    if (StopsWithInputs(node)) return Ok();
    const CircuitNode& output = *node.inputs[0];
    values_[node.index] =
        node.dispatch == nullptr ? values_[output.index] : &Dispatched(step, node);
    if (output.node.types.size() > node.node.types.size()) {
      owned_[node.index] = Narrowed(*values_[node.index], node.node.types);
      values_[node.index] = &owned_[node.index];
    }
    if (node.build == 0) return Ok();
    const auto history = step.input->history.find({node.build, relation->name});
    return history == step.input->history.end() ? Ok() : AddHistory(history->second, node);
  }
  if (std::holds_alternative<Output>(node.node.op)) {
    if (StopsWithInputs(node)) return Ok();
    values_[node.index] = values_[node.inputs[0]->index];
    return Ok();
  }
  return RunOperator(step, node);
}

Status Worker::ReadSource(SourceReader* reader, CircuitNode& node) {
  if (reader == nullptr) return Ok();
  const auto start = Tick();
  TRY(owned_[node.index], reader->Read(index_));
  auto& counters = node.counters[index_];
  counters.seconds += SecondsSince(start);
  counters.rows_out += owned_[node.index].row_count();
  counters.steps += 1;
  if (node.insert_only && !owned_[node.index].insert_only()) {
    return Error(Code::kInternal, "a source that was declared insert-only gave a retraction");
  }
  return Ok();
}

Status Worker::AddHistory(const StepInput::History& history, CircuitNode& node) {
  const rows::Batch& live = *values_[node.index];
  rows::Batch followed =
      history.parts ? InParts(live, node.node.types, *history.parts, history.parts_by) : live;
  TRY(ReadSource(history.rows, node));
  owned_[node.index].Append(std::move(followed));
  values_[node.index] = &owned_[node.index];
  return Ok();
}

// Fills inputs_: the node's inputs, then what an exchange brought beside their rows. Returns how
// many rows there are.
size_t Worker::TakeInputs(const StepPlan& step, const CircuitNode& node) {
  inputs_.assign(node.inputs.size(), nullptr);
  received_.assign(node.inputs.size(), Mail());
  size_t rows = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const size_t from = node.inputs[i]->index;
    if (!step.active[from]) continue;
    inputs_[i] = node.dispatch == nullptr ? values_[from] : &Dispatched(step, node);
    if (node.exchanges[i]) {
      received_[i] = node.exchanges[i]->Receive(index_, step.ticket);
      inputs_[i] = received_[i].data();
      for (size_t more = 1; more < received_[i].size(); ++more) {
        inputs_.push_back(&received_[i][more]);
        rows += received_[i][more].row_count();
      }
    }
    rows += inputs_[i]->row_count();
  }
  return rows;
}

Status Worker::RunOperator(const StepPlan& step, CircuitNode& node) {
  const size_t rows_in = TakeInputs(step, node);
  if (StopsWithInputs(node)) return Ok();
  if (rows_in == 0 && !node.first_step && !step.due[node.index]) return Ok();
  const auto start = Tick();
  static const std::map<std::string, Micros> kNone;
  const bool limited = node.limits && step.input->limit_factor > 0;
  StepContext context{step.input->step,
                      step.input->clock,
                      node.build == 0 ? step.input->watermarks : kNone,
                      {},
                      {},
                      0,
                      limited ? Budget(*node.limits, step.input->limit_factor) : Budget()};
  const auto* deduplicate = std::get_if<Deduplicate>(&node.node.op);
  TRY(RunWithin(node, context));
  if (node.stopped.load()) return Ok();
  filtered_[node.index] += context.filtered;
  for (RowFailure& failure : context.failures) failures_.emplace_back(&node, std::move(failure));
  for (const Exclusion& exclusion : context.exclusions)
    exclusions_.emplace_back(deduplicate->stream, exclusion);
  auto& counters = node.counters[index_];
  counters.seconds += SecondsSince(start);
  counters.rows_in += rows_in;
  counters.rows_out += owned_[node.index].row_count();
  counters.steps += 1;
  return Ok();
}

// Runs the operator; one that exceeds its limits stops, and the step goes on without it.
Status Worker::RunWithin(CircuitNode& node, StepContext& context) {
  Status done = Ok();
  try {
    Result<rows::Batch> out = node.operators[index_]->Step(context, inputs_);
    if (out.ok()) {
      owned_[node.index] = *std::move(out);
      done = context.budget.CheckTime();
    } else {
      done = std::move(out).error();
    }
  } catch (const std::exception& exception) {  // DuckDB's, the only library that operators call
    done = Error(rows::CodeOf(exception), "{}", rows::ReadableMessage(exception));
  }
  if (done.ok() || !node.limits) return done;
  const Code code = done.error().code();
  if (code != Code::kTooLarge && code != Code::kTimeout) return done;
  const std::string what = node.description.substr(0, node.description.find("; state:"));
  stopped_.emplace_back(&node, std::move(done).error().With(what));
  owned_[node.index] = rows::Batch();
  node.stopped.store(true, std::memory_order_release);
  return Ok();
}

}  // namespace millrace::stream
