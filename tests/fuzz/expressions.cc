#include "fuzz/expressions.h"

#include <fmt/format.h>

#include <cctype>
#include <map>

#include "base/check.h"

namespace millrace::fuzz {
namespace {

// DuckDB has no CASE or COALESCE of arrays.
bool HasCases(const Type& type) { return type.name != "TRIPLE"; }

// The rules that give a type, those for every type among them.
const std::vector<const Rule*>& RulesFor(const Type& type) {
  static std::map<std::string, std::vector<const Rule*>> by_type;
  auto& rules = by_type[type.name];
  if (rules.empty()) {
    for (const Rule& rule : ScalarRules()) {
      if (rule.type == type.name || (rule.type == "T" && HasCases(type))) rules.push_back(&rule);
    }
  }
  return rules;
}

}  // namespace

struct Expressions::Frame {
  const Type* own;
  const Type* some;
  const Type* plain;
  const Columns& columns;
  int depth;
  std::map<std::string, std::string> columns_chosen;  // $CTEXT is one column in the whole rule
};

const Type& Expressions::AnyType() { return Types()[random_.Below(Types().size())]; }

const Column& Expressions::Pick(const Columns& columns) {
  return columns[random_.Below(columns.size())];
}

std::string Expressions::Choose(const std::vector<std::string>& constructs) {
  const std::string& chosen = constructs[random_.Below(constructs.size())];
  Use(chosen);
  return chosen;
}

// Mostly that of a column.
const Type& Expressions::SomeType(const Columns& columns, bool plain) {
  for (;;) {
    const Type& type = columns.empty() || random_.OneIn(6)
                           ? AnyType()
                           : *columns[random_.Below(columns.size())].type;
    if (!plain || !type.tricky) return type;
    const Type& other = AnyType();
    if (!other.tricky) return other;
  }
}

std::string Expressions::Literal(const Type& type, bool allow_null) {
  if (allow_null && random_.OneIn(6)) return "NULL::" + type.sql;
  return type.values[random_.Below(type.values.size())];
}

std::string Expressions::ColumnOf(const Type& type, const Columns& columns) {
  std::vector<const Column*> fitting;
  for (const Column& column : columns) {
    if (column.type == &type) fitting.push_back(&column);
  }
  if (!fitting.empty()) return fitting[random_.Below(fitting.size())]->name;
  if (columns.empty() || !HasCases(type)) return Literal(type, true);
  // No constant, which would be folded away.
  const Column& column = Pick(columns);
  return fmt::format("(CASE WHEN {} > {} THEN {} ELSE {} END)", column.name,
                     Literal(*column.type, false), Literal(type, false), Literal(type, true));
}

std::string Expressions::Of(const Type& type, const Columns& columns, int depth) {
  if (depth <= 0 || random_.OneIn(3)) return ColumnOf(type, columns);
  const auto& rules = RulesFor(type);
  return Apply(*rules[random_.Below(rules.size())], &type, columns, depth - 1).text;
}

Expression Expressions::Any(const Columns& columns) {
  const Rule& rule = ScalarRules()[random_.Below(ScalarRules().size())];
  if (rule.type != "T") return Apply(rule, &TypeOf(rule.type), columns, 1);
  const Type* type = &SomeType(columns, false);
  while (!HasCases(*type)) type = &AnyType();
  return Apply(rule, type, columns, 1);
}

std::string Expressions::Condition(const Columns& columns, int depth) {
  return Of(TypeOf("BOOL"), columns, depth + (random_.OneIn(2) ? 1 : 0));
}

Expression Expressions::Aggregate(const Columns& columns) {
  const Rule& rule = AggregateRules()[random_.Below(AggregateRules().size())];
  const Type* own = rule.type == "A" ? nullptr : &TypeOf(rule.type);
  Expression call = Apply(rule, own, columns, random_.OneIn(2) ? 1 : 0);
  // A FILTER stands behind the call itself.
  if (random_.OneIn(5) && call.text.back() == ')' &&
      rule.text.find(") + 0.0") == std::string_view::npos &&
      rule.text.find("::DECIMAL") == std::string_view::npos &&
      !rule.text.starts_with("list_sort(") && !rule.text.starts_with("round(")) {
    Use("FILTER (WHERE");
    call.text += fmt::format(" FILTER (WHERE {})", Condition(columns));
  }
  return call;
}

Expression Expressions::Window(const Columns& columns, bool alike) {
  const auto& rules = alike ? PeerWindowRules() : RowWindowRules();
  const Rule& rule = rules[random_.Below(rules.size())];
  return Apply(rule, rule.type == "A" ? nullptr : &TypeOf(rule.type), columns, 0);
}

std::string Expressions::TotalOrder(const Columns& columns) {
  std::string out;
  const size_t first = random_.Below(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    out += fmt::format("{}{}{}", i > 0 ? ", " : "", columns[(first + i) % columns.size()].name,
                       random_.OneIn(4) ? " DESC NULLS FIRST" : "");
  }
  return out;
}

std::string Expressions::SomeOrder(const Columns& columns) {
  static const std::vector<std::string> ways = {"", "", " DESC", " NULLS FIRST",
                                                " DESC NULLS LAST"};
  std::string out = Pick(columns).name + ways[random_.Below(ways.size())];
  if (random_.OneIn(3)) out += ", " + Pick(columns).name + ways[random_.Below(ways.size())];
  return out;
}

std::string Expressions::Partition(const Columns& columns) {
  if (random_.OneIn(4)) return "";
  Use("PARTITION BY");
  const std::string first = Pick(columns).name;
  if (!random_.OneIn(4)) return "PARTITION BY " + first;
  // Never one column twice: then DuckDB, with another window in the query, parts the rows wrongly.
  const std::string second = Pick(columns).name;
  return "PARTITION BY " + first + (second == first ? "" : ", " + second);
}

std::string Expressions::Place(const std::string& name, Frame& frame) {
  const auto rule_of = [&](const std::vector<Rule>& rules) {
    const Rule& rule = rules[random_.Below(rules.size())];
    Use(std::string(rule.text));
    return std::string(rule.text);
  };
  if (name == "T") return Of(*frame.own, frame.columns, frame.depth);
  if (name == "A") return Of(*frame.some, frame.columns, frame.depth);
  if (name == "P") return Of(*frame.plain, frame.columns, frame.depth);
  if (name == "LT") return Literal(*frame.own, false);
  if (name == "LA") return Literal(*frame.some, false);
  if (name == "LP") return Literal(*frame.plain, false);
  if (name == "N") return std::to_string(1 + random_.Below(3));
  if (name == "ALL") return TotalOrder(frame.columns);
  if (name == "PART") return Partition(frame.columns);
  if (name == "ORDER") return SomeOrder(frame.columns);
  if (name == "FRAME") return random_.OneIn(3) ? "" : rule_of(FrameRules());
  if (name == "ROWS") return random_.OneIn(4) ? "" : rule_of(RowFrameRules());
  if (name == "COND") return Of(TypeOf("BOOL"), frame.columns, frame.depth);
  if (name.starts_with("C0")) return ColumnOf(TypeOf(name.substr(2)), frame.columns);
  if (name == "LTEXT") return Literal(TypeOf("TEXT"), false);
  if (name[0] == 'C' && name != "C") {
    std::string& chosen = frame.columns_chosen[name];
    if (chosen.empty()) chosen = ColumnOf(TypeOf(name.substr(1)), frame.columns);
    return chosen;
  }
  return Of(TypeOf(name), frame.columns, frame.depth);
}

Expression Expressions::Apply(const Rule& rule, const Type* own, const Columns& columns,
                              int depth) {
  Use(std::string(rule.text));
  Frame frame{own, &SomeType(columns, false), &SomeType(columns, true), columns, depth, {}};
  if (own == nullptr) own = frame.own = frame.some;
  std::string out;
  for (size_t i = 0; i < rule.text.size(); ++i) {
    const bool place = rule.text[i] == '$' && i + 1 < rule.text.size() &&
                       std::isupper(static_cast<unsigned char>(rule.text[i + 1]));
    if (!place) {
      out += rule.text[i];
      continue;
    }
    size_t end = i + 1;
    while (end < rule.text.size() && std::isalnum(static_cast<unsigned char>(rule.text[end])) &&
           !std::islower(static_cast<unsigned char>(rule.text[end])))
      ++end;
    out += Place(std::string(rule.text.substr(i + 1, end - i - 1)), frame);
    i = end - 1;
  }
  return {out, own};
}

}  // namespace millrace::fuzz
