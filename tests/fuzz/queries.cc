#include "fuzz/queries.h"

#include <fmt/format.h>

namespace millrace::fuzz {

const std::vector<std::string>& QueryConstructs() {
  static const std::vector<std::string> constructs = {"WITH",
                                                      "WITH twice",
                                                      "(SELECT …) AS",
                                                      "VALUES",
                                                      "view on a view",
                                                      "tumble(",
                                                      "hop(",
                                                      "cumulate(",
                                                      "session(",
                                                      "WHERE",
                                                      "CROSS JOIN",
                                                      "INNER JOIN",
                                                      "LEFT JOIN",
                                                      "RIGHT JOIN",
                                                      "FULL JOIN",
                                                      "SEMI JOIN",
                                                      "ANTI JOIN",
                                                      "ON … IS NOT DISTINCT FROM",
                                                      "ON without an equality",
                                                      "ON equality AND condition",
                                                      "ASOF JOIN",
                                                      "ASOF LEFT JOIN",
                                                      "LATERAL (SELECT column",
                                                      "LATERAL (SELECT aggregate",
                                                      "LATERAL … ORDER BY LIMIT",
                                                      "correlated subquery",
                                                      "projection",
                                                      "GROUP BY column",
                                                      "GROUP BY expression",
                                                      "GROUP BY nothing",
                                                      "HAVING",
                                                      "FILTER (WHERE",
                                                      "ROLLUP ({0}, {1})",
                                                      "CUBE ({0}, {1})",
                                                      "GROUPING SETS (({0}), ({1}), ())",
                                                      "GROUPING SETS (({0}, {1}), ({0}), ({0}))",
                                                      "PARTITION BY",
                                                      "QUALIFY",
                                                      "fill(",
                                                      "aggregate of a window",
                                                      "window of an aggregate",
                                                      "ORDER BY … LIMIT",
                                                      "ORDER BY … LIMIT … OFFSET",
                                                      "row_number() … <= n",
                                                      "SELECT DISTINCT",
                                                      "DISTINCT ON",
                                                      "UNION ALL",
                                                      "UNION",
                                                      "INTERSECT ALL",
                                                      "INTERSECT",
                                                      "EXCEPT ALL",
                                                      "EXCEPT",
                                                      "EXISTS",
                                                      "NOT EXISTS",
                                                      "IN (SELECT",
                                                      "NOT IN (SELECT",
                                                      "< ANY (SELECT",
                                                      "= ANY (SELECT",
                                                      ">= ALL (SELECT",
                                                      "<> ALL (SELECT",
                                                      "subquery condition as a value",
                                                      "scalar subquery",
                                                      "unnest(list)",
                                                      "unnest(struct)",
                                                      "lateral unnest",
                                                      "unnest in parallel",
                                                      "PIVOT",
                                                      "constants",
                                                      "failing cast",
                                                      "EMIT ON WINDOW CLOSE"};
  return constructs;
}

void Queries::Select(Query& query, const std::string& text, const Type& type) {
  const std::string name = "c" + std::to_string(query.columns.size());
  query.sql += fmt::format("{}{} AS {}", query.columns.empty() ? "SELECT " : ", ", text, name);
  query.columns.push_back({name, &type});
}

Query Queries::Make(int depth) {
  const uint64_t what = random_.Below(44);
  if (what == 0) return Pivot();
  if (what == 1) return Constants();
  if (what <= 3 && depth > 0) return CommonTable(depth);
  if (what == 4 && depth > 0) return FailingCast();
  const Source source = MakeSource(depth);
  Query query;
  if (what <= 9) {
    query = Project(source);
  } else if (what <= 20) {
    query = Aggregate(source);
  } else if (what <= 22) {
    query = GroupingSets(source);
  } else if (what <= 30) {
    query = Windows(source);
  } else if (what <= 33) {
    query = Top(source);
  } else if (what <= 35) {
    query = Distinct(source);
  } else if (what <= 37) {
    query = SetOperation(source);
  } else if (what <= 40) {
    query = Subquery(source);
  } else {
    query = Unnest(source);
  }
  if (!source.with.empty()) query.sql = fmt::format("WITH {} {}", source.with, query.sql);
  return query;
}

Query Queries::Project(const Source& source) {
  expressions_.Use("projection");
  Query query;
  const size_t count = 1 + random_.Below(4);
  for (size_t i = 0; i < count; ++i) {
    if (random_.OneIn(4)) {
      const Column& column = expressions_.Pick(source.columns);
      Select(query, column.name, *column.type);
    } else {
      const Expression value = expressions_.Any(source.columns);
      Select(query, value.text, *value.type);
    }
  }
  query.sql += " FROM " + Body(source);
  return query;
}

Query Queries::Aggregate(const Source& source) {
  Query query;
  const size_t groups = random_.Below(3);
  if (groups == 0) expressions_.Use("GROUP BY nothing");
  std::string group_by;
  for (size_t i = 0; i < groups; ++i) {
    const Column& column = expressions_.Pick(source.columns);
    if (random_.OneIn(3)) {
      expressions_.Use("GROUP BY expression");
      const Expression key = expressions_.Any(source.columns);
      Select(query, key.text, *key.type);
    } else {
      expressions_.Use("GROUP BY column");
      Select(query, column.name, *column.type);
    }
    group_by += fmt::format("{}{}", i > 0 ? ", " : " GROUP BY ", i + 1);
  }
  const size_t calls = 1 + random_.Below(3);
  for (size_t i = 0; i < calls; ++i) {
    const Expression call = expressions_.Aggregate(source.columns);
    Select(query, call.text, *call.type);
  }
  query.sql += " FROM " + Body(source) + group_by;
  if (groups > 0 && random_.OneIn(4)) {
    expressions_.Use("HAVING");
    query.sql += random_.OneIn(2) ? " HAVING count(*) > 1"
                                  : fmt::format(" HAVING {} IS NOT NULL",
                                                expressions_.Aggregate(source.columns).text);
  }
  if (random_.OneIn(6)) {
    const Expression call = expressions_.Window(query.columns, true);
    expressions_.Use("window of an aggregate");
    query.sql =
        fmt::format("SELECT *, {} AS c{} FROM ({})", call.text, query.columns.size(), query.sql);
    query.columns.push_back({"c" + std::to_string(query.columns.size()), call.type});
  }
  return query;
}

Query Queries::GroupingSets(const Source& source) {
  const Column& a = expressions_.Pick(source.columns);
  const Column& b = expressions_.Pick(source.columns);
  Query query;
  Select(query, a.name, *a.type);
  const Expression call = expressions_.Aggregate(source.columns);
  const Type& bits = TypeOf("BIGINT");
  if (a.name == b.name) {
    Select(query, fmt::format("grouping({})", a.name), bits);
    Select(query, call.text, *call.type);
    query.sql += fmt::format(" FROM {} GROUP BY ROLLUP ({})", Body(source), a.name);
    return query;
  }
  const std::string shape = expressions_.Choose({"ROLLUP ({0}, {1})", "CUBE ({0}, {1})",
                                                 "GROUPING SETS (({0}), ({1}), ())",
                                                 "GROUPING SETS (({0}, {1}), ({0}), ({0}))"});
  Select(query, b.name, *b.type);
  Select(query, fmt::format("grouping({}, {})", a.name, b.name), bits);
  Select(query, call.text, *call.type);
  query.sql += fmt::format(" FROM {} GROUP BY {}", Body(source),
                           fmt::format(fmt::runtime(shape), a.name, b.name));
  return query;
}

Query Queries::Windows(const Source& source) {
  Query query;
  if (random_.OneIn(12)) {  // it may be ordered by one expression only: one that is unique
    expressions_.Use("fill(");
    query.sql = fmt::format(
        "SELECT c0, fill(v) OVER (ORDER BY c0) AS c1 FROM (SELECT {} AS c0, max({}) AS v FROM {} "
        "GROUP BY 1)",
        expressions_.Of(TypeOf("INT"), source.columns, 0),
        expressions_.Of(TypeOf("DBL"), source.columns, 0), Body(source));
    query.columns = {{"c0", &TypeOf("INT")}, {"c1", &TypeOf("ROUGH")}};
    return query;
  }
  const Column& column = expressions_.Pick(source.columns);
  Select(query, column.name, *column.type);
  const size_t calls = 1 + random_.Below(3);
  for (size_t i = 0; i < calls; ++i) {
    const Expression call = expressions_.Window(source.columns, calls > 1 || random_.OneIn(3));
    Select(query, call.text, *call.type);
  }
  query.sql += " FROM " + Body(source);
  if (random_.OneIn(4)) {
    expressions_.Use("QUALIFY");
    query.sql += random_.OneIn(2) ? " QUALIFY c1 IS NOT NULL"
                                  : fmt::format(" QUALIFY dense_rank() OVER (ORDER BY {}) <= 3",
                                                expressions_.Pick(source.columns).name);
  } else if (random_.OneIn(4)) {
    expressions_.Use("aggregate of a window");
    query.sql = fmt::format("SELECT c1 AS c0, count(*) AS c1 FROM ({}) GROUP BY c1", query.sql);
    query.columns = {{"c0", query.columns[1].type}, {"c1", &TypeOf("BIGINT")}};
  }
  return query;
}

// Ties by all columns.
Query Queries::Top(const Source& source) {
  Query query;
  for (const Column& column : source.columns) Select(query, column.name, *column.type);
  const std::string order = expressions_.TotalOrder(source.columns);
  const std::string kind =
      expressions_.Choose({"ORDER BY … LIMIT", "ORDER BY … LIMIT … OFFSET", "row_number() … <= n"});
  const uint64_t limit = 1 + random_.Below(6);
  if (kind == "ORDER BY … LIMIT") {
    query.sql += fmt::format(" FROM {} ORDER BY {} LIMIT {}", Body(source), order, limit);
  } else if (kind == "ORDER BY … LIMIT … OFFSET") {
    query.sql += fmt::format(" FROM {} ORDER BY {} LIMIT {} OFFSET {}", Body(source), order, limit,
                             random_.Below(4));
  } else {
    query.sql += fmt::format(", row_number() OVER (PARTITION BY {} ORDER BY {}) AS n FROM {}",
                             expressions_.Pick(source.columns).name, order, Body(source));
    query.sql = fmt::format("SELECT * FROM ({}) WHERE n <= {}", query.sql, limit);
    query.columns.push_back({"n", &TypeOf("BIGINT")});
  }
  return query;
}

Query Queries::Distinct(const Source& source) {
  Query query;
  if (random_.OneIn(2)) {
    expressions_.Use("SELECT DISTINCT");
    const Column& column = expressions_.Pick(source.columns);
    const Expression value = expressions_.Any(source.columns);
    Select(query, column.name, *column.type);
    Select(query, value.text, *value.type);
    query.sql = "SELECT DISTINCT" + query.sql.substr(6) + " FROM " + Body(source);
    return query;
  }
  expressions_.Use("DISTINCT ON");
  const std::string on = expressions_.Pick(source.columns).name;
  for (const Column& column : source.columns) Select(query, column.name, *column.type);
  query.sql =
      fmt::format("SELECT DISTINCT ON ({}){} FROM {} ORDER BY {}, {}", on, query.sql.substr(6),
                  Body(source), on, expressions_.TotalOrder(source.columns));
  return query;
}

Query Queries::SetOperation(const Source& source) {
  const Readable& other = PickReadable();
  const std::string word = expressions_.Choose(
      {"UNION ALL", "UNION", "INTERSECT ALL", "INTERSECT", "EXCEPT ALL", "EXCEPT"});
  Query query;
  std::string second;
  for (int i = 0; i < 2; ++i) {
    const Column& column = expressions_.Pick(source.columns);
    Select(query, i == 0 ? column.name : expressions_.Of(*column.type, source.columns, 1),
           *column.type);
    second += (i > 0 ? ", " : "") + expressions_.Of(*column.type, other.columns, 1);
  }
  query.sql += fmt::format(" FROM {} {} SELECT {} FROM {}", Body(source), word, second, other.name);
  return query;
}

Query Queries::CommonTable(int depth) {
  Query inner = Make(0);
  if (inner.sql.starts_with("WITH")) return inner;
  expressions_.Use("WITH twice");
  const Column& key = expressions_.Pick(inner.columns);
  Query query;
  query.columns = {{"c0", key.type}, {"c1", key.type}};
  const std::string join = expressions_.Choose({"INNER JOIN", "LEFT JOIN", "FULL JOIN"});
  if (random_.OneIn(2) || depth == 0) {
    query.sql = fmt::format(
        "WITH w AS ({0}) SELECT x.{1} AS c0, y.{1} AS c1 FROM (SELECT DISTINCT {1} FROM w) AS x "
        "{2} "
        "w AS y ON x.{1} = y.{1}",
        inner.sql, key.name, join);
    return query;
  }
  query.sql = fmt::format(
      "WITH w AS ({0}) SELECT {1} AS c0, {1} AS c1 FROM w UNION ALL SELECT {1}, "
      "max({1}) FROM w GROUP BY 1",
      inner.sql, key.name);
  return query;
}

// Rows whose expression fails are left out.
Query Queries::FailingCast() {
  const Readable& readable = PickReadable();
  expressions_.Use("failing cast");
  const std::string text = expressions_.Of(TypeOf("TEXT"), readable.columns, 0);
  const Column& column = expressions_.Pick(readable.columns);
  Query query;
  Select(query, fmt::format("CAST({} AS INTEGER)", text), TypeOf("INT"));
  Select(query, column.name, *column.type);
  query.sql += " FROM " + readable.name;
  query.answer = fmt::format(
      "SELECT TRY_CAST({0} AS INTEGER) AS c0, {1} AS c1 FROM {2} WHERE {0} IS "
      "NULL OR TRY_CAST({0} AS INTEGER) IS NOT NULL",
      text, column.name, readable.name);
  return query;
}

}  // namespace millrace::fuzz
