#include "fuzz/relations.h"

#include <fmt/format.h>

namespace millrace::fuzz {
namespace {

// What most rules speak of.
const std::vector<std::string> kCommon = {"INT", "BIGINT", "TEXT", "DEC", "DATE",
                                          "TS",  "BOOL",   "DBL",  "INT", "TEXT"};

const Type& ColumnType(Expressions& expressions, bool key) {
  Random& random = expressions.random();
  for (;;) {
    const Type& type =
        random.OneIn(2) ? TypeOf(kCommon[random.Below(kCommon.size())]) : expressions.AnyType();
    if (type.column && (!key || (type.key && !type.tricky))) return type;
  }
}

// Rises with the rows, out of order by some hours, and now and then by many.
std::string EventTime(Random& random, int64_t hour) {
  if (random.OneIn(12)) return "NULL";
  hour += static_cast<int64_t>(random.Below(4)) - (random.OneIn(10) ? 9 : 0);
  return fmt::format("TIMESTAMP '2024-02-28 00:30:00' + to_hours({})", hour);
}

std::string Row(Expressions& expressions, RelationSpec& relation) {
  Random& random = expressions.random();
  ++relation.inserted;
  std::string out;
  for (size_t i = 0; i < relation.columns.size(); ++i) {
    const Column& column = relation.columns[i];
    const bool key = i == 0 && relation.kind == RelationSpec::Kind::kTable;
    std::string value;
    if (key && column.type->name == "BIGINT" && !random.OneIn(8)) {
      value = std::to_string(relation.inserted);
    } else if (column.name == relation.event_time) {
      value = EventTime(random, relation.inserted / 3);
    } else {
      value = expressions.Literal(*column.type, !key);
    }
    out += (i > 0 ? ", " : "(") + value;
  }
  return out + ")";
}

std::string SomeRows(Expressions& expressions, const RelationSpec& relation) {
  const Column& column = expressions.Pick(relation.columns);
  if (expressions.random().OneIn(2))
    return fmt::format(" WHERE {} = {}", column.name, expressions.Literal(*column.type, false));
  return " WHERE " + expressions.Condition(relation.columns, 0);
}

}  // namespace

std::string RelationSpec::Create() const {
  std::string out = fmt::format("CREATE {} {} (", kind == Kind::kStream ? "STREAM" : "TABLE", name);
  for (size_t i = 0; i < columns.size(); ++i) {
    out += fmt::format("{}{} {}{}", i > 0 ? ", " : "", columns[i].name, columns[i].type->sql,
                       kind == Kind::kTable && i == 0 ? " PRIMARY KEY" : "");
  }
  if (!event_time.empty())
    out += fmt::format(", WATERMARK FOR {0} AS {0} - INTERVAL {1} HOURS", event_time, delay_hours);
  out += deduplicate + ")";
  if (kind == Kind::kStream && columns.size() % 2 == 0 && columns[0].type->key)
    out += fmt::format(" PARTITION BY ({}) INTO 3 PARTITIONS", columns[0].name);
  if (diverts_late) out += " WITH (late = 'divert')";
  return out;
}

RelationSpec MakeRelation(Expressions& expressions, const std::string& name) {
  using Kind = RelationSpec::Kind;
  Random& random = expressions.random();
  RelationSpec relation;
  relation.name = name;
  const uint64_t kind = random.Below(6);
  relation.kind = kind < 3 ? Kind::kStream : kind < 5 ? Kind::kTable : Kind::kBag;
  const bool keyed = relation.kind == Kind::kTable;
  const size_t count = 3 + random.Below(4);
  for (size_t i = 0; i < count; ++i) {
    const Type& type = keyed && i == 0 && !random.OneIn(3)
                           ? TypeOf("BIGINT")
                           : ColumnType(expressions, keyed && i == 0);
    relation.columns.push_back(
        {fmt::format("{}{}", static_cast<char>('a' + static_cast<char>(i)), name), &type});
  }
  if (relation.kind == Kind::kStream && random.OneIn(2)) {
    relation.event_time = "ts" + name;
    relation.columns.push_back({relation.event_time, &TypeOf("TS")});
    relation.delay_hours = static_cast<int>(random.Below(4));
    relation.diverts_late = random.OneIn(2);
  }
  if (relation.kind == Kind::kStream && random.OneIn(4) && relation.columns[0].type->key) {
    relation.deduplicate = fmt::format(", DEDUPLICATE ON ({})", relation.columns[0].name);
    if (!relation.event_time.empty() && random.OneIn(2))
      relation.deduplicate += " WITHIN INTERVAL 3 HOURS";
  }
  return relation;
}

Change MakeChange(Expressions& expressions, RelationSpec& relation) {
  Random& random = expressions.random();
  const uint64_t what = relation.kind == RelationSpec::Kind::kStream ? 0 : random.Below(4);
  if (what == 2) return {"DELETE FROM " + relation.name + SomeRows(expressions, relation), {}, ""};
  if (what == 3) {
    const Column& column = relation.columns[1 + random.Below(relation.columns.size() - 1)];
    return {fmt::format("UPDATE {} SET {} = {}{}", relation.name, column.name,
                        expressions.Literal(*column.type, true), SomeRows(expressions, relation)),
            {},
            ""};
  }
  Change change{fmt::format("INSERT INTO {} VALUES", relation.name), {}, ""};
  if (relation.kind == RelationSpec::Kind::kTable) {
    if (random.OneIn(2)) {
      change.head = fmt::format("INSERT OR REPLACE INTO {} VALUES", relation.name);
    } else {
      change.tail = " ON CONFLICT DO NOTHING";
    }
  }
  const size_t rows = 1 + random.Below(9);
  for (size_t i = 0; i < rows; ++i) change.rows.push_back(Row(expressions, relation));
  return change;
}

}  // namespace millrace::fuzz
