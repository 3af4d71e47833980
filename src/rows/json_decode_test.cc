#include <cmath>

#include "rows/decode.h"
#include "rows/testing.h"

namespace millrace::rows::json_decode_test {
namespace {

using duckdb::LogicalType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Outcome {
  std::vector<std::string> values;  // of the only column
  std::vector<RowError> errors;
};

Schema OneColumn(const LogicalType& type, bool not_null = false) {
  Schema schema;
  schema.columns.push_back({"c", type, not_null, std::nullopt, 1});
  return schema;
}

// Decodes {"c": <each of values>}.
Outcome DecodeAs(const LogicalType& type, const std::vector<std::string>& values) {
  std::vector<std::string> rows;
  for (const auto& value : values) rows.push_back("{\"c\":" + value + "}");
  const std::vector<std::string_view> views(rows.begin(), rows.end());
  JsonDecoder decoder(OneColumn(type), {0});
  Decoded decoded = decoder.Decode(views);
  Outcome outcome;
  outcome.errors = decoded.errors;
  for (auto& chunk : decoded.chunks) {
    for (size_t r = 0; r < chunk->size(); ++r) {
      outcome.values.push_back(chunk->GetValue(0, r).ToString());
    }
  }
  return outcome;
}

std::vector<std::string> Good(const LogicalType& type, const std::vector<std::string>& values) {
  Outcome outcome = DecodeAs(type, values);
  for (const auto& error : outcome.errors) ADD_FAILURE() << error.row << ": " << error.message;
  return outcome.values;
}

// Every value must be refused, with this kind.
void Bad(const LogicalType& type, const std::string& kind, const std::vector<std::string>& values) {
  Outcome outcome = DecodeAs(type, values);
  EXPECT_THAT(outcome.values, IsEmpty()) << type.ToString();
  ASSERT_EQ(outcome.errors.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(outcome.errors[i].row, i);
    EXPECT_EQ(outcome.errors[i].kind, kind) << values[i];
  }
}

TEST(JsonDecoder, TakesIntegersFromTheirTextAndNeverThroughADouble) {
  EXPECT_THAT(
      Good(LogicalType::BIGINT, {"9223372036854775807", "-9223372036854775808", "9007199254740993",
                                 "1e3", "17850.0", "1.5e1", "-0", "100e-2", "0.0e5"}),
      ElementsAre("9223372036854775807", "-9223372036854775808", "9007199254740993", "1000",
                  "17850", "15", "0", "1", "0"));
  EXPECT_THAT(Good(LogicalType::UBIGINT, {"18446744073709551615"}),
              ElementsAre("18446744073709551615"));
  EXPECT_THAT(Good(LogicalType::HUGEINT, {"-170141183460469231731687303715884105728",
                                          "170141183460469231731687303715884105727"}),
              ElementsAre("-170141183460469231731687303715884105728",
                          "170141183460469231731687303715884105727"));
  EXPECT_THAT(Good(LogicalType::UHUGEINT, {"340282366920938463463374607431768211455"}),
              ElementsAre("340282366920938463463374607431768211455"));
}

TEST(JsonDecoder, RefusesIntegersOutOfRangeAndFractions) {
  Bad(LogicalType::BIGINT, "range",
      {"9223372036854775808", "-9223372036854775809", "1e19", "1e999999999999"});
  Bad(LogicalType::TINYINT, "range", {"128", "-129"});
  Bad(LogicalType::UINTEGER, "range", {"-1", "4294967296"});
  Bad(LogicalType::HUGEINT, "range", {"170141183460469231731687303715884105728", "1e39"});
  Bad(LogicalType::UHUGEINT, "range", {"340282366920938463463374607431768211456", "-1"});
  Bad(LogicalType::BIGINT, "type", {"1.5", "1e-1", "true", "\"abc\"", "[1]", "{}", "\"\""});
  Bad(LogicalType::BIGINT, "syntax", {"01", "+1", ".5", "1.", "nul", "1x", "tru"});
}

TEST(JsonDecoder, TakesTextAsCastDoes) {
  EXPECT_THAT(
      Good(LogicalType::BIGINT, {"\"17850.0\"", "\" 12 \"", "\"1e3\"", "\"9223372036854775807\""}),
      ElementsAre("17850", "12", "1000", "9223372036854775807"));
  Bad(LogicalType::BIGINT, "range", {"\"9223372036854775808\""});
  EXPECT_THAT(Good(LogicalType::BOOLEAN, {"true", "\"t\"", "\"no\"", "1", "0"}),
              ElementsAre("true", "true", "false", "true", "false"));
}

TEST(JsonDecoder, TakesDecimalsExactly) {
  EXPECT_THAT(Good(LogicalType::DECIMAL(10, 2),
                   {"0.1", "1.005", "-1.005", "12345678.99", "1e3", "\"1.10\"", "0.004"}),
              ElementsAre("0.10", "1.01", "-1.01", "12345678.99", "1000.00", "1.10", "0.00"));
  EXPECT_THAT(Good(LogicalType::DECIMAL(38, 0), {"99999999999999999999999999999999999999"}),
              ElementsAre("99999999999999999999999999999999999999"));
  EXPECT_THAT(Good(LogicalType::DECIMAL(38, 38), {"-0.99999999999999999999999999999999999999"}),
              ElementsAre("-.99999999999999999999999999999999999999"));
  EXPECT_THAT(Good(LogicalType::DECIMAL(4, 1), {"999.9", "999.94"}), ElementsAre("999.9", "999.9"));
  Bad(LogicalType::DECIMAL(10, 2), "range", {"123456789", "99999999.995", "1e30", "\"123456789\""});
  Bad(LogicalType::DECIMAL(10, 2), "type", {"\"abc\"", "true"});
}

TEST(JsonDecoder, TakesFloats) {
  EXPECT_THAT(Good(LogicalType::DOUBLE, {"0.1", "1e308", "-0.0", "1e-400", "\"NaN\"",
                                         "\"Infinity\"", "\"-Infinity\"", "5e-324"}),
              ElementsAre("0.1", "1e+308", "-0.0", "0.0", "nan", "inf", "-inf", "5e-324"));
  EXPECT_THAT(Good(LogicalType::FLOAT, {"16777217", "0.1"}), ElementsAre("16777216.0", "0.1"));
  Bad(LogicalType::DOUBLE, "range", {"1e400", "-1e309"});
  Bad(LogicalType::FLOAT, "range", {"1e39"});
}

TEST(JsonDecoder, TakesTimesAndTurnsOffsetsIntoUtc) {
  EXPECT_THAT(
      Good(LogicalType::TIMESTAMP,
           {"\"2020-01-01 00:00:00+02\"", "\"2020-01-01T00:00:00Z\"", "\"2020-01-01 10:00:00\"",
            "\"2020-01-01T10:00:00.123456-05:30\"", "\"2020-01-01\""}),
      ElementsAre("2019-12-31 22:00:00", "2020-01-01 00:00:00", "2020-01-01 10:00:00",
                  "2020-01-01 15:30:00.123456", "2020-01-01 00:00:00"));
  EXPECT_THAT(Good(LogicalType::TIMESTAMP_TZ, {"\"2020-01-01 00:00:00+02\""}),
              ElementsAre("2019-12-31 22:00:00+00"));
  EXPECT_THAT(Good(LogicalType::TIMESTAMP_S, {"\"2020-01-01 00:00:01+01\""}),
              ElementsAre("2019-12-31 23:00:01"));
  EXPECT_THAT(Good(LogicalType::TIMESTAMP_MS, {"\"2020-01-01 00:00:01.123\""}),
              ElementsAre("2020-01-01 00:00:01.123"));
  EXPECT_THAT(Good(LogicalType::TIMESTAMP_NS, {"\"2020-01-01 00:00:01.123456789+01\""}),
              ElementsAre("2019-12-31 23:00:01.123456789"));
  EXPECT_THAT(Good(LogicalType::DATE, {"\"2020-02-29\""}), ElementsAre("2020-02-29"));
  EXPECT_THAT(Good(LogicalType::TIME, {"\"23:59:59.999999\""}), ElementsAre("23:59:59.999999"));
  Bad(LogicalType::TIMESTAMP, "type", {"1577836800", "\"yesterday\"", "\"2020-13-01\""});
  Bad(LogicalType::DATE, "type", {"\"2021-02-29\""});
}

TEST(JsonDecoder, TakesIntervalsInBothNotations) {
  EXPECT_THAT(Good(LogicalType::INTERVAL, {"\"P1Y2M3DT4H5M6.5S\"", "\"1 year 2 days\"", "\"PT-1S\"",
                                           "\"P2W\"", "\"PT0S\""}),
              ElementsAre("1 year 2 months 3 days 04:05:06.5", "1 year 2 days", "-00:00:01",
                          "14 days", "00:00:00"));
  Bad(LogicalType::INTERVAL, "type",
      {"\"P\"", "\"P1H\"", "\"PT\"", "\"P1D1\"", "\"P99999999999Y\"", "\"PT1.5H\""});
}

TEST(JsonDecoder, TakesTheOtherTypes) {
  EXPECT_THAT(Good(LogicalType::VARCHAR, {"\"a\"", "\"\"", "\"h\\u00e9\\n\\ud83d\\ude00\"", "12.50",
                                          "true", "{ \"a\" : [1] }", "null"}),
              ElementsAre("a", "", "hé\n😀", "12.50", "true", "{ \"a\" : [1] }", "NULL"));
  EXPECT_THAT(Good(LogicalType::BLOB, {"\"AAH/\"", "\"\"", "\"YQ==\"", "\"YQ\""}),
              ElementsAre("\\x00\\x01\\xFF", "", "a", "a"));
  Bad(LogicalType::BLOB, "type", {"\"A\"", "\"A!==\"", "\"YQ=\"", "1"});
  EXPECT_THAT(Good(LogicalType::UUID, {"\"12345678-1234-1234-1234-123456789abc\""}),
              ElementsAre("12345678-1234-1234-1234-123456789abc"));
  Bad(LogicalType::UUID, "type", {"\"1234\""});
  EXPECT_THAT(Good(LogicalType::JSON(), {"{\"a\" : 1}", "\"s\"", "1.50", "null", "[ ]"}),
              ElementsAre("{\"a\" : 1}", "\"s\"", "1.50", "NULL", "[ ]"));
  EXPECT_THAT(Good(LogicalType::BIT, {"\"0101\""}), ElementsAre("0101"));
}

TEST(JsonDecoder, TakesNestedTypes) {
  const auto list = LogicalType::LIST(LogicalType::INTEGER);
  EXPECT_THAT(Good(list, {"[1,null,3]", "[]", "null", "\"[4, 5]\""}),
              ElementsAre("[1, NULL, 3]", "[]", "NULL", "[4, 5]"));
  Bad(list, "type", {"[1,\"x\"]", "{}", "1", "\"x\""});
  Bad(list, "syntax", {"[1,,2]", "[1 2]"});
  const auto record = LogicalType::STRUCT(
      {{"a", LogicalType::INTEGER}, {"b", LogicalType::LIST(LogicalType::VARCHAR)}});
  EXPECT_THAT(
      Good(record,
           {"{\"A\":1,\"b\":[\"x\",null]}", "{\"other\":{\"z\":[1]}}", "{\"a\":1,\"a\":2}"}),
      ElementsAre("{'a': 1, 'b': [x, NULL]}", "{'a': NULL, 'b': NULL}", "{'a': 2, 'b': NULL}"));
  const auto map = LogicalType::MAP(LogicalType::VARCHAR, LogicalType::INTEGER);
  EXPECT_THAT(Good(map, {"{\"x\":1,\"y\":null}", "{\"x\":1,\"x\":2}", "{}"}),
              ElementsAre("{x=1, y=NULL}", "{x=2}", "{}"));
  const auto numbers = LogicalType::MAP(LogicalType::INTEGER, LogicalType::INTEGER);
  EXPECT_THAT(Good(numbers, {"[{\"key\":1,\"value\":2}]", "{\"7\":8}"}),
              ElementsAre("{1=2}", "{7=8}"));
  Bad(numbers, "type",
      {"[{\"key\":1},{\"key\":1}]", "[{\"value\":1}]", "[{\"key\":null}]", "{\"x\":1}",
       "{\"1\":1,\"1.0\":2}"});
  EXPECT_THAT(Good(LogicalType::ARRAY(LogicalType::INTEGER, 2), {"[1,2]", "null", "[3,null]"}),
              ElementsAre("[1, 2]", "NULL", "[3, NULL]"));
  Bad(LogicalType::ARRAY(LogicalType::INTEGER, 2), "type", {"[1]", "[1,2,3]"});
  EXPECT_THAT(Good(LogicalType::LIST(list), {"[[1],[],null,[2,3]]"}),
              ElementsAre("[[1], [], NULL, [2, 3]]"));
}

Schema Orders() {
  Schema schema;
  schema.columns.push_back({"id", LogicalType::BIGINT, true, std::nullopt, 1});
  schema.columns.push_back({"price", LogicalType::DECIMAL(10, 2), false,
                            duckdb::Value("1.50").DefaultCastAs(LogicalType::DECIMAL(10, 2)), 2});
  schema.columns.push_back({"note", LogicalType::VARCHAR, false, std::nullopt, 3});
  return schema;
}

TEST(JsonDecoder, FillsMissingFieldsAndKeepsExplicitNulls) {
  JsonDecoder decoder(Orders(), {0, 1, 2});
  const std::vector<std::string_view> rows = {R"({"id":1})", R"({"id":2,"price":null,"note":"n"})",
                                              R"({"price":3})", R"({"id":null})",
                                              R"({"ID":4,"PRICE":"2.5"})"};
  Decoded decoded = decoder.Decode(rows);
  ASSERT_EQ(decoded.chunks.size(), 1u);
  EXPECT_THAT(decoded.inputs, ElementsAre(0, 1, 4));
  auto& chunk = *decoded.chunks[0];
  EXPECT_EQ(chunk.GetValue(1, 0).ToString(), "1.50");
  EXPECT_TRUE(chunk.GetValue(1, 1).IsNull());
  EXPECT_TRUE(chunk.GetValue(2, 0).IsNull());
  EXPECT_EQ(chunk.GetValue(1, 2).ToString(), "2.50");
  ASSERT_EQ(decoded.errors.size(), 2u);
  EXPECT_EQ(decoded.errors[0].message, "column \"id\" is missing, and it is NOT NULL");
  EXPECT_EQ(decoded.errors[1].message, "column \"id\": NULL in a NOT NULL column");
  EXPECT_EQ(decoded.errors[1].kind, "not_null");
}

TEST(JsonDecoder, NamesRowColumnAndValueInItsErrors) {
  JsonDecoder decoder(Orders(), {0, 1, 2});
  const std::vector<std::string_view> rows = {R"({"id":1,"price":"abc"})",
                                              R"({"id":99999999999999999999})"};
  const Decoded decoded = decoder.Decode(rows);
  ASSERT_EQ(decoded.errors.size(), 2u);
  EXPECT_EQ(decoded.errors[0].column, "price");
  EXPECT_EQ(decoded.errors[0].message, R"(column "price": "abc" is not a DECIMAL(10,2))");
  EXPECT_EQ(decoded.errors[1].message,
            R"(column "id": 99999999999999999999 is out of range for BIGINT)");
  EXPECT_TRUE(decoded.chunks.empty());
}

TEST(JsonDecoder, CountsUnknownFieldsAndTakesTheLastOfRepeatedOnes) {
  JsonDecoder decoder(Orders(), {0, 1, 2});
  const std::vector<std::string_view> rows = {R"({"id":1,"colour":"red","id":2,"x":{"y":[1,2]}})",
                                              R"({"id":"bad","id":3})", R"({"id":3,"id":"bad"})"};
  const Decoded decoded = decoder.Decode(rows);
  EXPECT_EQ(decoded.unknown_fields, 2u);
  EXPECT_EQ(decoded.first_unknown_field, "colour");
  EXPECT_THAT(decoded.inputs, ElementsAre(0, 1));
  EXPECT_EQ(decoded.chunks[0]->GetValue(0, 0).ToString(), "2");
  EXPECT_EQ(decoded.chunks[0]->GetValue(0, 1).ToString(), "3");
}

TEST(JsonDecoder, OneBrokenRowHarmsNoOther) {
  JsonDecoder decoder(Orders(), {0, 1, 2});
  const std::vector<std::string_view> rows = {R"({"id":1})",
                                              R"({"id":2)",
                                              R"({"id":3}})",
                                              std::string_view(),
                                              "[1]",
                                              R"({"id":4} {})",
                                              "{\"id\":5,\"note\":\"\xff\"}",
                                              R"({"id":6,"note":"\q"})",
                                              R"({"id":7,"zz":tru})",
                                              R"({"id" 8})",
                                              "{\"id\":9,\"note\":\"a\nb\"}",
                                              R"({"id":10,"note":"unclosed})",
                                              R"( {"id":11} )"};
  const Decoded decoded = decoder.Decode(rows);
  EXPECT_THAT(decoded.inputs, ElementsAre(0, 12));
  ASSERT_EQ(decoded.errors.size(), 11u);
  for (size_t i = 0; i < 11; ++i) {
    EXPECT_EQ(decoded.errors[i].row, i + 1);
    EXPECT_EQ(decoded.errors[i].kind, i == 5 ? "encoding" : "syntax") << decoded.errors[i].message;
  }
  EXPECT_THAT(decoded.errors[3].message, HasSubstr("not a JSON object: [1]"));
}

TEST(JsonDecoder, DecodesOnlyWantedColumns) {
  JsonDecoder decoder(Orders(), {1});
  const std::vector<std::string_view> rows = {R"({"id":"not checked","price":2,"colour":1})",
                                              R"({"price":3})"};
  const Decoded decoded = decoder.Decode(rows);
  EXPECT_TRUE(decoded.errors.empty());
  ASSERT_EQ(decoded.chunks[0]->ColumnCount(), 1u);
  EXPECT_EQ(decoded.chunks[0]->GetValue(0, 1).ToString(), "3.00");
  EXPECT_EQ(decoded.unknown_fields, 1u);
}

TEST(JsonDecoder, NoticesWhenTheFieldsChangeTheirOrder) {
  JsonDecoder decoder(Orders(), {0, 1, 2});
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; ++i) {
    const std::string id = std::to_string(i);
    texts.push_back(i % 3 == 0 ? "{\"id\":" + id + ",\"note\":\"n" + id + "\"}"
                               : "{\"note\":\"n" + id + "\",\"i\\u0064\":" + id + ",\"noted\":1}");
  }
  const std::vector<std::string_view> rows(texts.begin(), texts.end());
  const Decoded decoded = decoder.Decode(rows);
  ASSERT_TRUE(decoded.errors.empty());
  ASSERT_EQ(decoded.chunks.size(), 3u);
  int i = 0;
  for (const auto& chunk : decoded.chunks) {
    for (size_t r = 0; r < chunk->size(); ++r, ++i) {
      ASSERT_EQ(chunk->GetValue(0, r).ToString(), std::to_string(i));
      ASSERT_EQ(chunk->GetValue(2, r).ToString(), "n" + std::to_string(i));
    }
  }
}

TEST(JsonDecoder, RefusesWhatIsNestedTooDeeplyWithoutHarm) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  Bad(LogicalType::VARCHAR, "syntax", {deep});
  JsonDecoder decoder(OneColumn(LogicalType::BIGINT), {0});
  const std::string row = "{\"unknown\":" + deep + "}";
  const std::vector<std::string_view> rows = {row};
  EXPECT_EQ(decoder.Decode(rows).errors.size(), 1u);
}

}  // namespace
}  // namespace millrace::rows::json_decode_test
