#include "fuzz/types.h"

#include "base/check.h"

namespace millrace::fuzz {
namespace {

using Values = std::vector<std::string>;

// The same literals with a cast behind each.
Values As(const std::string& sql, Values values) {
  for (std::string& value : values) value = "'" + value + "'::" + sql;
  return values;
}

std::vector<Type> Numbers() {
  return {
      {"INT", "INTEGER", {"-2", "-1", "0", "1", "2", "3", "4"}},
      {"BIGINT", "BIGINT", {"-2", "-1", "0", "1", "2", "3", "40"}},
      {"DEC", "DECIMAL(10,2)", {"-1.50", "0.00", "0.01", "1.50", "2.25", "10.00"}},
      // Of the form k/1024, whose sums are exact in any order.
      {"DBL",
       "DOUBLE",
       {"(-1.5)::DOUBLE", "0::DOUBLE", "0.25::DOUBLE", "1::DOUBLE", "2.0009765625::DOUBLE",
        "64::DOUBLE"}},
      // Sums of these depend on their order: no rule adds them up.
      {"ROUGH", "DOUBLE", {"0.1::DOUBLE", "0.3::DOUBLE"}, false, false, false},
      {"TINY", "TINYINT", As("TINYINT", {"-128", "-1", "0", "1", "127"})},
      {"SMALL", "SMALLINT", As("SMALLINT", {"-32768", "-1", "0", "1", "32767"})},
      {"UTINY", "UTINYINT", As("UTINYINT", {"0", "1", "2", "255"})},
      {"USMALL", "USMALLINT", As("USMALLINT", {"0", "1", "2", "65535"})},
      {"UINT", "UINTEGER", As("UINTEGER", {"0", "1", "2", "4294967295"})},
      {"UBIG", "UBIGINT", As("UBIGINT", {"0", "1", "2", "18446744073709551615"})},
      {"WIDE", "BIGINT",
       As("BIGINT",
          {"-9223372036854775808", "-1", "0", "1", "9007199254740993", "9223372036854775807"})},
      {"HUGE", "HUGEINT",
       As("HUGEINT", {"-170141183460469231731687303715884105727", "-1", "0", "1",
                      "18446744073709551616", "170141183460469231731687303715884105727"})},
      {"UHUGE", "UHUGEINT",
       As("UHUGEINT", {"0", "1", "2", "340282366920938463463374607431768211455"})},
      {"DEC4", "DECIMAL(4,1)", As("DECIMAL(4,1)", {"-999.9", "0", "0.1", "999.9"})},
      {"DEC18", "DECIMAL(18,6)",
       As("DECIMAL(18,6)", {"-999999999999.999999", "0", "0.000001", "1.5"})},
      {"DEC38", "DECIMAL(38,10)",
       As("DECIMAL(38,10)", {"-9999999999999999999999999999.9999999999", "0", "0.0000000001",
                             "9999999999999999999999999999.9999999999"})},
      {"FLT", "FLOAT", As("FLOAT", {"-0.5", "0", "0.25", "3", "1024"})},
      {"XDBL", "DOUBLE",
       As("DOUBLE", {"nan", "inf", "-inf", "-0.0", "0.0", "5e-324", "1.7976931348623157e308", "1"}),
       true},
      {"XFLT", "FLOAT", As("FLOAT", {"nan", "inf", "-inf", "-0.0", "0.0", "3.4028235e38"}), true},
  };
}

std::vector<Type> Texts() {
  return {
      {"TEXT", "VARCHAR", {"''", "'a'", "'b'", "'ab'", "'Ä'", "'zz'", "'b c'", "'12'", "'🦆x'"}},
      {"LONG",
       "VARCHAR",
       {"repeat('x', 5000)", "repeat('é🦆', 1500)", "repeat('x', 4999) || 'y'", "'é'", "''",
        "'abcdefghijklm'", "'abcdefghijkl'"}},
      {"BLOB", "BLOB",
       As("BLOB", {"", "a", "\\x00", "\\x00\\x01", "\\xFF\\xFE", "abcdefghijklmnop"})},
      {"BIT", "BIT", As("BIT", {"00000000", "10101010", "11111111", "00000001"}), false, false,
       false},
      {"UUID", "UUID",
       As("UUID", {"00000000-0000-0000-0000-000000000000", "80000000-0000-0000-0000-000000000001",
                   "ffffffff-ffff-ffff-ffff-ffffffffffff"})},
      {"BOOL", "BOOLEAN", {"true", "false"}},
      {"MOOD", "ENUM('bad', 'fair', 'good')",
       As("ENUM('bad', 'fair', 'good')", {"bad", "fair", "good"})},
      {"JSON", "JSON",
       As("JSON", {"{\"a\": 1, \"b\": [1, 2]}", "[]", "null", "\"x\"", "3",
                   "{\"a\": {\"b\": \"ä\"}}", "[1, null, \"a\"]"}),
       false, false},
  };
}

std::vector<Type> Times() {
  return {
      {"DATE", "DATE", As("DATE", {"2024-02-26", "2024-02-28", "2024-02-29", "2024-03-01"})},
      {"XDATE", "DATE",
       As("DATE", {"5877642-06-25 (BC)", "5881580-07-10", "infinity", "-infinity", "1970-01-01"})},
      {"TIME", "TIME", As("TIME", {"00:00:00", "12:30:00.000001", "23:59:59.999999"})},
      {"TIMETZ", "TIMETZ",
       As("TIMETZ", {"12:00:00+00", "13:00:00+01", "00:00:00-15:59:59", "23:59:59+15:59:59"}), true,
       false, false},
      {"TS", "TIMESTAMP",
       As("TIMESTAMP", {"2024-02-28 00:30:00", "2024-02-28 01:30:00", "2024-02-28 03:00:00",
                        "2024-02-28 23:59:59.999999", "2024-02-29 12:00:00"})},
      {"XTS", "TIMESTAMP",
       As("TIMESTAMP", {"290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54.775806", "infinity",
                        "-infinity", "1969-12-31 23:59:59.999999"})},
      {"TSS", "TIMESTAMP_S", As("TIMESTAMP_S", {"2024-02-28 00:30:00", "1969-12-31 23:59:59"}),
       false, false, false},
      {"TSMS", "TIMESTAMP_MS",
       As("TIMESTAMP_MS", {"2024-02-28 00:30:00.001", "1969-12-31 23:59:59.999"}), false, false,
       false},
      {"TSNS", "TIMESTAMP_NS",
       As("TIMESTAMP_NS", {"2024-02-28 00:30:00.000000001", "1969-12-31 23:59:59.999999999",
                           "2262-04-11 23:47:16.854775806"}),
       false, false, false},
      {"TSTZ", "TIMESTAMPTZ",
       As("TIMESTAMPTZ", {"2024-03-31 00:30:00+00", "2024-03-31 01:30:00+00",
                          "2024-10-27 00:30:00+00", "2024-10-27 01:30:00+00"})},
      {"IVL",
       "INTERVAL",
       {"INTERVAL '1 month'", "INTERVAL '30 days'", "INTERVAL '720 hours'", "INTERVAL '0 days'",
        "INTERVAL '-1 year 2 days'", "INTERVAL '1 microsecond'"},
       true},
      {"STEP", "INTERVAL", {"INTERVAL '1 hour'", "INTERVAL '2 days'", "INTERVAL '90 minutes'"}},
  };
}

std::vector<Type> Nested() {
  return {
      {"INTS", "INTEGER[]", As("INTEGER[]", {"[]", "[1]", "[1, NULL, 2]", "[3, 1]", "[NULL]"}),
       false, false},
      {"TEXTS", "VARCHAR[]", As("VARCHAR[]", {"[]", "[a]", "[a, b]", "[NULL, ä]"}), false, false},
      {"LISTS", "INTEGER[][]", As("INTEGER[][]", {"[]", "[[1], []]", "[NULL, [1, 2]]", "[[3]]"}),
       false, false},
      {"PAIR",
       "STRUCT(a INTEGER, b VARCHAR)",
       {"{'a': 1, 'b': 'x'}", "{'a': NULL, 'b': 'x'}", "{'a': 2, 'b': NULL}", "{'a': 1, 'b': 'y'}"},
       false,
       false},
      {"PAIRS",
       "STRUCT(a INTEGER, b VARCHAR)[]",
       {"[{'a': 1, 'b': 'x'}, {'a': 2, 'b': NULL}]", "[{'a': 2, 'b': 'y'}]", "[NULL]"},
       false,
       false},
      {"DICT",
       "MAP(VARCHAR, INTEGER)",
       {"MAP {'a': 1, 'b': 2}", "MAP {'b': NULL}", "MAP {}", "MAP {'c': 3}"},
       false,
       false},
      {"TRIPLE", "INTEGER[3]", As("INTEGER[3]", {"[1, 2, 3]", "[1, NULL, 3]", "[0, 0, 0]"}), false,
       false},
  };
}

}  // namespace

const std::vector<Type>& Types() {
  static const std::vector<Type> types = [] {
    std::vector<Type> all;
    for (const auto& some : {Numbers(), Texts(), Times(), Nested()})
      all.insert(all.end(), some.begin(), some.end());
    return all;
  }();
  return types;
}

const Type& TypeOf(std::string_view name) {
  for (const Type& type : Types()) {
    if (type.name == name) return type;
  }
  CHECK(false) << "no type " << name;
  std::abort();
}

std::string List(const Columns& columns) {
  std::string out;
  for (const Column& column : columns) out += (out.empty() ? "" : ", ") + column.name;
  return out;
}

Columns Prefixed(const std::string& alias, Columns columns) {
  for (Column& column : columns)
    column.name = alias + "." + column.name.substr(column.name.find('.') + 1);
  return columns;
}

}  // namespace millrace::fuzz
