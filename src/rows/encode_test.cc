#include "rows/encode.h"
#include "rows/parse_value.h"

#include "rows/csv_decode.h"
#include "rows/decode.h"
#include "rows/row_codec.h"
#include "rows/testing.h"

namespace millrace::rows::encode_test {
namespace {

using duckdb::LogicalType;
using duckdb::Value;
using ::testing::ElementsAre;
using testing::Hex;
using testing::Query;
using testing::Table;

// Every type of a column at its edges, and the values that borders like to lose.
Table Edges() {
  return Query(
      "SELECT * EXCLUDE (geometry, \"union\", interval, map), interval, map FROM test_all_types() "
      "UNION ALL BY NAME "
      "SELECT 'a,\"b\"\r\n\\ é' AS varchar, '' AS blob, -0.0::DOUBLE AS double, 1e-45::FLOAT AS "
      "float, "
      "INTERVAL '-14 months -3 days -1.5 seconds' AS interval, -9.9::DECIMAL(4, 1) AS dec_4_1, "
      "TIMESTAMP '0001-01-01 00:00:00.000001' AS timestamp, DATE '0044-03-15 (BC)' AS date UNION "
      "ALL BY NAME "
      "SELECT '' AS varchar, 'nan'::DOUBLE AS double, '-inf'::FLOAT AS float, INTERVAL '1 month' "
      "AS interval, "
      "TIMESTAMP '1969-12-31 23:59:59.999' AS timestamp, DATE '10000-01-01' AS date, "
      "'infinity'::TIMESTAMPTZ AS timestamp_tz, "
      "[]::INTEGER[] AS int_array, MAP {}::MAP(VARCHAR, VARCHAR) AS map, 9007199254740993 AS "
      "bigint");
}

Schema SchemaOf(const Table& table) {
  Schema schema;
  for (size_t c = 0; c < table.types.size(); ++c) {
    schema.columns.push_back(
        {table.names[c], table.types[c], false, std::nullopt, static_cast<int>(c)});
  }
  return schema;
}

std::vector<std::string> Encoded(const Types& types, std::vector<duckdb::DataChunk*> chunks) {
  RowEncoder encoder(types);
  std::vector<std::string> rows;
  for (auto* chunk : chunks) {
    for (const auto row : encoder.Encode(*chunk)) rows.emplace_back(row);
  }
  return rows;
}

void ExpectSame(const Table& table, const Decoded& decoded) {
  for (const auto& error : decoded.errors) ADD_FAILURE() << error.row << ": " << error.message;
  std::vector<duckdb::DataChunk*> in, out;
  for (const auto& chunk : table.chunks) in.push_back(chunk.get());
  for (const auto& chunk : decoded.chunks) out.push_back(chunk.get());
  // Column by column, for a message that helps.
  size_t row = 0;
  ASSERT_EQ(out.size(), 1u);
  for (auto* chunk : in) {
    for (size_t r = 0; r < chunk->size(); ++r, ++row) {
      for (size_t c = 0; c < table.types.size(); ++c) {
        EXPECT_EQ(out[0]->GetValue(c, row).ToString(), chunk->GetValue(c, r).ToString())
            << table.names[c];
      }
    }
  }
  EXPECT_EQ(Encoded(table.types, in), Encoded(table.types, out));
}

TEST(RowWriter, JsonReadsBackAsTheSameRowsAtTheEdgesOfEveryType) {
  Table table = Edges();
  for (const bool strings : {false, true}) {
    RowWriter writer(table.names, {strings});
    std::vector<std::string> rows;
    for (auto& chunk : table.chunks) {
      writer.Bind(*chunk);
      for (size_t r = 0; r < chunk->size(); ++r) writer.JsonObject(r, rows.emplace_back());
    }
    std::vector<size_t> all(table.types.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = i;
    JsonDecoder decoder(SchemaOf(table), all);
    const std::vector<std::string_view> views(rows.begin(), rows.end());
    ExpectSame(table, decoder.Decode(views));
  }
}

TEST(RowWriter, CsvReadsBackAsTheSameRowsAtTheEdgesOfEveryType) {
  Table table = Edges();
  RowWriter writer(table.names);
  std::string csv;
  writer.CsvHeader(csv);
  for (auto& chunk : table.chunks) {
    writer.Bind(*chunk);
    for (size_t r = 0; r < chunk->size(); ++r) writer.CsvRow(r, csv);
  }
  CsvDecoder decoder(SchemaOf(table));
  auto decoded = decoder.Feed(csv);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  ExpectSame(table, *decoded);
}

TEST(RowWriter, TextOfEveryValueParsesBackToIt) {
  Table table = Edges();
  RowWriter writer(table.names);
  for (auto& chunk : table.chunks) {
    writer.Bind(*chunk);
    for (size_t c = 0; c < table.types.size(); ++c) {
      for (size_t r = 0; r < chunk->size(); ++r) {
        std::string text;
        if (!writer.Text(r, c, text)) continue;
        const auto value = ParseValue(text, table.types[c]);
        ASSERT_TRUE(value.ok()) << value.error().ToString();
        EXPECT_EQ(value->ToString(), chunk->GetValue(c, r).ToString()) << table.names[c];
      }
    }
  }
}

std::string Json(const std::string& expression, TextOptions options = {}) {
  Table table = Query("SELECT " + expression);
  return ValueToJson(table.chunks[0]->GetValue(0, 0), options);
}

TEST(RowWriter, WritesEachTypeAsTheManualSays) {
  EXPECT_EQ(Json("true"), "true");
  EXPECT_EQ(Json("NULL::INTEGER"), "null");
  EXPECT_EQ(Json("9223372036854775807::UBIGINT"), "9223372036854775807");
  EXPECT_EQ(Json("9223372036854775808::UBIGINT"), "\"9223372036854775808\"");
  EXPECT_EQ(Json("-9223372036854775808::HUGEINT"), "\"-9223372036854775808\"");
  EXPECT_EQ(Json("-5::HUGEINT"), "-5");
  EXPECT_EQ(Json("0.05::DECIMAL(10, 2)"), "0.05");
  EXPECT_EQ(Json("-0.05::DECIMAL(38, 38)"), "-0.05000000000000000000000000000000000000");
  EXPECT_EQ(Json("12::DECIMAL(10, 0)"), "12");
  EXPECT_EQ(Json("0.1::DOUBLE"), "0.1");
  EXPECT_EQ(Json("1e300::DOUBLE"), "1e+300");
  EXPECT_EQ(Json("-9007199254740993::DOUBLE"), "-9007199254740992");
  EXPECT_EQ(Json("747669595737540263936::DOUBLE"), "7.476695957375403e+20");
  EXPECT_EQ(Json("[-12345678901234567::FLOAT]"), "[-1.2345678e+16]");
  EXPECT_EQ(Json("0.1::FLOAT"), "0.1");
  EXPECT_EQ(Json("'NaN'::DOUBLE"), "\"NaN\"");
  EXPECT_EQ(Json("'-inf'::FLOAT"), "\"-Infinity\"");
  EXPECT_EQ(Json("'q\"\\' || chr(10) || chr(1) || 'é'"), "\"q\\\"\\\\\\n\\u0001é\"");
  EXPECT_EQ(Json("'b'::ENUM('a', 'b')"), "\"b\"");
  EXPECT_EQ(Json("'12345678-1234-1234-1234-123456789ABC'::UUID"),
            "\"12345678-1234-1234-1234-123456789abc\"");
  EXPECT_EQ(Json("'\\x00\\xFF'::BLOB"), "\"AP8=\"");
  EXPECT_EQ(Json("'abc'::BLOB"), "\"YWJj\"");
  EXPECT_EQ(Json("DATE '2024-02-29'"), "\"2024-02-29\"");
  EXPECT_EQ(Json("TIME '01:02:03.5'"), "\"01:02:03.500\"");
  EXPECT_EQ(Json("TIMESTAMP '2024-02-29 01:02:03'"), "\"2024-02-29T01:02:03\"");
  EXPECT_EQ(Json("TIMESTAMP '1969-12-31 23:59:59.000001'"), "\"1969-12-31T23:59:59.000001\"");
  EXPECT_EQ(Json("TIMESTAMPTZ '2024-02-29 01:02:03+01'"), "\"2024-02-29T00:02:03Z\"");
  EXPECT_EQ(Json("INTERVAL '1 year 2 months 3 days 04:05:06.5'"), "\"P1Y2M3DT4H5M6.500S\"");
  EXPECT_EQ(Json("INTERVAL '0 days'"), "\"PT0S\"");
  EXPECT_EQ(Json("INTERVAL '-0.5 seconds'"), "\"PT-0.500S\"");
  EXPECT_EQ(Json("[1, NULL, 3]"), "[1,null,3]");
  EXPECT_EQ(Json("{'a': 1, 'b\"': ['x']}"), "{\"a\":1,\"b\\\"\":[\"x\"]}");
  EXPECT_EQ(Json("MAP {'k': 1}"), "{\"k\":1}");
  EXPECT_EQ(Json("MAP {1: 'v'}"), "[{\"key\":1,\"value\":\"v\"}]");
  EXPECT_EQ(Json("'{\"a\" :\n [1]}'::JSON"), "{\"a\" :  [1]}");
  EXPECT_EQ(Json("union_value(num := 2)"), "{\"num\":2}");
  EXPECT_EQ(Json("'0101'::BIT"), "\"0101\"");
}

TEST(RowWriter, WritesWideNumbersAsStringsWhereAsked) {
  const TextOptions strings{true};
  EXPECT_EQ(Json("5::BIGINT", strings), "\"5\"");
  EXPECT_EQ(Json("5::INTEGER", strings), "5");
  EXPECT_EQ(Json("0.5::DECIMAL(4, 1)", strings), "\"0.5\"");
  EXPECT_EQ(Json("0.5::DOUBLE", strings), "0.5");
}

TEST(RowWriter, WritesObjectsArraysAndRecords) {
  Table table = Query(
      "SELECT 1 AS a, 'x,y' AS \"b,c\", NULL::VARCHAR AS d, '' AS e, [1, 2] AS f, '\\xAB'::BLOB AS "
      "g");
  RowWriter writer(table.names);
  writer.Bind(*table.chunks[0]);
  std::string text;
  writer.JsonObject(0, text);
  EXPECT_EQ(text, "{\"a\":1,\"b,c\":\"x,y\",\"d\":null,\"e\":\"\",\"f\":[1,2],\"g\":\"qw==\"}");
  text.clear();
  writer.JsonArray(0, text);
  EXPECT_EQ(text, "[1,\"x,y\",null,\"\",[1,2],\"qw==\"]");
  text.clear();
  writer.CsvHeader(text);
  writer.CsvRow(0, text);
  EXPECT_EQ(text, "a,\"b,c\",d,e,f,g\n1,\"x,y\",,\"\",\"[1,2]\",\\xab\n");
}

TEST(RowWriter, TakesDictionaryAndConstantVectors) {
  Table table = Edges();
  duckdb::DataChunk& flat = *table.chunks[0];
  RowWriter writer(table.names);
  writer.Bind(flat);
  std::string expected;
  writer.JsonObject(1, expected);
  duckdb::SelectionVector selection(2);
  selection.set_index(0, 2);
  selection.set_index(1, 1);
  duckdb::DataChunk sliced;
  sliced.InitializeEmpty(table.types);
  sliced.Reference(flat);
  sliced.Slice(selection, 2);
  writer.Bind(sliced);
  std::string text;
  writer.JsonObject(1, text);
  EXPECT_EQ(text, expected);
  duckdb::DataChunk constant;
  constant.InitializeEmpty(table.types);
  for (size_t c = 0; c < table.types.size(); ++c) {
    constant.data[c].Reference(flat.GetValue(c, 1));
  }
  constant.SetCardinality(3);
  writer.Bind(constant);
  text.clear();
  writer.JsonObject(2, text);
  EXPECT_EQ(text, expected);
}

TEST(ParseValue, TakesTextAsCastDoesAndSaysWhatItIsNot) {
  EXPECT_EQ(ParseValue("17850.0", LogicalType::BIGINT)->ToString(), "17850");
  EXPECT_EQ(ParseValue("2020-01-01T00:00:00+02", LogicalType::TIMESTAMP)->ToString(),
            "2019-12-31 22:00:00");
  EXPECT_EQ(ParseValue("", LogicalType::VARCHAR)->ToString(), "");
  EXPECT_EQ(ParseValue("[1,2]", LogicalType::LIST(LogicalType::BIGINT))->ToString(), "[1, 2]");
  EXPECT_EQ(ParseValue("\\xABcd", LogicalType::BLOB)->ToString(), "\\xAB\\xCD");
  EXPECT_EQ(ParseValue("a\\x00", LogicalType::BLOB)->ToString(), "a\\x00");
  EXPECT_EQ(ParseValue("abc", LogicalType::BIGINT).error().message(), "\"abc\" is not a BIGINT");
  EXPECT_EQ(ParseValue("300", LogicalType::TINYINT).error().message(),
            "300 is out of range for TINYINT");
  EXPECT_EQ(ParseValue("{", LogicalType::JSON()).error().message(), "\"{\" is not a JSON");
  EXPECT_FALSE(ParseValue("\xff", LogicalType::VARCHAR).ok());
}

}  // namespace
}  // namespace millrace::rows::encode_test
