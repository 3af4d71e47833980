#include "stream/circuit.h"

#include <algorithm>

#include "base/check.h"
#include "stream/pre_aggregate.h"
#include "stream/time_index.h"

namespace millrace::stream {
namespace {

bool Is(const CircuitNode& node, const std::string& output) {
  const auto* op = std::get_if<Output>(&node.node.op);
  return op != nullptr && op->name == output;
}

// True when the node gives only insertions, given that its inputs do as `inputs` says.
bool KeepsInsertOnly(const Node& node, const std::vector<CircuitNode*>& inputs) {
  const bool all = std::all_of(inputs.begin(), inputs.end(),
                               [](const auto* input) { return input->insert_only; });
  if (const auto* source = std::get_if<Source>(&node.op)) return source->insert_only;
  if (const auto* join = std::get_if<Join>(&node.op)) return all && join->kind == JoinKind::kInner;
  if (const auto* constant = std::get_if<Constant>(&node.op)) return constant->rows.insert_only();
  if (const auto* aggregate = std::get_if<Aggregate>(&node.op)) return aggregate->at_close;
  return all && !std::holds_alternative<Negate>(node.op) &&
         !std::holds_alternative<TemporalFilter>(node.op) &&
         !std::holds_alternative<TopK>(node.op) && !std::holds_alternative<Window>(node.op) &&
         !std::holds_alternative<SessionWindow>(node.op) &&
         !std::holds_alternative<AsofJoin>(node.op) && !std::holds_alternative<Upsert>(node.op);
}

std::unique_ptr<Exchange> MakeExchange(const Node& node, const Requirement& requirement,
                                       const CircuitNode& input, int workers) {
  std::vector<std::unique_ptr<Splitter>> splitters;
  for (int i = 0; i < workers; ++i) {
    std::unique_ptr<Splitter> splitter =
        PreAggregate::Make(node, input.node.types, input.insert_only, workers);
    if (splitter == nullptr)
      splitter = std::make_unique<Partitioner>(requirement, input.node.types, workers);
    splitters.push_back(std::move(splitter));
  }
  return std::make_unique<Exchange>(std::move(splitters));
}

struct Make {
  const Node& node;
  OperatorContext context;

  std::unique_ptr<Operator> operator()(const Relation&) { return nullptr; }
  std::unique_ptr<Operator> operator()(const Source&) { return nullptr; }
  std::unique_ptr<Operator> operator()(const Output&) { return nullptr; }
  std::unique_ptr<Operator> operator()(const Constant&) {
    return MakeConstant(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const Filter&) {
    return MakeFilter(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const TemporalFilter&) {
    return MakeTemporalFilter(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const Project&) {
    return MakeProject(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const UnionAll&) {
    return MakeUnionAll(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const Negate&) {
    return MakeNegate(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const Unnest&) {
    return MakeUnnest(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const FunctionRows&) {
    return MakeFunctionRows(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const AsofJoin&) {
    return MakeAsofJoin(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const Window&) {
    return MakeWindow(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const SessionWindow&) {
    return MakeSessionWindow(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const Join&) { return MakeJoin(node, std::move(context)); }
  std::unique_ptr<Operator> operator()(const Aggregate&) {
    return MakeAggregate(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const Distinct&) {
    return MakeDistinct(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const TopK&) { return MakeTopK(node, std::move(context)); }
  std::unique_ptr<Operator> operator()(const Hold&) { return MakeHold(node, std::move(context)); }
  std::unique_ptr<Operator> operator()(const DropClosed&) {
    return MakeDropClosed(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const Deduplicate&) {
    return MakeDeduplicate(node, std::move(context));
  }
  std::unique_ptr<Operator> operator()(const Upsert&) {
    return MakeUpsert(node, std::move(context));
  }
};

// Those that the node may have.
std::vector<state::TableId> TablesOf(const CircuitNode& node) {
  std::vector<state::TableId> tables;
  for (uint64_t i = 0; i < kTablesPerNode; ++i)
    tables.push_back(state::TableId{node.fingerprint + i});
  tables.push_back(TimeIndexTable(tables[0]));
  return tables;
}

// A shared node may use what the view with the highest limits may.
void Raise(Limits& present, const Limits& limits) {
  present.step_seconds = std::max(present.step_seconds, limits.step_seconds);
  present.step_bytes = std::max(present.step_bytes, limits.step_bytes);
}

}  // namespace

std::unique_ptr<Operator> MakeOperator(const Node& node, OperatorContext context) {
  return std::visit(Make{node, std::move(context)}, node.op);
}

Circuit::Circuit(std::vector<WorkerParts> workers, state::Store& store)
    : workers_(std::move(workers)), store_(store) {}

CircuitNode* Circuit::FindOutput(const std::string& name) const {
  for (const auto& node : nodes_) {
    if (Is(*node, name)) return node.get();
  }
  return nullptr;
}

Status Circuit::Add(const Plan& plan, uint64_t generation, uint64_t build,
                    std::optional<Limits> limits, const Sharing& sharing) {
  const size_t count_before = nodes_.size();
  std::vector<CircuitNode*> added;
  for (size_t i = 0; i < plan.nodes.size(); ++i) {
    Result<CircuitNode*> node = AddNode(plan, i, added, generation, build, sharing);
    if (!node.ok()) {
      DropFrom(count_before);
      return std::move(node).error().With("add plan");
    }
    added.push_back(*node);
  }
  for (size_t i = count_before; i < nodes_.size(); ++i) MakeOperators(*nodes_[i]);
  for (CircuitNode* node : added) node->whole = node->whole && sharing.whole;
  if (std::holds_alternative<Output>(added.back()->node.op)) added.back()->own_limits = limits;
  Rewire();
  return Ok();
}

Result<CircuitNode*> Circuit::AddNode(const Plan& plan, size_t index,
                                      const std::vector<CircuitNode*>& added, uint64_t generation,
                                      uint64_t build, const Sharing& sharing) {
  const Node& node = plan.nodes[index];
  std::string text = CanonicalText(plan, index);
  uint64_t fingerprint = FingerprintOf(text, generation);
  if (const auto other = sharing.generations.find(fingerprint);
      other != sharing.generations.end()) {
    generation = other->second;
    fingerprint = FingerprintOf(text, generation);
  }
  for (const auto& other : nodes_) {
    if (other->fingerprint != fingerprint || other->generation != generation) continue;
    if (other->text != text)
      return Error(Code::kInternal, "two different nodes have fingerprint {}", fingerprint);
    return other.get();
  }
  if (const auto* output = std::get_if<Output>(&node.op);
      output && FindOutput(output->name) != nullptr) {
    return Error(Code::kAlreadyExists, "relation {} is already in the circuit",
                 Quoted(output->name));
  }
  auto made = std::make_unique<CircuitNode>();
  made->node = node;
  made->generation = generation;
  made->fingerprint = fingerprint;
  made->text = std::move(text);
  made->description = Describe(plan, index);
  made->build = build;
  made->whole = sharing.whole;
  made->counters.resize(workers_.size());
  TRY(Connect(*made, added, node.inputs));
  nodes_.push_back(std::move(made));
  return nodes_.back().get();
}

Status Circuit::Connect(CircuitNode& made, const std::vector<CircuitNode*>& added,
                        const std::vector<size_t>& inputs) {
  for (const size_t input : inputs) made.inputs.push_back(added[input]);
  if (const auto* relation = std::get_if<Relation>(&made.node.op)) {
    CircuitNode* output = FindOutput(relation->name);
    if (output == nullptr) {
      return Error(Code::kNotFound, "relation {} is not in the circuit", Quoted(relation->name));
    }
    // One may have columns more: a relation that was widened since the plan was made, or that is
    // to be before the next step.
    const rows::Types& wanted = made.node.types;
    const rows::Types& given = output->node.types;
    const auto count = static_cast<std::ptrdiff_t>(std::min(wanted.size(), given.size()));
    if (!std::equal(wanted.begin(), wanted.begin() + count, given.begin())) {
      return Error(Code::kConflict, "relation {} has other columns than the plan expects",
                   Quoted(relation->name));
    }
    made.inputs.push_back(output);
  }
  ConnectInputs(made);
  return Ok();
}

void Circuit::ConnectInputs(CircuitNode& made) {
  made.exchanges.clear();
  std::vector<Distribution> distributions;
  for (size_t i = 0; i < made.inputs.size(); ++i) {
    const Requirement requirement = Required(made.node, i);
    const bool needed = workers() > 1 && !made.inputs[i]->distribution.Meets(requirement);
    made.exchanges.push_back(
        needed ? MakeExchange(made.node, requirement, *made.inputs[i], workers()) : nullptr);
    distributions.push_back(needed ? AfterExchange(requirement) : made.inputs[i]->distribution);
  }
  const size_t left_width = made.inputs.empty() ? 0 : made.inputs[0]->node.types.size();
  // History comes as its reader gives it, not as the relation's node does.
  if (made.build == 0 || !std::holds_alternative<Relation>(made.node.op))
    made.distribution = OutputDistribution(made.node, distributions, left_width);
  made.insert_only = KeepsInsertOnly(made.node, made.inputs);
}

Status Circuit::Widen(const Plan& plan) {
  std::vector<CircuitNode*> chain;  // from the Output down
  const auto& output = std::get<Output>(plan.nodes.back().op);
  for (CircuitNode* node = FindOutput(output.name); node != nullptr;
       node = node->inputs.empty() ? nullptr : node->inputs[0])
    chain.push_back(node);
  const auto same_kind = [](const CircuitNode* node, const Node& wider) {
    return node->node.op.index() == wider.op.index();
  };
  if (!std::equal(chain.rbegin(), chain.rend(), plan.nodes.begin(), plan.nodes.end(), same_kind)) {
    return Error(Code::kInternal, "relation {} is made by other operators than before",
                 Quoted(output.name));
  }
  std::reverse(chain.begin(), chain.end());
  for (size_t i = 0; i < chain.size(); ++i) {
    CircuitNode& node = *chain[i];
    node.node = plan.nodes[i];
    node.fingerprint = Fingerprint(plan, i, node.generation);
    node.text = CanonicalText(plan, i);
    node.description = Describe(plan, i);
    for (size_t input = 0; input < node.inputs.size(); ++input) {
      if (node.exchanges[input] == nullptr) continue;
      node.exchanges[input] =
          MakeExchange(node.node, Required(node.node, input), *node.inputs[input], workers());
    }
    // State is the tables', which the new operators find by the node's fingerprint.
    node.operators.clear();
    MakeOperators(node);
  }
  ++version_;  // dispatches divide its rows
  return Ok();
}

void Circuit::MakeOperators(CircuitNode& node) {
  for (int worker = 0; worker < workers(); ++worker) {
    OperatorContext context{workers_[worker].client,
                            workers_[worker].state,
                            workers_[worker].watchdog,
                            state::TableId{node.fingerprint},
                            worker,
                            workers(),
                            {},
                            {}};
    for (const CircuitNode* input : node.inputs) {
      context.input_types.push_back(input->node.types);
      context.insert_only.push_back(input->insert_only);
    }
    auto made = MakeOperator(node.node, std::move(context));
    if (made == nullptr) return;
    node.operators.push_back(std::move(made));
  }
}

void Circuit::Join(uint64_t build) {
  for (const auto& node : nodes_) {
    if (node->build == build) node->build = 0;
  }
  ++version_;  // dispatches may go through its relations now
}

Status Circuit::Remove(const std::string& output) {
  CircuitNode* gone = FindOutput(output);
  if (gone == nullptr)
    return Error(Code::kNotFound, "relation {} is not in the circuit", Quoted(output));
  for (const auto& node : nodes_) {
    const auto* relation = std::get_if<Relation>(&node->node.op);
    if (relation == nullptr || relation->name != output) continue;
    return Error(Code::kConflict, "relation {} is read by {}", Quoted(output),
                 node->outputs.empty() ? "another plan" : Quoted(*node->outputs.begin()));
  }
  std::vector<bool> needed(nodes_.size(), false);
  for (size_t i = nodes_.size(); i-- > 0;) {
    const CircuitNode& node = *nodes_[i];
    if (std::holds_alternative<Output>(node.node.op) && &node != gone) needed[i] = true;
    if (!needed[i]) continue;
    for (const CircuitNode* input : node.inputs) needed[input->index] = true;
  }
  for (size_t i = nodes_.size(); i-- > 0;) {
    if (needed[i]) continue;
    DropState(*nodes_[i]);
    nodes_.erase(nodes_.begin() + static_cast<ptrdiff_t>(i));
  }
  Rewire();
  return Ok();
}

void Circuit::DropState(CircuitNode& node) {
  node.operators.clear();
  for (const state::TableId table : TablesOf(node)) store_.Drop(table);
}

std::vector<std::pair<state::TableId, state::TableStats>> Circuit::StateOf(
    const CircuitNode& node) const {
  std::vector<std::pair<state::TableId, state::TableStats>> tables;
  for (const state::TableId table : TablesOf(node)) {
    if (const auto stats = store_.table_stats(table)) tables.emplace_back(table, *stats);
  }
  return tables;
}

void Circuit::DropFrom(size_t count) {
  while (nodes_.size() > count) nodes_.pop_back();
}

void Circuit::Rewire() {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i]->index = i;
    nodes_[i]->sends.clear();
    nodes_[i]->consumers.clear();
    nodes_[i]->outputs.clear();
  }
  for (const auto& node : nodes_) {
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      node->inputs[i]->consumers.push_back(node.get());
      if (node->exchanges[i]) node->inputs[i]->sends.emplace_back(node.get(), i);
    }
  }
  for (size_t i = nodes_.size(); i-- > 0;) {
    CircuitNode& node = *nodes_[i];
    if (const auto* output = std::get_if<Output>(&node.node.op)) node.outputs.insert(output->name);
    if (std::holds_alternative<Relation>(node.node.op))
      continue;  // a view's failures are its own, not its inputs'
    for (CircuitNode* input : node.inputs) {
      if (!std::holds_alternative<Output>(input->node.op)) {
        input->outputs.insert(node.outputs.begin(), node.outputs.end());
      }
    }
  }
  std::map<std::string_view, const CircuitNode*> views;
  for (const auto& node : nodes_) {
    if (const auto* output = std::get_if<Output>(&node->node.op))
      views.emplace(output->name, node.get());
  }
  for (const auto& node : nodes_) {
    node->limits.reset();
    for (const std::string& name : node->outputs) {
      const auto& own = views.at(name)->own_limits;
      if (!own) {
        node->limits.reset();
        break;
      }
      if (!node->limits) node->limits = own;
      Raise(*node->limits, *own);
    }
  }
  timed_.clear();
  for (const auto& node : nodes_) {
    if (node->node.closing || std::holds_alternative<TemporalFilter>(node->node.op))
      timed_.push_back(node.get());
  }
  ++version_;
}

}  // namespace millrace::stream
