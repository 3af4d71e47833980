// Equal nodes of plans that came at different times become one, when both hold the same state.
#include <algorithm>

#include "stream/circuit.h"

namespace millrace::stream {
namespace {

// Whether what the node holds follows from all rows that its relations have had, and from nothing
// else: not from the clock, and not from what a watermark had closed when a row came.
bool FollowsFromRows(const CircuitNode& node) {
  return !node.node.closing && !std::holds_alternative<TemporalFilter>(node.node.op) &&
         !std::holds_alternative<Hold>(node.node.op) &&
         !std::holds_alternative<DropClosed>(node.node.op) &&
         !std::holds_alternative<Source>(node.node.op) &&
         !std::holds_alternative<Output>(node.node.op);
}

}  // namespace

std::map<std::string, Sharing::Generations> Circuit::ShareEqual() {
  std::vector<bool> eligible(nodes_.size(), false);
  std::map<std::string_view, CircuitNode*> first;  // by text
  std::map<CircuitNode*, CircuitNode*> stands_for;
  for (const auto& node : nodes_) {
    const bool inputs =
        std::all_of(node->inputs.begin(), node->inputs.end(), [&](const CircuitNode* input) {
          return std::holds_alternative<Output>(input->node.op) || eligible[input->index];
        });
    // Before its first step a node has yet to give what it gives without rows.
    eligible[node->index] = inputs && node->whole && node->build == 0 &&
                            (!node->first_step || node->operators.empty()) && !node->stopped &&
                            FollowsFromRows(*node);
    if (!eligible[node->index]) continue;
    const auto [other, is_first] = first.emplace(node->text, node.get());
    if (!is_first) stands_for[node.get()] = other->second;
  }
  std::map<std::string, Sharing::Generations> generations;
  if (stands_for.empty()) return generations;
  for (const auto& [gone, other] : stands_for) {
    for (const std::string& name : gone->outputs) {
      const uint64_t own = FindOutput(name)->generation;
      generations[name][FingerprintOf(gone->text, own)] = other->generation;
    }
  }
  std::set<const CircuitNode*> moved;  // read others than before, or stand above such
  for (const auto& node : nodes_) {
    for (CircuitNode*& input : node->inputs) {
      const auto other = stands_for.find(input);
      if (other != stands_for.end()) input = other->second;
      if (other != stands_for.end() || moved.contains(input)) moved.insert(node.get());
    }
  }
  for (const auto& [gone, other] : stands_for) DropState(*gone);
  std::erase_if(nodes_, [&](const auto& node) { return stands_for.contains(node.get()); });
  for (const auto& node : nodes_) {
    if (moved.contains(node.get())) ConnectInputs(*node);
  }
  Rewire();
  return generations;
}

}  // namespace millrace::stream
