#include "fuzz/closed_views.h"

#include <fmt/format.h>

namespace millrace::fuzz {
namespace {

std::string Windows(Expressions& expressions, const RelationSpec& relation, bool& session) {
  const std::string kind = expressions.Choose({"tumble(", "hop(", "cumulate(", "session("});
  session = kind == "session(";
  std::string sizes = "INTERVAL 3 HOURS";
  if (kind == "hop(") sizes = "INTERVAL 2 HOURS, INTERVAL 4 HOURS";
  if (kind == "cumulate(") sizes = "INTERVAL 1 HOUR, INTERVAL 3 HOURS";
  if (session) sizes = "INTERVAL 2 HOURS, " + relation.columns[0].name;
  return fmt::format("SELECT *, window_start AS w_start, window_end AS w_end FROM {}{{0}}, {}, {})",
                     kind, relation.event_time, sizes);
}

}  // namespace

Query MakeClosedView(Expressions& expressions, const RelationSpec& relation) {
  expressions.Use("EMIT ON WINDOW CLOSE");
  Random& random = expressions.random();
  const auto column = [&] { return expressions.Pick(relation.columns).name; };
  // {0}: the relation, in the view as it is, in the answer without late rows.
  std::string query;
  bool session = false;
  const std::string windows = Windows(expressions, relation, session);
  // A row at the end of a session still belongs to it.
  std::string is_closed = session ? "w_end < mark" : "w_end <= mark";
  const std::string where =
      random.OneIn(3) ? fmt::format(" WHERE {} IS NOT NULL", column()) : std::string();
  switch (random.Below(5)) {
    case 0:
      query = fmt::format("SELECT * FROM {{0}}{}", where);
      is_closed = relation.event_time + " < mark";
      break;
    case 1:
      query = fmt::format(
          "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY w_end ORDER BY {}) AS n FROM "
          "({}{})) WHERE n <= 2",
          expressions.TotalOrder(relation.columns), windows, where);
      break;
    case 2:  // the groups of a window that have the most rows
      query = fmt::format(
          "SELECT a.* FROM (SELECT w_end, {0} AS k, count(*) AS n FROM ({1}) GROUP BY 1, 2) a JOIN "
          "(SELECT w_end, max(n) AS most FROM (SELECT w_end, {0} AS k, count(*) AS n FROM ({1}) "
          "GROUP BY 1, 2) GROUP BY 1) b ON a.w_end = b.w_end AND a.n = b.most",
          column(), windows);
      break;
    case 3: {
      // DuckDB 1.5.6 loses rows of a join on ARRAYs behind session()'s chain of window functions.
      const Column* on = &expressions.Pick(relation.columns);
      while (on->type->name == "TRIPLE") on = &expressions.Pick(relation.columns);
      query = fmt::format(
          "SELECT a.w_end, a.{0} AS x, b.{0} AS y FROM ({1}) a {2} JOIN ({1}) b ON a.w_end = "
          "b.w_end AND a.{0} = b.{0}",
          on->name, windows, random.OneIn(2) ? "LEFT" : "INNER");
      break;
    }
    default:
      query = fmt::format(
          "SELECT w_end, {} AS c1, count(*) AS c2, max({}) AS c3, count(DISTINCT {}) AS c4 FROM "
          "({}){} GROUP BY 1, 2",
          column(), column(), column(), windows, where);
  }
  return {fmt::format(fmt::runtime(query), relation.name) + " EMIT ON WINDOW CLOSE",
          {},
          fmt::format(
              "WITH on_time AS (SELECT * FROM {0} WHERE NOT _late) SELECT * EXCLUDE (mark) FROM "
              "({1}), (SELECT watermark AS mark FROM millrace.watermarks WHERE stream = "
              "'{0}') WHERE {2}",
              relation.name, fmt::format(fmt::runtime(query), "on_time"), is_closed)};
}

}  // namespace millrace::fuzz
