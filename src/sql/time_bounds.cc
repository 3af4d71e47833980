#include "sql/time_bounds.h"

#include <algorithm>

#include "base/check.h"
#include "duckdb/planner/expression/list.hpp"
#include "sql/plan_builder.h"

namespace millrace::sql {
namespace {

using duckdb::LogicalTypeId;
using stream::TimeBound;

// An interval of days and times: adding one keeps the order of times, which adding months does not
// (30 and 31 January + 1 month).
bool IsEvenInterval(const duckdb::Expression& expression) {
  if (!IsConstant(expression) || expression.return_type.id() != LogicalTypeId::INTERVAL)
    return false;
  const duckdb::Value& value = expression.Cast<duckdb::BoundConstantExpression>().value;
  return !value.IsNull() && value.GetValue<duckdb::interval_t>().months == 0;
}

bool IsTime(const duckdb::LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS:
    case LogicalTypeId::DATE:
      return true;
    default:
      return false;
  }
}

// How a function's value depends on one of its arguments, the others being constant.
struct Monotone {
  size_t argument;
  bool strict;  // different arguments, different values
};

std::optional<Monotone> MonotoneIn(const duckdb::BoundFunctionExpression& call) {
  const auto& children = call.children;
  const std::string& name = call.function.name;
  const auto others_constant = [&](size_t argument) {
    for (size_t i = 0; i < children.size(); ++i) {
      if (i != argument && !IsConstant(*children[i])) return false;
    }
    return argument < children.size();
  };
  if ((name == "+" || name == "-") && children.size() == 2 &&
      children[0]->return_type.id() == LogicalTypeId::DATE && IsConstant(*children[1]) &&
      children[1]->return_type.id() == LogicalTypeId::INTEGER) {
    return Monotone{0, true};
  }
  if (name == "+" && children.size() == 2) {
    for (const size_t argument : {size_t{0}, size_t{1}}) {
      if (IsTime(children[argument]->return_type) && IsEvenInterval(*children[1 - argument]))
        return Monotone{argument, true};
    }
    return std::nullopt;
  }
  if (name == "-" && children.size() == 2 && IsTime(children[0]->return_type) &&
      IsEvenInterval(*children[1])) {
    return Monotone{0, true};
  }
  if ((name == "time_bucket" || name == "date_trunc" || name == "datetrunc") &&
      children.size() >= 2 && others_constant(1) && IsTime(children[1]->return_type)) {
    return Monotone{1, false};
  }
  if ((name == "epoch" || name == "epoch_ms" || name == "epoch_us" || name == "epoch_ns" ||
       name == "year") &&
      children.size() == 1 && IsTime(children[0]->return_type)) {
    return Monotone{0, false};
  }
  return std::nullopt;
}

// The expression over the watermark instead of the columns below.
stream::Expression Substitute(const duckdb::Expression& expression, size_t argument,
                              const stream::Expression& value) {
  auto copy = expression.Copy();
  size_t number = 0;
  duckdb::ExpressionIterator::EnumerateChildren(*copy,
                                                [&](duckdb::unique_ptr<duckdb::Expression>& child) {
                                                  if (number++ == argument) child = value->Copy();
                                                });
  return Share(std::move(copy));
}

TimeColumn Through(const duckdb::Expression& expression, size_t argument, bool strict,
                   const TimeColumn& input) {
  TimeColumn out = input;
  for (TimeBound::Term& term : out.bound.terms) {
    term.value = Substitute(expression, argument, term.value);
    term.strict = term.strict && strict;
  }
  return out;
}

// No later value lies below the lesser of the two.
TimeColumn Least(const TimeColumn& a, const TimeColumn& b) {
  TimeColumn out = a;
  for (const TimeBound::Term& term : b.bound.terms) {
    const auto same = [&](const TimeBound::Term& other) {
      return other.stream == term.stream && other.strict == term.strict &&
             other.value->Equals(*term.value);
    };
    if (std::none_of(out.bound.terms.begin(), out.bound.terms.end(), same))
      out.bound.terms.push_back(term);
  }
  out.table_may_change = a.table_may_change || b.table_may_change;
  return out;
}

// The entries of `range(a, b, step)`: with a negative step all lie above b, else none below a.
std::optional<TimeColumn> EntriesOf(const duckdb::Expression& list, const NodeTimes& input) {
  if (list.GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION) return std::nullopt;
  const auto& call = list.Cast<duckdb::BoundFunctionExpression>();
  const bool is_range = call.function.name == "range";
  if ((!is_range && call.function.name != "generate_series") || call.children.size() != 3 ||
      !IsEvenInterval(*call.children[2])) {
    return std::nullopt;
  }
  const auto step = call.children[2]
                        ->Cast<duckdb::BoundConstantExpression>()
                        .value.GetValue<duckdb::interval_t>();
  const int64_t micros = duckdb::Interval::GetMicro(step);
  if (micros == 0) return std::nullopt;
  auto times = TimesOf(*call.children[micros < 0 ? 1 : 0], input);
  if (times && micros < 0 && is_range) {
    for (TimeBound::Term& term : times->bound.terms) term.strict = true;
  }
  return times;
}

// Key columns of a node's state, by input.
std::vector<std::vector<stream::ColumnIndex>> KeysOf(const stream::Node& node) {
  if (const auto* op = std::get_if<stream::Aggregate>(&node.op)) return {op->groups};
  if (const auto* op = std::get_if<stream::TopK>(&node.op)) return {op->partition};
  if (const auto* op = std::get_if<stream::Window>(&node.op)) return {op->partition};
  if (const auto* op = std::get_if<stream::Hold>(&node.op)) return {{op->column}};
  if (const auto* op = std::get_if<stream::SessionWindow>(&node.op)) return {{op->time}};
  if (const auto* op = std::get_if<stream::Join>(&node.op)) return {op->left_keys, op->right_keys};
  return {};
}

bool AllStrict(const TimeBound& bound) {
  return std::all_of(bound.terms.begin(), bound.terms.end(),
                     [](const TimeBound::Term& term) { return term.strict; });
}

struct TimesVisitor {
  const stream::Node& node;
  const std::vector<const NodeTimes*>& inputs;
  size_t left_width;

  bool AllClosed() const {
    return std::all_of(inputs.begin(), inputs.end(),
                       [](const NodeTimes* input) { return input->closed; });
  }
  bool AnyGrows() const {
    return std::any_of(inputs.begin(), inputs.end(),
                       [](const NodeTimes* input) { return input->grows; });
  }
  NodeTimes Same() const { return inputs.empty() ? NodeTimes() : *inputs[0]; }

  // Columns of a key keep their bounds: whatever changes in a group, its key does not.
  NodeTimes OfKeys(const std::vector<stream::ColumnIndex>& keys, bool numbered_from_zero) const {
    NodeTimes out;
    out.closed = AllClosed();
    out.grows = AnyGrows();
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto found = inputs[0]->columns.find(keys[i]);
      if (found != inputs[0]->columns.end())
        out.columns.emplace(numbered_from_zero ? i : keys[i], found->second);
    }
    return out;
  }

  template <typename Op>
  NodeTimes operator()(const Op&) const {
    return Same();
  }
  NodeTimes operator()(const stream::Constant&) const { return {{}, true, false}; }
  // Rows go when the clock says so, however old they are.
  NodeTimes operator()(const stream::TemporalFilter&) const { return {{}, AllClosed(), false}; }
  NodeTimes operator()(const stream::Project& op) const {
    NodeTimes out;
    out.closed = AllClosed();
    out.grows = AnyGrows();
    for (size_t i = 0; i < op.expressions.size(); ++i) {
      if (auto times = TimesOf(*op.expressions[i], *inputs[0]))
        out.columns.emplace(i, std::move(*times));
    }
    return out;
  }
  NodeTimes operator()(const stream::UnionAll&) const {
    NodeTimes out = Same();
    out.closed = AllClosed();
    out.grows = AnyGrows();
    for (const NodeTimes* input : inputs) {
      std::erase_if(out.columns,
                    [&](const auto& item) { return !input->columns.contains(item.first); });
      for (auto& [column, times] : out.columns) times = Least(times, input->columns.at(column));
    }
    return out;
  }
  NodeTimes operator()(const stream::Unnest& op) const {
    NodeTimes out = Same();
    for (size_t i = 0; i < op.lists.size(); ++i) {
      if (auto times = EntriesOf(*op.lists[i], *inputs[0]))
        out.columns.emplace(left_width + i, std::move(*times));
    }
    return out;
  }
  NodeTimes operator()(const stream::FunctionRows&) const { return Same(); }
  NodeTimes operator()(const stream::Aggregate& op) const {
    NodeTimes out = OfKeys(op.groups, /*numbered_from_zero=*/true);
    out.closed = out.closed || op.at_close;
    out.grows = false;
    return out;
  }
  NodeTimes operator()(const stream::TopK& op) const {
    NodeTimes out = OfKeys(op.partition, false);
    out.grows = false;
    return out;
  }
  NodeTimes operator()(const stream::Window& op) const { return OfKeys(op.partition, false); }
  // A change touches sessions that end at its time or later, so that their ends are bounded as the
  // rows' times are; when they began is not.
  NodeTimes operator()(const stream::SessionWindow& op) const {
    NodeTimes out = OfKeys(op.partition, false);
    const auto time = inputs[0]->columns.find(op.time);
    if (time != inputs[0]->columns.end()) out.columns.emplace(left_width + 1, time->second);
    return out;
  }
  NodeTimes operator()(const stream::Hold&) const {
    NodeTimes out = Same();
    out.closed = true;
    return out;
  }
  NodeTimes operator()(const stream::DropClosed& op) const {
    NodeTimes out = Same();
    out.columns.at(op.column).table_may_change = false;
    return out;
  }
  NodeTimes operator()(const stream::AsofJoin&) const { return {{}, AllClosed(), AnyGrows()}; }

  NodeTimes operator()(const stream::Join& op) const {
    NodeTimes out;
    out.grows = AnyGrows();
    const bool inner = op.kind == stream::JoinKind::kInner;
    bool by_time = false;
    for (size_t i = 0; i < op.left_keys.size(); ++i) {
      const auto left = inputs[0]->columns.find(op.left_keys[i]);
      const auto right = inputs[1]->columns.find(op.right_keys[i]);
      if (left == inputs[0]->columns.end() || right == inputs[1]->columns.end()) continue;
      by_time = true;
      const TimeColumn least = Least(left->second, right->second);
      out.columns.emplace(op.left_keys[i], least);
      // A left row without match has NULL there.
      if (inner) out.columns.emplace(left_width + op.right_keys[i], least);
    }
    if (by_time) {
      out.closed = inputs[0]->closed || (inner && inputs[1]->closed);
      return out;
    }
    out.closed = AllClosed();
    // Rows of a stream with what tables say of them.
    if (!inputs[0]->closed && inputs[1]->closed && inputs[1]->columns.empty()) {
      out.columns = inputs[0]->columns;
    } else if (inner && !inputs[1]->closed && inputs[0]->closed && inputs[0]->columns.empty()) {
      for (const auto& [column, times] : inputs[1]->columns)
        out.columns.emplace(left_width + column, times);
    }
    for (auto& [column, times] : out.columns) times.table_may_change = true;
    return out;
  }
};

}  // namespace

TimeColumn EventTime(const std::string& stream) {
  TimeBound::Term term;
  term.stream = stream;
  term.value = Share(duckdb::make_uniq<duckdb::BoundReferenceExpression>(
      "watermark", duckdb::LogicalType::TIMESTAMP, 0));
  return {{{std::move(term)}}, false};
}

std::optional<TimeColumn> TimesOf(const duckdb::Expression& expression, const NodeTimes& input) {
  if (const auto column = AsColumn(expression)) {
    const auto found = input.columns.find(*column);
    return found == input.columns.end() ? std::nullopt : std::optional(found->second);
  }
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CAST) {
    const auto& cast = expression.Cast<duckdb::BoundCastExpression>();
    const auto& from = cast.child->return_type;
    if (!IsTime(from) || !IsTime(cast.return_type)) return std::nullopt;
    const auto times = TimesOf(*cast.child, input);
    if (!times) return std::nullopt;
    const bool finer = from.id() == LogicalTypeId::DATE ||
                       (from.id() == LogicalTypeId::TIMESTAMP &&
                        cast.return_type.id() == LogicalTypeId::TIMESTAMP_TZ) ||
                       (from.id() == LogicalTypeId::TIMESTAMP_TZ &&
                        cast.return_type.id() == LogicalTypeId::TIMESTAMP);
    return Through(expression, 0, finer, *times);
  }
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION)
    return std::nullopt;
  const auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
  const auto monotone = MonotoneIn(call);
  if (!monotone) return std::nullopt;
  const auto times = TimesOf(*call.children[monotone->argument], input);
  if (!times) return std::nullopt;
  return Through(expression, monotone->argument, monotone->strict, *times);
}

NodeTimes TimesOf(const stream::Node& node, const std::vector<const NodeTimes*>& inputs,
                  size_t left_width) {
  return std::visit(TimesVisitor{node, inputs, left_width}, node.op);
}

std::optional<ClosingKey> ClosingOf(const stream::Node& node,
                                    const std::vector<const NodeTimes*>& inputs,
                                    bool emit_on_close) {
  const auto keys = KeysOf(node);
  std::optional<ClosingKey> best;
  for (size_t i = 0; !keys.empty() && i < keys[0].size(); ++i) {
    std::optional<TimeColumn> times;
    ClosingKey key;
    for (size_t input = 0; input < keys.size(); ++input) {
      const auto found = inputs[input]->columns.find(keys[input][i]);
      const bool usable =
          found != inputs[input]->columns.end() &&
          (!found->second.table_may_change || (emit_on_close && !inputs[input]->closed));
      if (!usable) {
        times.reset();
        break;
      }
      times = times ? Least(*times, found->second) : found->second;
      key.columns.push_back(keys[input][i]);
    }
    if (!times) continue;
    // Of several the one that closes first: the end of a window rather than its start.
    if (best && (AllStrict(best->closing.bound) || !AllStrict(times->bound))) continue;
    key.closing = {i, times->bound};
    best = std::move(key);
  }
  return best;
}

}  // namespace millrace::sql
