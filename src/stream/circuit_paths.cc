// The part of the Circuit that looks at the ways of rows: read paths, starts, dispatches.
#include <algorithm>

#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "stream/circuit.h"

namespace millrace::stream {
namespace {

// Fewer filters compare row by row: a chunk at a time that is cheaper than look-ups.
constexpr size_t kDispatchFiltersMin = 4;

// The column of the input that the Project's column shows; nothing where any column is computed.
std::optional<ColumnIndex> ColumnBelow(const Project& project, ColumnIndex column) {
  for (const Expression& expression : project.expressions) {
    if (expression->GetExpressionClass() != duckdb::ExpressionClass::BOUND_REF) return std::nullopt;
  }
  return project.expressions[column]->Cast<duckdb::BoundReferenceExpression>().index;
}

// It gives its input's rows as they are.
bool PassesOn(const CircuitNode& node) {
  return std::holds_alternative<Output>(node.node.op) ||
         (std::holds_alternative<Relation>(node.node.op) && node.build == 0);
}

// A Filter by equality of a column, with where to leave rows out and whose rows they are.
struct Candidate {
  CircuitNode* point;
  const CircuitNode* from;
  KeyEquality equality;
};

// Goes up from the filter: `point` as long as nothing else reads what is in between, `from` up to
// where the rows are made.
std::optional<Candidate> CandidateOf(CircuitNode& filter) {
  const auto* op = std::get_if<Filter>(&filter.node.op);
  if (op == nullptr) return std::nullopt;
  auto equality = KeyEqualityOf(*op);
  if (!equality) return std::nullopt;
  Candidate candidate{&filter, nullptr, std::move(*equality)};
  CircuitNode* at = filter.inputs[0];
  bool is_alone = true;
  while (true) {
    is_alone = is_alone && at->consumers.size() == 1;
    const auto* project = std::get_if<Project>(&at->node.op);
    if (project != nullptr && is_alone) {
      const auto column = ColumnBelow(*project, candidate.equality.column);
      if (!column) break;
      candidate.equality.column = *column;
      candidate.point = at;
    } else if (PassesOn(*at)) {
      is_alone = is_alone && !std::holds_alternative<Output>(at->node.op);
      if (is_alone) candidate.point = at;
    } else {
      break;
    }
    at = at->inputs[0];
  }
  candidate.from = at;
  return candidate;
}

}  // namespace

void Circuit::Settle() {
  if (settled_version_ == version_) return;
  settled_version_ = version_;
  FindReadPaths();
  FindDispatches();
  FindStarts();
}

void Circuit::FindStarts() {
  starts_.clear();
  for (const auto& node : nodes_) {
    const bool takes_history = node->build != 0 && std::holds_alternative<Relation>(node->node.op);
    const bool is_timed =
        node->node.closing || std::holds_alternative<TemporalFilter>(node->node.op);
    const bool is_new = node->first_step && !node->operators.empty();
    if (is_new || takes_history || is_timed || std::holds_alternative<Source>(node->node.op))
      starts_.push_back(node.get());
  }
}

void Circuit::FindDispatches() {
  dispatches_.clear();
  std::map<std::pair<size_t, ColumnIndex>, std::vector<Candidate>> candidates;
  for (const auto& node : nodes_) {
    node->dispatch = nullptr;
    auto candidate = CandidateOf(*node);
    if (!candidate) continue;
    candidates[{candidate->from->index, candidate->equality.column}].push_back(
        std::move(*candidate));
  }
  for (const auto& [key, filters] : candidates) {
    if (filters.size() < kDispatchFiltersMin) continue;
    const CircuitNode* from = filters[0].from;
    auto dispatch = std::make_unique<Dispatch>(Dispatch{from, key.second, {}});
    for (int worker = 0; worker < workers(); ++worker) {
      dispatch->workers.push_back(std::make_unique<KeyDispatch>(key.second, from->node.types));
      for (const Candidate& filter : filters) {
        filter.point->dispatch = dispatch.get();
        filter.point->dispatch_slot = dispatch->workers.back()->AddSlot(filter.equality.constant);
      }
    }
    dispatches_.push_back(std::move(dispatch));
  }
}

void Circuit::FindReadPaths() {
  read_paths_.clear();
  std::vector<std::vector<const CircuitNode*>> consumers(nodes_.size());
  for (const auto& node : nodes_) {
    if (std::holds_alternative<Relation>(node->node.op)) continue;  // reads another's Output
    for (const CircuitNode* input : node->inputs) consumers[input->index].push_back(node.get());
  }
  std::vector<ReadPath> open;
  for (const auto& node : nodes_) {
    if (std::holds_alternative<Relation>(node->node.op)) open.push_back({node.get(), {}, {}});
  }
  while (!open.empty()) {
    const ReadPath path = std::move(open.back());
    open.pop_back();
    const CircuitNode* end = path.linear.empty() ? path.relation : path.linear.back();
    for (const CircuitNode* next : consumers[end->index]) {
      ReadPath longer = path;
      if (std::holds_alternative<Filter>(next->node.op) ||
          std::holds_alternative<Project>(next->node.op)) {
        longer.linear.push_back(next);
        open.push_back(std::move(longer));
      } else {
        longer.outputs = next->outputs;
        read_paths_.push_back(std::move(longer));
      }
    }
  }
}

}  // namespace millrace::stream
