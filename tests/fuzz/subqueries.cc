// Queries: subqueries as conditions and values, unnest, PIVOT, constants.
#include <fmt/format.h>

#include "fuzz/queries.h"

namespace millrace::fuzz {
namespace {}  // namespace

std::string Queries::SubqueryCondition(const Source& source) {
  const Readable& other = PickReadable();
  const std::string alias = Alias();
  const Columns inner = Prefixed(alias, other.columns);
  const Column& column = expressions_.Pick(source.columns);
  std::vector<std::string> kinds = {"EXISTS",         "NOT EXISTS",    "IN (SELECT",
                                    "NOT IN (SELECT", "= ANY (SELECT", "<> ALL (SELECT"};
  // DuckDB 1.5.6 compares nested values with NULLs within by other rules as soon as one of the rows
  // is NULL: [1, NULL] < ANY (SELECT [NULL]) is true alone, and false beside a NULL.
  if (!column.type->nested()) kinds.insert(kinds.end(), {"< ANY (SELECT", ">= ALL (SELECT"});
  const std::string kind = expressions_.Choose(kinds);
  const bool exists = kind.ends_with("EXISTS");
  // In correlated subqueries also by equality: MAP {'b': NULL} IN (SELECT MAP {'b': NULL} WHERE
  // inner.x = outer.x) loses rows beside a NULL there. The view has them.
  const bool correlated = exists || !column.type->nested();
  const std::string from = fmt::format(" FROM {} AS {}{}", other.name, alias,
                                       InnerWhere(correlated ? source.columns : Columns(), inner));
  if (exists) return fmt::format("{} (SELECT 1{})", kind, from);
  return fmt::format("{} {} {}{})", column.name, kind, expressions_.Of(*column.type, inner, 0),
                     from);
}

std::string Queries::ScalarSubquery(const Source& source, const Type*& type) {
  const Readable& other = PickReadable();
  const std::string alias = Alias();
  const Columns inner = Prefixed(alias, other.columns);
  expressions_.Use("scalar subquery");
  const Expression call = expressions_.Aggregate(inner);
  type = call.type;
  return fmt::format("(SELECT {} FROM {} AS {}{})", call.text, other.name, alias,
                     InnerWhere(source.columns, inner));
}

Query Queries::Subquery(const Source& source) {
  Query query;
  const Column& column = expressions_.Pick(source.columns);
  Select(query, column.name, *column.type);
  if (random_.OneIn(2)) {
    const Type* type = nullptr;
    const std::string text = ScalarSubquery(source, type);
    Select(query, text, *type);
  } else {
    expressions_.Use("subquery condition as a value");
    Select(query, SubqueryCondition(source), TypeOf("BOOL"));
  }
  query.sql += " FROM " + Body(source);
  return query;
}

Query Queries::Unnest(const Source& source) {
  Query query;
  const Column& column = expressions_.Pick(source.columns);
  const auto list = [&] { return expressions_.Of(TypeOf("INTS"), source.columns, 1); };
  const std::string kind = expressions_.Choose(
      {"unnest(list)", "unnest(struct)", "lateral unnest", "unnest in parallel"});
  Select(query, column.name, *column.type);
  if (kind == "unnest(list)") {
    Select(query, fmt::format("unnest({})", list()), TypeOf("INT"));
  } else if (kind == "unnest in parallel") {
    Select(query, fmt::format("unnest({})", list()), TypeOf("INT"));
    Select(query, fmt::format("unnest({})", expressions_.Of(TypeOf("TEXTS"), source.columns, 1)),
           TypeOf("TEXT"));
  } else if (kind == "unnest(struct)") {
    query.sql += fmt::format(", unnest({}) FROM {}",
                             expressions_.Of(TypeOf("PAIR"), source.columns, 0), Body(source));
    query.columns.push_back({"a", &TypeOf("INT")});
    query.columns.push_back({"b", &TypeOf("TEXT")});
    return query;
  } else {
    Select(query, "u.v", TypeOf("INT"));
    query.sql += fmt::format(" FROM {}, LATERAL (SELECT unnest({}) AS v) AS u{}", source.from,
                             list(), source.where);
    return query;
  }
  query.sql += " FROM " + Body(source);
  if (random_.OneIn(3)) {
    query.sql = fmt::format("SELECT c1 AS c0, count(*) AS c1 FROM ({}) GROUP BY c1", query.sql);
    query.columns = {{"c0", query.columns[1].type}, {"c1", &TypeOf("BIGINT")}};
  }
  return query;
}

Query Queries::Pivot() {
  const Readable& readable = PickReadable();
  expressions_.Use("PIVOT");
  const Column& group = expressions_.Pick(readable.columns);
  const Type& number = TypeOf("HUGE");
  Query query;
  query.columns = {{"k", group.type}, {"x", &number}, {"y", &number}};
  query.sql = fmt::format(
      "SELECT * FROM (PIVOT (SELECT {} AS k, {} AS p, {} AS v FROM {}) ON p IN ('a' AS x, 'b' AS "
      "y) "
      "USING sum(v) GROUP BY k)",
      group.name, expressions_.Of(TypeOf("TEXT"), readable.columns, 0),
      expressions_.Of(TypeOf("INT"), readable.columns, 1), readable.name);
  return query;
}

Query Queries::Constants() {
  expressions_.Use("constants");
  Query query;
  const size_t count = 1 + random_.Below(3);
  for (size_t i = 0; i < count; ++i) {
    const Expression value = expressions_.Any({});
    Select(query, value.text, *value.type);
  }
  return query;
}

}  // namespace millrace::fuzz
