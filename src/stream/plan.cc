// Canonical texts: everything that decides what a node computes, and nothing else. Aliases and
// places in the query are taken out of expressions before they are serialised; inputs stand as the
// hash of their own text.
#include "stream/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/check.h"
#include "base/coding.h"
#include "duckdb/common/serializer/binary_serializer.hpp"
#include "duckdb/common/serializer/memory_stream.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "rows/row_codec.h"

namespace millrace::stream {
namespace {

constexpr uint64_t kSecondSeed = 0x6d696c6c72616365ull;

std::string Hex(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) fmt::format_to(std::back_inserter(out), "{:02x}", byte);
  return out;
}

void StripNames(duckdb::Expression& expression) {
  expression.alias.clear();
  expression.query_location = duckdb::optional_idx();
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [](duckdb::Expression& child) { StripNames(child); });
}

// The expression's name, type and serialised form. Some functions cannot be serialised; their text
// stands for them.
std::string ExpressionText(const duckdb::Expression& expression) {
  auto copy = expression.Copy();
  StripNames(*copy);
  const std::string readable = copy->ToString() + ":" + copy->return_type.ToString();
  try {
    duckdb::MemoryStream stream;
    duckdb::BinarySerializer::Serialize(*copy, stream);
    return readable + "#" +
           Hex({reinterpret_cast<const char*>(stream.GetData()), stream.GetPosition()});
  } catch (const std::exception&) {
    return readable;
  }
}

// The call's function with its bind data. Children are arguments of the plan's own and do not
// count, but a constant child may have gone into bind data that DuckDB does not serialise.
std::string FunctionText(const duckdb::BoundAggregateExpression& function) {
  auto copy = function.Copy();
  auto& call = copy->Cast<duckdb::BoundAggregateExpression>();
  std::string constants;
  for (auto& child : call.children) {
    if (child->GetExpressionClass() == duckdb::ExpressionClass::BOUND_CONSTANT) {
      constants += ExpressionText(*child);
    }
  }
  call.children.clear();
  call.filter.reset();
  call.order_bys.reset();
  call.aggr_type = duckdb::AggregateType::NON_DISTINCT;
  return ExpressionText(call) + constants;
}

std::string OrderText(const rows::KeyOrder& order) {
  return fmt::format("{}{}", order.descending ? "desc" : "asc",
                     order.nulls_first ? " nulls first" : "");
}

std::string BoundText(const TimeBound& bound) {
  std::string text;
  for (const TimeBound::Term& term : bound.terms)
    text += fmt::format(" {}{} [{}]", term.strict ? ">" : ">=", term.stream,
                        ExpressionText(*term.value));
  return text;
}

struct Canonical {
  std::string operator()(const Relation& op) const { return "relation " + op.name; }
  std::string operator()(const Source& op) const {
    return "source " + op.name + (op.insert_only ? " insert_only" : "");
  }
  std::string operator()(const Constant& op) const {
    std::string text = "constant";
    if (op.rows.empty()) return text;
    rows::RowEncoder encoder(op.rows.parts[0].rows->GetTypes());
    for (const auto& part : op.rows.parts) {
      const auto& encoded = encoder.Encode(*part.rows);
      for (size_t i = 0; i < encoded.size(); ++i) {
        text += fmt::format(" {}*{}", part.weight(i), Hex(encoded[i]));
      }
    }
    return text;
  }
  std::string operator()(const Filter& op) const {
    return "filter " + ExpressionText(*op.predicate);
  }
  std::string operator()(const TemporalFilter& op) const {
    std::string text = "temporal_filter";
    for (const TemporalFilter::Condition& condition : op.conditions)
      text += fmt::format(" {} {} [{}]", condition.column,
                          duckdb::ExpressionTypeToString(condition.comparison),
                          ExpressionText(*condition.of_clock));
    return text;
  }
  std::string operator()(const Project& op) const {
    std::string text = "project";
    for (const auto& expression : op.expressions) text += " [" + ExpressionText(*expression) + "]";
    return text;
  }
  std::string operator()(const UnionAll&) const { return "union_all"; }
  std::string operator()(const Negate&) const { return "negate"; }
  std::string operator()(const Unnest& op) const {
    std::string text = "unnest";
    for (const auto& list : op.lists) text += " [" + ExpressionText(*list) + "]";
    return text;
  }
  std::string operator()(const FunctionRows& op) const {
    return fmt::format("function_rows {} arguments={} numbered={}", op.function->ToString(),
                       op.arguments, op.numbered);
  }
  std::string operator()(const AsofJoin& op) const {
    return fmt::format("asof_join {} left={} right={} on {} {} {}",
                       op.kind == JoinKind::kInner ? "inner" : "left", op.left_keys, op.right_keys,
                       op.left_value, duckdb::ExpressionTypeToString(op.comparison),
                       op.right_value);
  }
  std::string operator()(const Window& op) const {
    std::string text = fmt::format("window partition={}", op.partition);
    for (const auto& call : op.calls) text += " [" + ExpressionText(*call) + "]";
    return text;
  }
  std::string operator()(const SessionWindow& op) const {
    return fmt::format("session_window partition={} time={} gap_us={}", op.partition, op.time,
                       op.gap.count());
  }
  std::string operator()(const Join& op) const {
    return fmt::format("join {} left={} right={} nulls_equal={} on=[{}]",
                       op.kind == JoinKind::kInner ? "inner" : "left", op.left_keys, op.right_keys,
                       op.nulls_equal, op.condition ? ExpressionText(*op.condition) : "");
  }
  std::string operator()(const Aggregate& op) const {
    std::string text =
        fmt::format("aggregate{} groups={}", op.at_close ? " at_close" : "", op.groups);
    for (const AggregateCall& call : op.calls) {
      text += fmt::format(" [{} arguments={} distinct={} filter={}", FunctionText(*call.function),
                          call.arguments, call.distinct,
                          call.filter ? fmt::to_string(*call.filter) : "none");
      for (const auto& order : call.orders)
        text += fmt::format(" {} {}", order.column, OrderText(order.order));
      text += "]";
    }
    return text;
  }
  std::string operator()(const Distinct&) const { return "distinct"; }
  std::string operator()(const TopK& op) const {
    std::string text = fmt::format("top_k partition={} limit={} offset={} number={}", op.partition,
                                   op.limit, op.offset, op.with_number);
    for (const auto& order : op.orders)
      text += fmt::format(" {} {}", order.column, OrderText(order.order));
    if (op.ranking == TopK::Ranking::kRank) text += " rank";
    if (op.ranking == TopK::Ranking::kDenseRank) text += " dense_rank";
    return text;
  }
  std::string operator()(const Hold& op) const { return fmt::format("hold {}", op.column); }
  std::string operator()(const DropClosed& op) const {
    return fmt::format("drop_closed {}{}", op.column, BoundText(op.bound));
  }
  std::string operator()(const Deduplicate& op) const {
    return fmt::format(
        "deduplicate keys={} time={} within_us={} order={} partition={} offset={} stream={}",
        op.keys, op.time ? fmt::to_string(*op.time) : "none",
        op.within ? fmt::to_string(op.within->count()) : "none", op.order, op.partition, op.offset,
        op.stream);
  }
  std::string operator()(const Upsert& op) const {
    return fmt::format("upsert keys={} columns={} deleted={} order={}", op.keys, op.columns,
                       op.deleted, op.order);
  }
  std::string operator()(const Output& op) const { return "output " + op.name; }
};

std::string TextOf(const Plan& plan, size_t index, std::vector<std::string>& known) {
  if (!known[index].empty()) return known[index];
  const Node& node = plan.nodes[index];
  std::string text = std::visit(Canonical{}, node.op);
  if (node.closing)
    text += fmt::format(" closing {}{}", node.closing->key, BoundText(node.closing->bound));
  for (const size_t input : node.inputs) {
    CHECK(input < index) << "node " << index << " reads node " << input
                         << ", which is not before it";
    const std::string below = TextOf(plan, input, known);
    text += fmt::format(" <{:016x}{:016x}", StableHash(below), StableHash(below, kSecondSeed));
  }
  text += " ->";
  for (size_t i = 0; i < std::min(node.types.size(), node.known_types); ++i)
    text += " " + node.types[i].ToString();
  return known[index] = std::move(text);
}

}  // namespace

size_t Plan::Add(Node node) {
  nodes.push_back(std::move(node));
  return nodes.size() - 1;
}

std::string CanonicalText(const Plan& plan, size_t node) {
  std::vector<std::string> known(plan.nodes.size());
  return TextOf(plan, node, known);
}

uint64_t FingerprintOf(std::string_view text, uint64_t generation) {
  // The low bits number the node's tables.
  return StableHash(text, generation) & ~(kTablesPerNode - 1);
}

uint64_t Fingerprint(const Plan& plan, size_t node, uint64_t generation) {
  return FingerprintOf(CanonicalText(plan, node), generation);
}

}  // namespace millrace::stream
