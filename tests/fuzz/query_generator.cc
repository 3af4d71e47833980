#include "fuzz/query_generator.h"

#include <fmt/format.h>

namespace millrace::fuzz {

namespace {
// DOUBLE values are of the form k/1024, whose sums are exact in any order.
const std::vector<std::string> kTypes = {"BIGINT", "INTEGER",   "VARCHAR", "DECIMAL(10,2)",
                                         "DATE",   "TIMESTAMP", "BOOLEAN", "DOUBLE"};

std::string List(const std::vector<ColumnSpec>& columns) {
  std::string out;
  for (const ColumnSpec& column : columns) out += (out.empty() ? "" : ", ") + column.name;
  return out;
}

bool IsNumber(const std::string& type) {
  return type == "BIGINT" || type == "INTEGER" || type == "DOUBLE" || type.starts_with("DECIMAL");
}
}  // namespace

std::string RelationSpec::Create() const {
  std::string out = fmt::format("CREATE {} {} (", table ? "TABLE" : "STREAM", name);
  for (size_t i = 0; i < columns.size(); ++i) {
    out += fmt::format("{}{} {}{}", i > 0 ? ", " : "", columns[i].name, columns[i].type,
                       table && i == 0 ? " PRIMARY KEY" : "");
  }
  if (!event_time.empty())
    out += fmt::format(", WATERMARK FOR {0} AS {0} - INTERVAL {1} HOURS", event_time, delay_hours);
  out += ")";
  if (!table && columns.size() % 2 == 0)
    out += fmt::format(" PARTITION BY ({}) INTO 3 PARTITIONS", columns[0].name);
  if (diverts_late) out += " WITH (late = 'divert')";
  return out;
}

const ColumnSpec& Generator::Pick(const std::vector<ColumnSpec>& columns) {
  return columns[random_.Below(columns.size())];
}

RelationSpec Generator::Relation(const std::string& name, bool table) {
  RelationSpec relation;
  relation.name = name;
  relation.table = table;
  const size_t count = 2 + random_.Below(4);
  for (size_t i = 0; i < count; ++i) {
    const std::string type = i == 0 && table ? "BIGINT" : kTypes[random_.Below(kTypes.size())];
    relation.columns.push_back(
        {fmt::format("{}{}", static_cast<char>('a' + static_cast<char>(i)), name), type});
  }
  if (!table && random_.OneIn(2)) {
    relation.event_time = "ts" + name;
    relation.columns.push_back({relation.event_time, "TIMESTAMP"});
    relation.delay_hours = static_cast<int>(random_.Below(4));
    relation.diverts_late = random_.OneIn(2);
  }
  return relation;
}

std::string Generator::Literal(const std::string& type, bool allow_null) {
  if (allow_null && random_.OneIn(6)) return "NULL";
  const auto value = static_cast<int64_t>(random_.Below(7)) - 2;
  if (type == "BIGINT" || type == "INTEGER") return std::to_string(value);
  if (type == "VARCHAR")
    return fmt::format(
        "'{}'", std::vector<std::string>{"", "a", "b", "ab", "Ä", "zz", "b c"}[random_.Below(7)]);
  if (type.starts_with("DECIMAL")) return fmt::format("{}.{:02}", value, random_.Below(100));
  if (type == "DATE") return fmt::format("DATE '2024-02-{:02}'", 26 + random_.Below(4));
  if (type == "TIMESTAMP")
    return fmt::format("TIMESTAMP '2024-02-28 {:02}:30:00'", random_.Below(24));
  if (type == "BOOLEAN") return random_.OneIn(2) ? "true" : "false";
  return fmt::format("({}::DOUBLE / 1024)", static_cast<int64_t>(random_.Below(5000)) - 2500);
}

std::string Generator::Change(const RelationSpec& relation, int64_t& next_key) {
  const uint64_t what = relation.table ? random_.Below(4) : 0;
  if (what >= 2 && next_key > 1) {
    const std::string key = std::to_string(1 + random_.Below(static_cast<uint64_t>(next_key)));
    if (what == 2)
      return fmt::format("DELETE FROM {} WHERE {} = {}", relation.name, relation.columns[0].name,
                         key);
    const ColumnSpec& column = relation.columns[1 + random_.Below(relation.columns.size() - 1)];
    return fmt::format("UPDATE {} SET {} = {} WHERE {} <= {}", relation.name, column.name,
                       Literal(column.type, true), relation.columns[0].name, key);
  }
  std::string out = fmt::format("INSERT INTO {} VALUES ", relation.name);
  const size_t rows = 1 + random_.Below(12);
  for (size_t row = 0; row < rows; ++row) {
    out += row > 0 ? ", (" : "(";
    for (size_t i = 0; i < relation.columns.size(); ++i) {
      if (i > 0) out += ", ";
      if (relation.table && i == 0) {
        out += std::to_string(++next_key);
      } else if (relation.columns[i].name == relation.event_time) {
        out += EventTime(++next_key / 3);
      } else {
        out += Literal(relation.columns[i].type, true);
      }
    }
    out += ")";
  }
  return out;
}

// Rises with the rows, out of order by some hours, and now and then by many.
std::string Generator::EventTime(int64_t hour) {
  if (random_.OneIn(12)) return "NULL";
  hour += static_cast<int64_t>(random_.Below(4)) - (random_.OneIn(10) ? 9 : 0);
  return fmt::format("TIMESTAMP '2024-02-28 00:30:00' + INTERVAL {} HOURS", hour);
}

std::string Generator::Scalar(const std::vector<ColumnSpec>& columns, const std::string& prefix,
                              const std::string& type, int depth) {
  std::vector<std::string> of_type;
  for (const ColumnSpec& column : columns) {
    if (column.type == type) of_type.push_back(prefix + column.name);
  }
  if (!of_type.empty() && (depth == 0 || !random_.OneIn(3)))
    return of_type[random_.Below(of_type.size())];
  if (depth == 0) return Literal(type, false);
  const auto sub = [&](const std::string& of) { return Scalar(columns, prefix, of, depth - 1); };
  switch (random_.Below(4)) {
    case 0:
      if (type == "BIGINT" || type == "INTEGER")
        return fmt::format("({} {} {})", sub(type), random_.OneIn(2) ? "+" : "-", sub(type));
      if (type == "VARCHAR") return fmt::format("concat({}, {})", sub(type), sub(type));
      if (type == "BOOLEAN") return fmt::format("({} < {})", sub("BIGINT"), sub("BIGINT"));
      break;
    case 1:
      return fmt::format("coalesce({}, {})", sub(type), Literal(type, false));
    case 2:
      return fmt::format("CASE WHEN {} THEN {} ELSE {} END", sub("BOOLEAN"), sub(type), sub(type));
    default:
      if (type == "BIGINT") return fmt::format("length({})", sub("VARCHAR"));
      if (type == "VARCHAR") return fmt::format("upper({})", sub(type));
      break;
  }
  return sub(type);
}

std::string Generator::Condition(const std::vector<ColumnSpec>& columns,
                                 const std::string& prefix) {
  const ColumnSpec& column = Pick(columns);
  const std::string name = prefix + column.name;
  switch (random_.Below(5)) {
    case 0:
      return fmt::format("{} IS {}NULL", name, random_.OneIn(2) ? "NOT " : "");
    case 1:
      return fmt::format("{} <> {}", name, Literal(column.type, false));
    case 2:
      return fmt::format("({} < {} OR {})", name, Literal(column.type, false),
                         Scalar(columns, prefix, "BOOLEAN", 1));
    case 3:
      return fmt::format("{} IN ({}, {})", name, Literal(column.type, false),
                         Literal(column.type, false));
    default:
      return fmt::format("{} >= {}", name, Literal(column.type, false));
  }
}

std::string Generator::AggregateCall(const std::vector<ColumnSpec>& columns,
                                     const std::string& prefix) {
  const ColumnSpec& column = Pick(columns);
  const std::string name = prefix + column.name;
  std::string call;
  switch (random_.Below(8)) {
    case 0:
      call = "count(*)";
      break;
    case 1:
      call = fmt::format("count({})", name);
      break;
    case 2:
      call = fmt::format("min({})", name);
      break;
    case 3:
      call = fmt::format("max({})", name);
      break;
    case 4:
      call = fmt::format("count(DISTINCT {})", name);
      break;
    case 5:
      call = fmt::format("string_agg({}::VARCHAR, '|' ORDER BY {})", name, name);
      break;
    default:
      call = IsNumber(column.type) ? fmt::format("{}({})", random_.OneIn(3) ? "avg" : "sum", name)
                                   : "count(*)";
  }
  if (random_.OneIn(5)) call += fmt::format(" FILTER (WHERE {})", Condition(columns, prefix));
  return call;
}

Generator::Source Generator::Join(const std::vector<RelationSpec>& relations) {
  const RelationSpec& left = relations[random_.Below(relations.size())];
  Source source{left.name + " AS l", "", left.columns};
  for (ColumnSpec& column : source.columns) column.name = "l." + column.name;
  if (random_.OneIn(2)) {
    const RelationSpec& right = relations[random_.Below(relations.size())];
    // A pair of columns that can be equal, else a literal condition.
    std::vector<std::string> pairs;
    for (const ColumnSpec& a : left.columns) {
      for (const ColumnSpec& b : right.columns) {
        if (a.type == b.type)
          pairs.push_back(fmt::format("l.{} {} r.{}", a.name,
                                      random_.OneIn(5) ? "IS NOT DISTINCT FROM" : "=", b.name));
      }
    }
    if (!pairs.empty()) {
      static const std::vector<std::string> kinds = {"INNER", "INNER", "LEFT", "RIGHT",
                                                     "FULL",  "SEMI",  "ANTI"};
      const std::string kind = kinds[random_.Below(kinds.size())];
      std::string on = pairs[random_.Below(pairs.size())];
      std::vector<ColumnSpec> both = source.columns;
      for (const ColumnSpec& column : right.columns)
        both.push_back({"r." + column.name, column.type});
      if (random_.OneIn(3)) on += " AND " + Condition(both, "");
      source.from += fmt::format(" {} JOIN {} AS r ON {}", kind, right.name, on);
      if (kind != "SEMI" && kind != "ANTI") source.columns = std::move(both);
    }
  }
  if (random_.OneIn(2)) source.where = " WHERE " + Condition(source.columns, "");
  return source;
}

std::string Generator::Query(const std::vector<RelationSpec>& relations) {
  const Source source = Join(relations);
  switch (random_.Below(12)) {
    case 0:
    case 1:
    case 2:
      return Aggregates(source);
    case 3:
      return TopRows(source);
    case 4:
      return DistinctOrUnion(source);
    case 5:
    case 6:
      return Windows(source);
    case 7:
      return GroupingSets(source);
    case 8:
      return SetOperation(source, relations);
    case 9:
      return Subquery(source, relations);
    case 10:
      return Unnested(source);
    default:
      return Values(source);
  }
}

std::string Generator::Aggregates(const Source& source) {
  const size_t groups = random_.Below(3);
  const size_t calls = 1 + random_.Below(3);
  std::string select;
  std::string group_by;
  for (size_t i = 0; i < groups; ++i) {
    const ColumnSpec& column = Pick(source.columns);
    std::string group = random_.OneIn(3) ? Scalar(source.columns, "", "BIGINT", 1) : column.name;
    if (group == column.name && column.type == "TIMESTAMP" && !random_.OneIn(3))
      group = Bucket(group);
    select += fmt::format("{} AS c{}, ", group, i);
    group_by += fmt::format("{}{}", i > 0 ? ", " : " GROUP BY ", i + 1);
  }
  for (size_t i = 0; i < calls; ++i) {
    select += fmt::format("{}{} AS c{}", i > 0 ? ", " : "", AggregateCall(source.columns, ""),
                          groups + i);
  }
  std::string query =
      fmt::format("SELECT {} FROM {}{}{}", select, source.from, source.where, group_by);
  if (groups > 0 && random_.OneIn(4)) query += " HAVING count(*) > 1";
  return query;
}

// The first rows of each partition; ties by all columns.
std::string Generator::TopRows(const Source& source) {
  const std::string by = Pick(source.columns).name;
  std::string select;
  std::string order;
  for (size_t i = 0; i < source.columns.size(); ++i) {
    select += fmt::format("{}{} AS c{}", i > 0 ? ", " : "", source.columns[i].name, i);
    order += fmt::format("{}{}{}", i > 0 ? ", " : "", source.columns[i].name,
                         i == 0 && random_.OneIn(2) ? " DESC" : "");
  }
  return fmt::format(
      "SELECT * FROM (SELECT {}, row_number() OVER (PARTITION BY {} ORDER BY {}) AS n FROM "
      "{}{}) WHERE n <= {}",
      select, by, order, source.from, source.where, 1 + random_.Below(4));
}

std::string Generator::DistinctOrUnion(const Source& source) {
  const ColumnSpec& column = Pick(source.columns);
  const std::string value = Scalar(source.columns, "", column.type, 1);
  if (random_.OneIn(2))
    return fmt::format("SELECT DISTINCT {} AS c0, {} AS c1 FROM {}{}", column.name, value,
                       source.from, source.where);
  return fmt::format("SELECT {} AS c0 FROM {}{} UNION ALL SELECT {} FROM {}", column.name,
                     source.from, source.where, value, source.from);
}

std::string Generator::Values(const Source& source) {
  const size_t count = 1 + random_.Below(4);
  std::string select;
  for (size_t i = 0; i < count; ++i) {
    const std::string type = Pick(source.columns).type;
    select += fmt::format("{}{} AS c{}", i > 0 ? ", " : "", Scalar(source.columns, "", type, 2), i);
  }
  return fmt::format("SELECT {} FROM {}{}", select, source.from, source.where);
}

// A column of numbers, or a number made of one.
std::string Generator::Number(const std::vector<ColumnSpec>& columns) {
  const ColumnSpec& column = Pick(columns);
  return IsNumber(column.type) ? column.name : fmt::format("length({}::VARCHAR)", column.name);
}

// Where the order of equal rows would show, the order is by all columns. `alike`: rows that are the
// same have the same value, so that several calls pair up in one way only.
std::string Generator::WindowCall(const Source& source, bool alike) {
  const auto& columns = source.columns;
  std::string total;
  for (const ColumnSpec& column : columns) total += (total.empty() ? "" : ", ") + column.name;
  const std::string some = Pick(columns).name + (random_.OneIn(3) ? " DESC NULLS FIRST" : "");
  const std::string partition =
      random_.OneIn(4) ? "" : fmt::format("PARTITION BY {} ", Pick(columns).name);
  const std::string value = Pick(columns).name;
  const auto pick = [&](const std::vector<std::string>& of) {
    return of[random_.Below(of.size())];
  };
  const std::string bounds =
      pick({"UNBOUNDED PRECEDING AND CURRENT ROW", "1 PRECEDING AND 1 FOLLOWING",
            "2 PRECEDING AND 1 PRECEDING", "CURRENT ROW AND UNBOUNDED FOLLOWING",
            "UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"});
  const std::string exclude =
      pick({"", "", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES"});
  const std::string aggregate =
      pick({fmt::format("sum({})", Number(columns)), fmt::format("count({})", value),
            fmt::format("min({})", value), fmt::format("max({})", value),
            fmt::format("count(DISTINCT {})", value), std::string("count(*)")});
  static const std::vector<uint64_t> kinds_alike = {0, 4, 5};
  switch (alike ? kinds_alike[random_.Below(3)] : random_.Below(6)) {
    case 0:
      return fmt::format("{}() OVER ({}ORDER BY {})",
                         pick({"rank", "dense_rank", "percent_rank", "cume_dist"}), partition,
                         some);
    case 1:
      return fmt::format("{} OVER ({}ORDER BY {})", pick({"row_number()", "ntile(3)"}), partition,
                         total);
    case 2:
      return fmt::format("{}({}, {}) OVER ({}ORDER BY {})", pick({"lag", "lead"}), value,
                         1 + random_.Below(2), partition, total);
    case 3:
      return fmt::format(
          "{} OVER ({}ORDER BY {} ROWS BETWEEN {})",
          pick({fmt::format("first_value({})", value), fmt::format("last_value({})", value),
                fmt::format("nth_value({}, 2)", value), aggregate}),
          partition, total, bounds);
    case 4:
      return fmt::format("{} OVER ({}ORDER BY {} GROUPS BETWEEN {}{})", aggregate, partition, some,
                         bounds, exclude);
    default:
      return random_.OneIn(2) ? fmt::format("{} OVER ({}ORDER BY {})", aggregate, partition, some)
                              : fmt::format("{} OVER ({})", aggregate, partition);
  }
}

std::string Generator::Windows(const Source& source) {
  std::string select = fmt::format("SELECT {} AS c0", Pick(source.columns).name);
  const size_t calls = 1 + random_.Below(3);
  for (size_t i = 0; i < calls; ++i)
    select += fmt::format(", {} AS c{}", WindowCall(source, calls > 1), i + 1);
  select += fmt::format(" FROM {}{}", source.from, source.where);
  if (random_.OneIn(4)) return fmt::format("SELECT * FROM ({}) WHERE c1 IS NOT NULL", select);
  if (random_.OneIn(4))
    return fmt::format("SELECT c1, count(*) AS c9 FROM ({}) GROUP BY c1", select);
  return select;
}

std::string Generator::GroupingSets(const Source& source) {
  const std::string a = Pick(source.columns).name;
  const std::string b = Pick(source.columns).name;
  if (a == b) {
    return fmt::format(
        "SELECT {} AS c0, grouping({}) AS c1, {} AS c2 FROM {}{} GROUP BY ROLLUP ({})", a, a,
        AggregateCall(source.columns, ""), source.from, source.where, a);
  }
  static const std::vector<std::string> shapes = {"ROLLUP ({0}, {1})", "CUBE ({0}, {1})",
                                                  "GROUPING SETS (({0}), ({1}), ())",
                                                  "GROUPING SETS (({0}, {1}), ({0}))"};
  return fmt::format(
      "SELECT {0} AS c0, {1} AS c1, grouping({0}, {1}) AS c2, {2} AS c3 FROM {3}{4} GROUP BY {5}",
      a, b, AggregateCall(source.columns, ""), source.from, source.where,
      fmt::format(fmt::runtime(shapes[random_.Below(shapes.size())]), a, b));
}

std::string Generator::SetOperation(const Source& source,
                                    const std::vector<RelationSpec>& relations) {
  const RelationSpec& other = relations[random_.Below(relations.size())];
  static const std::vector<std::string> words = {"INTERSECT", "INTERSECT ALL", "EXCEPT",
                                                 "EXCEPT ALL", "UNION"};
  const ColumnSpec& column = Pick(source.columns);
  return fmt::format("SELECT {} AS c0, {} AS c1 FROM {}{} {} SELECT {}, {} FROM {} AS o",
                     column.name, Scalar(source.columns, "", "BIGINT", 1), source.from,
                     source.where, words[random_.Below(words.size())],
                     Scalar(other.columns, "o.", column.type, 1),
                     Scalar(other.columns, "o.", "BIGINT", 1), other.name);
}

std::string Generator::Subquery(const Source& source, const std::vector<RelationSpec>& relations) {
  const RelationSpec& other = relations[random_.Below(relations.size())];
  const ColumnSpec& column = Pick(source.columns);
  const std::string inner = Scalar(other.columns, "s.", column.type, 0);
  std::string where = random_.OneIn(2) ? " WHERE " + Condition(other.columns, "s.") : "";
  if (random_.OneIn(2)) {  // correlated, by equality or not
    const ColumnSpec& mine = Pick(source.columns);
    where += fmt::format("{}{} {} {}", where.empty() ? " WHERE " : " AND ",
                         Scalar(other.columns, "s.", mine.type, 0), random_.OneIn(3) ? "<" : "=",
                         mine.name);
  }
  std::string test;
  switch (random_.Below(4)) {
    case 0:
      test = fmt::format("EXISTS (SELECT 1 FROM {} AS s{})", other.name, where);
      break;
    case 1:
      test = fmt::format("{} IN (SELECT {} FROM {} AS s{})", column.name, inner, other.name, where);
      break;
    case 2:
      test = fmt::format("{} {} {} (SELECT {} FROM {} AS s{})", column.name,
                         random_.OneIn(2) ? "<" : ">=", random_.OneIn(2) ? "ANY" : "ALL", inner,
                         other.name, where);
      break;
    default:
      return fmt::format("SELECT {} AS c0, (SELECT {} FROM {} AS s{}) AS c1 FROM {}{}", column.name,
                         random_.OneIn(2) ? fmt::format("max({})", inner) : "count(*)", other.name,
                         where, source.from, source.where);
  }
  if (random_.OneIn(3)) test = "NOT (" + test + ")";
  if (random_.OneIn(2))
    return fmt::format("SELECT {} AS c0, {} AS c1 FROM {}{}", column.name, test, source.from,
                       source.where);
  return fmt::format("SELECT {} AS c0 FROM {}{}{}", column.name, source.from,
                     source.where.empty() ? " WHERE " : source.where + " AND ", test);
}

std::string Generator::Unnested(const Source& source) {
  const std::string number = Number(source.columns);
  const std::string first = random_.OneIn(2)
                                ? fmt::format("range(({})::BIGINT % 4)", number)
                                : fmt::format("[{}, {}]", number, Number(source.columns));
  const std::string query = fmt::format(
      "SELECT {} AS c0, unnest({}) AS c1, unnest(string_split({}::VARCHAR, 'b')) AS c2 "
      "FROM {}{}",
      Pick(source.columns).name, first, Pick(source.columns).name, source.from, source.where);
  if (random_.OneIn(2)) return query;
  return fmt::format("SELECT c2, count(*) AS n FROM ({}) GROUP BY c2", query);
}

std::string Generator::Bucket(const std::string& time) {
  static const std::vector<std::string> shapes = {
      "time_bucket(INTERVAL 2 HOURS, {})", "date_trunc('day', {})", "({} + INTERVAL 1 HOUR)",
      "time_bucket(INTERVAL 1 MONTH, {} - INTERVAL 3 HOURS)", "({})::DATE"};
  return fmt::format(fmt::runtime(shapes[random_.Below(shapes.size())]), time);
}

ClosedView Generator::Closed(const std::vector<RelationSpec>& relations) {
  std::vector<const RelationSpec*> timed;
  for (const RelationSpec& relation : relations) {
    if (!relation.event_time.empty()) timed.push_back(&relation);
  }
  const RelationSpec& relation = *timed[random_.Below(timed.size())];
  const std::string& time = relation.event_time;
  // {0}: the relation, in the view as it is, in the answer without late rows.
  std::string query;
  std::string is_closed = "w_end <= mark";
  const std::string where =
      random_.OneIn(3) ? " WHERE " + Condition(relation.columns, "") : std::string();
  static const std::vector<std::string> kinds = {
      "tumble({{0}}, {}, INTERVAL 3 HOURS)", "hop({{0}}, {}, INTERVAL 2 HOURS, INTERVAL 4 HOURS)",
      "session({{0}}, {}, INTERVAL 2 HOURS, {})"};
  const size_t kind = random_.Below(kinds.size());
  const std::string windows =
      "SELECT *, window_start AS w_start, window_end AS w_end FROM " +
      fmt::format(fmt::runtime(kinds[kind]), time, relation.columns[0].name);
  // A row at the end of a session still belongs to it.
  if (kind == 2) is_closed = "w_end < mark";
  switch (random_.Below(5)) {
    case 0:
      query = fmt::format("SELECT * FROM {{0}}{}", where);
      is_closed = time + " < mark";
      break;
    case 1:
      query = fmt::format(
          "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY w_end ORDER BY {}) AS n FROM "
          "({}{})) WHERE n <= 2",
          List(relation.columns), windows, where);
      break;
    case 2:  // the groups of a window that have the most rows
      query = fmt::format(
          "SELECT a.* FROM (SELECT w_end, {0} AS k, count(*) AS n FROM ({1}) GROUP BY 1, 2) a JOIN "
          "(SELECT w_end, max(n) AS most FROM (SELECT w_end, {0} AS k, count(*) AS n FROM ({1}) "
          "GROUP BY 1, 2) GROUP BY 1) b ON a.w_end = b.w_end AND a.n = b.most",
          Pick(relation.columns).name, windows);
      break;
    case 3: {
      const ColumnSpec& column = Pick(relation.columns);
      query = fmt::format(
          "SELECT a.w_end, a.{0} AS x, b.{0} AS y FROM ({1}) a {2} JOIN ({1}) b ON a.w_end = "
          "b.w_end "
          "AND a.{0} = b.{0}",
          column.name, windows, random_.OneIn(2) ? "LEFT" : "INNER");
      break;
    }
    default:
      query = fmt::format("SELECT w_end, {} AS c1, {} AS c2, {} AS c3 FROM ({}){} GROUP BY 1, 2",
                          Pick(relation.columns).name, AggregateCall(relation.columns, ""),
                          AggregateCall(relation.columns, ""), windows, where);
  }
  return {fmt::format(fmt::runtime(query), relation.name),
          fmt::format(
              "WITH on_time AS (SELECT * FROM {0} WHERE NOT _late) SELECT * EXCLUDE (mark) FROM "
              "({1}), (SELECT watermark AS mark FROM millrace.watermarks WHERE stream = "
              "'{0}') WHERE {2}",
              relation.name, fmt::format(fmt::runtime(query), "on_time"), is_closed)};
}

}  // namespace millrace::fuzz
