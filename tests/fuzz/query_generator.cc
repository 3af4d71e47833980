#include "fuzz/query_generator.h"

#include <fmt/format.h>

namespace millrace::fuzz {

namespace {
// DOUBLE values are of the form k/1024, whose sums are exact in any order.
const std::vector<std::string> kTypes = {"BIGINT", "INTEGER",   "VARCHAR", "DECIMAL(10,2)",
                                         "DATE",   "TIMESTAMP", "BOOLEAN", "DOUBLE"};

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
  out += ")";
  if (!table && columns.size() % 2 == 0)
    out += fmt::format(" PARTITION BY ({}) INTO 3 PARTITIONS", columns[0].name);
  return out;
}

const ColumnSpec& Generator::Pick(const std::vector<ColumnSpec>& columns) {
  return columns[random_.Below(columns.size())];
}

RelationSpec Generator::Relation(const std::string& name, bool table) {
  RelationSpec relation{name, table, {}};
  const size_t count = 2 + random_.Below(4);
  for (size_t i = 0; i < count; ++i) {
    const std::string type = i == 0 && table ? "BIGINT" : kTypes[random_.Below(kTypes.size())];
    relation.columns.push_back(
        {fmt::format("{}{}", static_cast<char>('a' + static_cast<char>(i)), name), type});
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
      out += relation.table && i == 0 ? std::to_string(++next_key)
                                      : Literal(relation.columns[i].type, true);
    }
    out += ")";
  }
  return out;
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

std::string Generator::Query(const std::vector<RelationSpec>& relations) {
  const RelationSpec& left = relations[random_.Below(relations.size())];
  std::vector<ColumnSpec> columns = left.columns;
  for (ColumnSpec& column : columns) column.name = "l." + column.name;
  std::string from = left.name + " AS l";
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
      std::string on = pairs[random_.Below(pairs.size())];
      for (ColumnSpec column : right.columns) {
        column.name = "r." + column.name;
        columns.push_back(column);
      }
      const bool outer = random_.OneIn(3);
      if (random_.OneIn(4)) on += " AND " + Condition(columns, "");
      from += fmt::format(" {} JOIN {} AS r ON {}", outer ? "LEFT" : "INNER", right.name, on);
    }
  }
  const std::string where = random_.OneIn(2) ? " WHERE " + Condition(columns, "") : "";
  std::string select;
  switch (random_.Below(5)) {
    case 0:
    case 1: {  // aggregate
      const size_t groups = random_.Below(3);
      const size_t calls = 1 + random_.Below(3);
      std::string group_by;
      for (size_t i = 0; i < groups; ++i) {
        const std::string group =
            random_.OneIn(3) ? Scalar(columns, "", "BIGINT", 1) : Pick(columns).name;
        select += fmt::format("{} AS c{}, ", group, i);
        group_by += fmt::format("{}{}", i > 0 ? ", " : " GROUP BY ", i + 1);
      }
      for (size_t i = 0; i < calls; ++i)
        select +=
            fmt::format("{}{} AS c{}", i > 0 ? ", " : "", AggregateCall(columns, ""), groups + i);
      std::string query = fmt::format("SELECT {} FROM {}{}{}", select, from, where, group_by);
      if (groups > 0 && random_.OneIn(4)) query += " HAVING count(*) > 1";
      return query;
    }
    case 2: {  // the first rows of each partition; ties by all columns
      const std::string by = Pick(columns).name;
      std::string order;
      for (size_t i = 0; i < columns.size(); ++i) {
        select += fmt::format("{}{} AS c{}", i > 0 ? ", " : "", columns[i].name, i);
        order += fmt::format("{}{}{}", i > 0 ? ", " : "", columns[i].name,
                             i == 0 && random_.OneIn(2) ? " DESC" : "");
      }
      return fmt::format(
          "SELECT * FROM (SELECT {}, row_number() OVER (PARTITION BY {} ORDER BY {}) AS n FROM "
          "{}{}) WHERE n <= {}",
          select, by, order, from, where, 1 + random_.Below(4));
    }
    case 3: {  // distinct or union
      const ColumnSpec& column = Pick(columns);
      const std::string value = Scalar(columns, "", column.type, 1);
      if (random_.OneIn(2))
        return fmt::format("SELECT DISTINCT {} AS c0, {} AS c1 FROM {}{}", column.name, value, from,
                           where);
      return fmt::format("SELECT {} AS c0 FROM {}{} UNION ALL SELECT {} FROM {}", column.name, from,
                         where, value, from);
    }
    default: {
      const size_t count = 1 + random_.Below(4);
      for (size_t i = 0; i < count; ++i) {
        const std::string type = Pick(columns).type;
        select += fmt::format("{}{} AS c{}", i > 0 ? ", " : "", Scalar(columns, "", type, 2), i);
      }
      return fmt::format("SELECT {} FROM {}{}", select, from, where);
    }
  }
}

}  // namespace millrace::fuzz
