// Queries: what stands in FROM.
#include <fmt/format.h>

#include "fuzz/queries.h"

namespace millrace::fuzz {

const Readable& Queries::PickReadable() { return readable_[random_.Below(readable_.size())]; }

// "name AS r1", with its columns under that alias.
std::string Queries::Relation(Columns& columns, int depth, std::string& with) {
  const std::string alias = Alias();
  const uint64_t what = random_.Below(12);
  if (depth > 0 && what < 3) {
    const Query inner = Make(depth - 1);
    columns = Prefixed(alias, inner.columns);
    if (what == 0 && !inner.sql.starts_with("WITH")) {
      expressions_.Use("WITH");
      with += fmt::format("{}q{} AS ({})", with.empty() ? "" : ", ", alias, inner.sql);
      return fmt::format("q{0} AS {0}", alias);
    }
    expressions_.Use("(SELECT …) AS");
    return fmt::format("({}) AS {}", inner.sql, alias);
  }
  if (what == 3 && random_.OneIn(2)) {
    expressions_.Use("VALUES");
    const Type& one = expressions_.AnyType();
    const Type& two = TypeOf("INT");
    columns = Prefixed(alias, {{"c0", &one}, {"c1", &two}});
    std::string rows;
    for (int i = 0; i < 3; ++i)
      rows += fmt::format("{}({}, {})", i > 0 ? ", " : "", expressions_.Literal(one, true),
                          expressions_.Literal(two, true));
    return fmt::format("(VALUES {}) AS {}(c0, c1)", rows, alias);
  }
  const Readable& readable = PickReadable();
  if (readable.is_view) expressions_.Use("view on a view");
  if (what == 4) {
    Source windows;
    AddWindowTable(windows, readable, alias);
    if (!windows.from.empty()) {
      columns = windows.columns;
      return windows.from;
    }
  }
  columns = Prefixed(alias, readable.columns);
  return fmt::format("{} AS {}", readable.name, alias);
}

void Queries::AddWindowTable(Source& source, const Readable& readable, const std::string& alias) {
  std::vector<std::string> times;
  for (const Column& column : readable.columns) {
    if (column.type->name == "TS") times.push_back(column.name);
  }
  if (times.empty()) return;
  const std::string& time = times[random_.Below(times.size())];
  const std::string kind = expressions_.Choose({"tumble(", "hop(", "cumulate(", "session("});
  const std::string head = fmt::format("{}{}, {}, INTERVAL ", kind, readable.name, time);
  if (kind == "tumble(") source.from = head + "3 HOURS)";
  if (kind == "hop(") source.from = head + "2 HOURS, INTERVAL 4 HOURS)";
  if (kind == "cumulate(") source.from = head + "1 HOUR, INTERVAL 3 HOURS)";
  if (kind == "session(") {
    source.from = head + "2 HOURS";
    if (random_.OneIn(2)) source.from += ", " + expressions_.Pick(readable.columns).name;
    source.from += ")";
  }
  source.from += " AS " + alias;
  Columns columns = readable.columns;
  columns.push_back({"window_start", &TypeOf("TS")});
  columns.push_back({"window_end", &TypeOf("TS")});
  source.columns = Prefixed(alias, columns);
}

Queries::Source Queries::MakeSource(int depth) {
  Source source;
  source.from = Relation(source.columns, depth, source.with);
  if (random_.OneIn(2)) AddJoin(source, depth);
  if (random_.OneIn(12)) AddJoin(source, 0);
  if (random_.OneIn(2)) {
    expressions_.Use("WHERE");
    source.where = " WHERE " + (random_.OneIn(5) ? SubqueryCondition(source)
                                                 : expressions_.Condition(source.columns));
  }
  return source;
}

void Queries::AddJoin(Source& source, int depth) {
  if (random_.OneIn(10)) return AddAsof(source);
  if (random_.OneIn(10)) return AddLateral(source);
  Columns right;
  const std::string relation = Relation(right, depth, source.with);
  Columns both = source.columns;
  both.insert(both.end(), right.begin(), right.end());
  std::vector<std::string> pairs;
  for (const Column& a : source.columns) {
    for (const Column& b : right) {
      if (a.type == b.type) {
        const bool distinct = random_.OneIn(5);
        if (distinct) expressions_.Use("ON … IS NOT DISTINCT FROM");
        pairs.push_back(
            fmt::format("{} {} {}", a.name, distinct ? "IS NOT DISTINCT FROM" : "=", b.name));
      }
    }
  }
  if (random_.OneIn(15)) {
    expressions_.Use("CROSS JOIN");
    source.from += " CROSS JOIN " + relation;
    source.columns = both;
    return;
  }
  const std::string kind = expressions_.Choose(
      {"INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"});
  std::string on;
  if (pairs.empty() || random_.OneIn(8)) {
    expressions_.Use("ON without an equality");
    on = expressions_.Condition(both);
  } else {
    on = pairs[random_.Below(pairs.size())];
    if (random_.OneIn(4)) {
      expressions_.Use("ON equality AND condition");
      on += " AND " + expressions_.Condition(both);
    }
  }
  source.from += fmt::format(" {} {} ON {}", kind, relation, on);
  if (kind != "SEMI JOIN" && kind != "ANTI JOIN") source.columns = both;
}

// The right side has one row for each key and time, since of several DuckDB takes any. Nested
// values are refused, DuckDB being wrong about them.
void Queries::AddAsof(Source& source) {
  const Readable& right = PickReadable();
  for (const Column& a : source.columns) {
    for (const Column& b : right.columns) {
      if (a.type != b.type || a.type->name.starts_with("X") || !a.type->key || a.type->nested())
        continue;
      const std::string kind = expressions_.Choose({"ASOF JOIN", "ASOF LEFT JOIN"});
      const std::string alias = Alias();
      const std::string compare = std::vector<std::string>{">=", ">", "<=", "<"}[random_.Below(4)];
      const Column& value = expressions_.Pick(right.columns);
      std::string keys;
      std::string on = fmt::format("{} {} {}.t", a.name, compare, alias);
      for (const Column& c : source.columns) {
        for (const Column& d : right.columns) {
          if (keys.empty() && c.type == d.type && !c.type->nested() && d.name != b.name &&
              !random_.OneIn(3)) {
            keys = fmt::format("{} AS k, ", d.name);
            on = fmt::format("{} = {}.k AND ", c.name, alias) + on;
          }
        }
      }
      source.from +=
          fmt::format(" {} (SELECT {}{} AS t, max({}) AS v FROM {} GROUP BY ALL) AS {} ON {}", kind,
                      keys, b.name, value.name, right.name, alias, on);
      source.columns.push_back({alias + ".t", b.type});
      source.columns.push_back({alias + ".v", value.type});
      return;
    }
  }
}

void Queries::AddLateral(Source& source) {
  const Readable& right = PickReadable();
  const std::string alias = Alias();
  const std::string inner = Alias();
  const Columns columns = Prefixed(inner, right.columns);
  const Column& value = expressions_.Pick(columns);
  const std::string where = InnerWhere(source.columns, columns);
  const std::string kind = expressions_.Choose(
      {"LATERAL (SELECT column", "LATERAL (SELECT aggregate", "LATERAL … ORDER BY LIMIT"});
  if (kind == "LATERAL (SELECT column") {
    source.from += fmt::format(", LATERAL (SELECT {} AS v FROM {} AS {}{}) AS {}", value.name,
                               right.name, inner, where, alias);
  } else if (kind == "LATERAL (SELECT aggregate") {
    source.from += fmt::format(", LATERAL (SELECT max({}) AS v FROM {} AS {}{}) AS {}", value.name,
                               right.name, inner, where, alias);
  } else {
    source.from +=
        fmt::format(", LATERAL (SELECT {} AS v FROM {} AS {}{} ORDER BY {} LIMIT 2) AS {}",
                    value.name, right.name, inner, where, expressions_.TotalOrder(columns), alias);
  }
  source.columns.push_back({alias + ".v", value.type});
}

// Correlated by an equality or another comparison, or not at all.
std::string Queries::InnerWhere(const Columns& outer, const Columns& inner) {
  std::string where = random_.OneIn(3) ? " WHERE " + expressions_.Condition(inner, 0) : "";
  if (random_.OneIn(4)) return where;
  for (const Column& a : outer) {
    for (const Column& b : inner) {
      if (a.type != b.type || random_.OneIn(3)) continue;
      expressions_.Use("correlated subquery");
      return where + fmt::format("{}{} {} {}", where.empty() ? " WHERE " : " AND ", b.name,
                                 random_.OneIn(3) ? "<" : "=", a.name);
    }
  }
  return where;
}

}  // namespace millrace::fuzz
