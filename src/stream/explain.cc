// EXPLAIN: the circuit as a tree under each output, with the columns' names and what each operator
// remembers.
#include <fmt/format.h>

#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "stream/key_dispatch.h"
#include "stream/plan.h"

namespace millrace::stream {
namespace {

// Names of the columns that a node's expressions and column numbers speak of.
using Names = std::vector<std::string>;

std::string NameOf(const Names& names, size_t column) {
  return column < names.size() && !names[column].empty() ? names[column]
                                                         : fmt::format("#{}", column);
}

void NameReferences(duckdb::Expression& expression, const Names& names) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF) {
    expression.alias = NameOf(names, expression.Cast<duckdb::BoundReferenceExpression>().index);
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](duckdb::Expression& child) { NameReferences(child, names); });
}

std::string Readable(const duckdb::Expression& expression, const Names& names) {
  auto copy = expression.Copy();
  copy->alias.clear();
  NameReferences(*copy, names);
  return copy->ToString();
}

std::string List(const std::vector<ColumnIndex>& columns, const Names& names) {
  std::string text;
  for (const ColumnIndex column : columns)
    text += (text.empty() ? "" : ", ") + NameOf(names, column);
  return text;
}

template <typename Orders>
std::string OrderList(const Orders& orders, const Names& names) {
  std::string text;
  for (const auto& order : orders) {
    text += (text.empty() ? "" : ", ") + NameOf(names, order.column) +
            (order.order.descending ? " DESC" : "") +
            (order.order.nulls_first ? " NULLS FIRST" : "");
  }
  return text;
}

std::string CallText(const AggregateCall& call, const Names& names) {
  const std::string arguments = call.arguments.empty() ? "*" : List(call.arguments, names);
  const std::string& name = call.function->function.name;
  std::string text = fmt::format("{}({}{}", name == "count_star" ? "count" : name,
                                 call.distinct ? "DISTINCT " : "", arguments);
  if (!call.orders.empty()) text += " ORDER BY " + OrderList(call.orders, names);
  text += ")";
  if (call.filter) text += " FILTER " + NameOf(names, *call.filter);
  return text;
}

// What becomes of state by time.
std::string ClosingText(const Node& node, const std::vector<ColumnIndex>& keys,
                        const Names& names) {
  if (node.grows) return ", growing with every row";
  if (!node.closing) return "";
  std::string streams;
  for (const TimeBound::Term& term : node.closing->bound.terms)
    streams += (streams.empty() ? "" : " and ") + term.stream;
  const auto* aggregate = std::get_if<Aggregate>(&node.op);
  return fmt::format(
      ", {} when {} is behind the watermark of {}",
      aggregate != nullptr && aggregate->at_close ? "given out and dropped" : "dropped",
      NameOf(names, keys[node.closing->key]), streams);
}

// One line per operator: what it does, then what it keeps.
struct Line {
  const Plan& plan;
  const Node& node;

  Names input(size_t index) const {
    Names names = plan.nodes[node.inputs[index]].names;
    names.resize(plan.nodes[node.inputs[index]].types.size());
    return names;
  }

  std::string operator()(const Relation& op) const { return "relation " + op.name; }
  std::string operator()(const Source& op) const { return "source " + op.name; }
  std::string operator()(const Constant& op) const {
    return fmt::format("constant {} rows; state: whether given out", op.rows.row_count());
  }
  std::string operator()(const Filter& op) const {
    const Names below = input(0);
    const auto equality = KeyEqualityOf(op);
    return "filter " + Readable(*op.predicate, below) +
           (equality ? "; rows found by " + NameOf(below, equality->column) : "");
  }
  std::string operator()(const TemporalFilter& op) const {
    const Names below = input(0);
    std::string text = "filter by clock";
    for (size_t i = 0; i < op.conditions.size(); ++i) {
      const auto& condition = op.conditions[i];
      text += fmt::format("{}{} {} {}", i ? " AND " : " ", NameOf(below, condition.column),
                          duckdb::ExpressionTypeToOperator(condition.comparison),
                          Readable(*condition.of_clock, {"now()"}));
    }
    return text + "; state: rows that are still to come or to go";
  }
  std::string operator()(const Project& op) const {
    const Names below = input(0);
    std::string text;
    for (size_t i = 0; i < op.expressions.size(); ++i) {
      const std::string expression = Readable(*op.expressions[i], below);
      const std::string name = NameOf(node.names, i);
      text += (i ? ", " : " ") + (name == expression ? name : name + " := " + expression);
    }
    return "project" + text;
  }
  std::string operator()(const UnionAll&) const { return "union all"; }
  std::string operator()(const Negate&) const { return "negate"; }
  std::string operator()(const Unnest& op) const {
    std::string text = "unnest";
    for (size_t i = 0; i < op.lists.size(); ++i)
      text += (i ? ", " : " ") + Readable(*op.lists[i], input(0));
    return text;
  }
  std::string operator()(const FunctionRows& op) const {
    return fmt::format("rows of {}({}){}", op.function->name, List(op.arguments, input(0)),
                       op.numbered ? ", numbered" : "");
  }
  std::string operator()(const AsofJoin& op) const {
    const Names left = input(0);
    const Names right = input(1);
    std::string text = op.kind == JoinKind::kInner ? "asof join on " : "asof left join on ";
    for (size_t i = 0; i < op.left_keys.size(); ++i)
      text += NameOf(left, op.left_keys[i]) + " = " + NameOf(right, op.right_keys[i]) + " AND ";
    return text + fmt::format("{} {} {}; state: both inputs by key", NameOf(left, op.left_value),
                              duckdb::ExpressionTypeToOperator(op.comparison),
                              NameOf(right, op.right_value));
  }
  std::string operator()(const Window& op) const {
    std::string text = "window";
    for (size_t i = 0; i < op.calls.size(); ++i)
      text += (i ? ", " : " ") + Readable(*op.calls[i], input(0));
    text += op.partition.empty() ? "; without partition (one worker); state: all rows"
                                 : "; state: all rows by partition";
    return text + ClosingText(node, op.partition, input(0));
  }
  std::string operator()(const SessionWindow& op) const {
    const Names names = input(0);
    std::string text = "sessions";
    for (size_t i = 0; i < op.partition.size(); ++i)
      text += (i ? ", " : " of each ") + NameOf(names, op.partition[i]);
    const duckdb::interval_t gap{0, 0, op.gap.count()};
    text += fmt::format(" by {}, gap {}", NameOf(names, op.time), duckdb::Interval::ToString(gap));
    text += op.partition.empty() ? "; without partition (one worker); state: all rows"
                                 : "; state: all rows by partition, ordered";
    return text + ClosingText(node, {op.time}, names);
  }
  std::string operator()(const Join& op) const {
    Names left = input(0);
    const Names right = input(1);
    std::string text = op.kind == JoinKind::kInner ? "join" : "left join";
    for (size_t i = 0; i < op.left_keys.size(); ++i) {
      const bool nulls_equal = i < op.nulls_equal.size() && op.nulls_equal[i];
      text +=
          fmt::format("{}{} {} {}", i ? " AND " : " on ", NameOf(left, op.left_keys[i]),
                      nulls_equal ? "IS NOT DISTINCT FROM" : "=", NameOf(right, op.right_keys[i]));
    }
    if (op.left_keys.empty()) text += " without key (one worker)";
    left.insert(left.end(), right.begin(), right.end());
    if (op.condition) text += " where " + Readable(*op.condition, left);
    return text + "; state: both inputs by key" + ClosingText(node, op.left_keys, input(0));
  }
  std::string operator()(const Aggregate& op) const {
    const Names below = input(0);
    std::string text =
        op.groups.empty() ? "aggregate all" : "aggregate by " + List(op.groups, below);
    for (size_t i = 0; i < op.calls.size(); ++i)
      text += (i ? ", " : ": ") + CallText(op.calls[i], below);
    return text + "; state: one entry per group" + ClosingText(node, op.groups, below);
  }
  std::string operator()(const Distinct&) const { return "distinct; state: one weight per row"; }
  std::string operator()(const TopK& op) const {
    const Names below = input(0);
    std::string text = fmt::format("top {}", op.limit);
    if (op.ranking == TopK::Ranking::kRank) text += " ranks";
    if (op.ranking == TopK::Ranking::kDenseRank) text += " dense ranks";
    if (op.offset > 0) text += fmt::format(" after {}", op.offset);
    if (!op.partition.empty()) text += " of each " + List(op.partition, below);
    if (!op.orders.empty()) text += " by " + OrderList(op.orders, below);
    return text + (op.with_number ? ", numbered" : "") + "; state: all rows by partition, ordered" +
           ClosingText(node, op.partition, below);
  }
  std::string operator()(const Hold& op) const {
    return "hold rows; state: the rows held" + ClosingText(node, {op.column}, input(0));
  }
  std::string operator()(const DropClosed& op) const {
    return "leave out what is closed by " + NameOf(input(0), op.column);
  }
  std::string operator()(const Deduplicate& op) const {
    std::string text = "deduplicate by " + List(op.keys, input(0));
    if (op.within) text += fmt::format(" within {} us", op.within->count());
    return text +
           (op.within ? "; state: keys of the horizon" : "; state: every key, without bound");
  }
  std::string operator()(const Upsert& op) const {
    return "upsert by " + List(op.keys, input(0)) + "; state: one row per key";
  }
  std::string operator()(const Output& op) const { return "output " + op.name; }
};

std::string Columns(const Node& node) {
  std::string text;
  for (size_t i = 0; i < node.types.size(); ++i) {
    text += fmt::format("{}{} {}", i ? ", " : "", NameOf(node.names, i), node.types[i].ToString());
  }
  return text;
}

void Print(const Plan& plan, size_t index, size_t depth, std::vector<bool>& shown,
           std::string& out) {
  const Node& node = plan.nodes[index];
  const std::string indent(depth * 2, ' ');
  if (shown[index] && !node.inputs.empty()) {
    out += fmt::format("{}as above: #{}\n", indent, index);
    return;
  }
  shown[index] = true;
  out += fmt::format("{}#{} {}  ({})\n", indent, index, std::visit(Line{plan, node}, node.op),
                     Columns(node));
  for (const size_t input : node.inputs) Print(plan, input, depth + 1, shown, out);
}

}  // namespace

std::string Describe(const Plan& plan, size_t node) {
  return std::visit(Line{plan, plan.nodes[node]}, plan.nodes[node].op);
}

std::string Explain(const Plan& plan) {
  std::vector<bool> is_input(plan.nodes.size(), false);
  for (const Node& node : plan.nodes) {
    for (const size_t input : node.inputs) is_input[input] = true;
  }
  std::vector<bool> shown(plan.nodes.size(), false);
  std::string out;
  for (size_t i = 0; i < plan.nodes.size(); ++i) {
    if (!is_input[i]) Print(plan, i, 0, shown, out);
  }
  for (size_t i = 0; i < plan.nodes.size(); ++i) {
    if (!plan.nodes[i].grows) continue;
    out += fmt::format(
        "warning: the state of #{} keeps every row of a stream; keys by windows of event time, "
        "with "
        "late = 'divert' or EMIT ON WINDOW CLOSE, let it be dropped\n",
        i);
  }
  return out;
}

}  // namespace millrace::stream
