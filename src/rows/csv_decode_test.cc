#include "rows/csv_decode.h"

#include "rows/testing.h"

namespace millrace::rows::csv_decode_test {
namespace {

using duckdb::LogicalType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Schema Sales() {
  Schema schema;
  schema.columns.push_back({"id", LogicalType::BIGINT, true, std::nullopt, 1});
  schema.columns.push_back({"name", LogicalType::VARCHAR, false, std::nullopt, 2});
  schema.columns.push_back({"price", LogicalType::DECIMAL(10, 2), false, std::nullopt, 3});
  return schema;
}

struct Split {
  std::vector<std::string> objects;
  std::vector<uint64_t> records;
  std::vector<RowError> errors;
};

Result<Split> ToJson(const Schema& schema, std::string_view csv, size_t piece_bytes,
                     CsvOptions options = {}) {
  CsvToJson converter(schema, options);
  Split split;
  const auto add = [&](const CsvToJson::Rows& rows) {
    for (const auto value : rows.values()) split.objects.emplace_back(value);
    split.records.insert(split.records.end(), rows.records.begin(), rows.records.end());
    split.errors.insert(split.errors.end(), rows.errors.begin(), rows.errors.end());
  };
  for (size_t i = 0; i < csv.size(); i += piece_bytes) {
    TRY(const auto rows, converter.Feed(std::string(csv.substr(i, piece_bytes))));
    add(rows);
  }
  TRY(const auto rows, converter.Finish());
  add(rows);
  return split;
}

// The same for pieces of every size.
Split Converted(const Schema& schema, std::string_view csv, CsvOptions options = {}) {
  Split whole;
  for (const size_t piece : {csv.size() + 1, size_t{1}, size_t{2}, size_t{5}, size_t{11}}) {
    auto split = ToJson(schema, csv, piece, options);
    EXPECT_TRUE(split.ok()) << split.error().ToString();
    if (!split.ok()) return {};
    if (piece == csv.size() + 1) whole = *split;
    EXPECT_EQ(split->objects, whole.objects) << piece;
    EXPECT_EQ(split->records, whole.records) << piece;
    EXPECT_EQ(split->errors.size(), whole.errors.size()) << piece;
  }
  return whole;
}

TEST(CsvToJson, MakesObjectsThatAreTypedByTheSchema) {
  const Split split =
      Converted(Sales(), "price,id,name,colour\n1.50,7,Ann,red\n\"2\",8,\"a \"\"b\"\", c\",\n");
  EXPECT_THAT(split.objects,
              ElementsAre("{\"price\":1.50,\"id\":7,\"name\":\"Ann\",\"colour\":\"red\"}",
                          "{\"price\":2,\"id\":8,\"name\":\"a \\\"b\\\", c\",\"colour\":null}"));
}

TEST(CsvToJson, TellsAnEmptyFieldFromAQuotedEmptyOne) {
  const Split split = Converted(Sales(), "id,name,price\n1,,\n2,\"\",3\n");
  EXPECT_THAT(split.objects, ElementsAre("{\"id\":1,\"name\":null,\"price\":null}",
                                         "{\"id\":2,\"name\":\"\",\"price\":3}"));
}

TEST(CsvToJson, TakesLineBreaksInQuotesBothLineEndsAndAByteOrderMark) {
  const Split split =
      Converted(Sales(), "\xef\xbb\xbfid,name,price\r\n1,\"two\r\nlines\",\r\n\r\n2,x,5\n3,y,6");
  EXPECT_THAT(split.objects, ElementsAre("{\"id\":1,\"name\":\"two\\r\\nlines\",\"price\":null}",
                                         "{\"id\":2,\"name\":\"x\",\"price\":5}",
                                         "{\"id\":3,\"name\":\"y\",\"price\":6}"));
  EXPECT_THAT(split.records, ElementsAre(0, 1, 2));
}

TEST(CsvToJson, ReportsWrongRecordsAndGoesOn) {
  const Split split =
      Converted(Sales(), "id,name,price\n1,a\n2,b,3,4\n3,\"c\"d,5\n4,\xff,6\n5,e,7\n");
  EXPECT_THAT(split.objects, ElementsAre("{\"id\":5,\"name\":\"e\",\"price\":7}"));
  EXPECT_THAT(split.records, ElementsAre(4));
  ASSERT_EQ(split.errors.size(), 4u);
  EXPECT_EQ(split.errors[0].message, "line 2: 2 fields, but the header has 3");
  EXPECT_EQ(split.errors[1].message, "line 3: 4 fields, but the header has 3");
  EXPECT_EQ(split.errors[2].message, "line 4: text stands behind a closing quote");
  EXPECT_EQ(split.errors[3].message, "line 5: not valid UTF-8");
  EXPECT_EQ(split.errors[3].kind, "encoding");
  EXPECT_EQ(split.errors[3].row, 3u);
}

TEST(CsvToJson, LeavesToCastWhatIsNoPlainNumber) {
  const Split split = Converted(Sales(), "id,price\n17850.0,1e3\n 5 ,x\n");
  EXPECT_THAT(split.objects, ElementsAre("{\"id\":\"17850.0\",\"price\":\"1e3\"}",
                                         "{\"id\":\" 5 \",\"price\":\"x\"}"));
}

TEST(CsvToJson, EmbedsJsonAndRefusesWhatIsNone) {
  Schema schema;
  schema.columns.push_back({"j", LogicalType::JSON(), false, std::nullopt, 1});
  schema.columns.push_back({"l", LogicalType::LIST(LogicalType::INTEGER), false, std::nullopt, 2});
  schema.columns.push_back({"b", LogicalType::BLOB, false, std::nullopt, 3});
  const Split split =
      Converted(schema, "j,l,b\n\"{\"\"a\"\":\n1}\",\"[1,2]\",\\xab\nabc,,\n1,[x,\\xzz\n");
  EXPECT_THAT(split.objects, ElementsAre("{\"j\":{\"a\": 1},\"l\":[1,2],\"b\":\"qw==\"}"));
  ASSERT_EQ(split.errors.size(), 2u);
  EXPECT_EQ(split.errors[0].message, "column \"j\": \"abc\" is not a JSON");
  EXPECT_EQ(split.errors[1].column, "b");  // the list is left to CAST, but bytes are read here
}

TEST(CsvToJson, RefusesABrokenHeaderAnOpenQuoteAndAnEmptyFile) {
  const auto failure = [](std::string_view csv, CsvOptions options = {}) {
    const auto split = ToJson(Sales(), csv, 3, options);
    EXPECT_FALSE(split.ok()) << csv;
    return split.ok() ? "" : split.error().message();
  };
  EXPECT_EQ(failure("id,ID\n1,2\n"), "CSV header: column \"ID\" stands twice");
  EXPECT_EQ(failure("id,,x\n"), "CSV header: column 2 has no name");
  EXPECT_EQ(failure(""), "CSV without a header");
  EXPECT_EQ(failure("id,name\n1,\"x\n\n"), "CSV record at line 2: a quoted field is not closed");
  CsvOptions small;
  small.row_bytes_max = 100;
  EXPECT_EQ(failure("id,name\n1," + std::string(200, 'x'), small),
            "CSV record at line 2: larger than 100 bytes");
}

TEST(CsvToJson, TakesOtherDelimiters) {
  CsvOptions options;
  options.delimiter = ';';
  const Split split = Converted(Sales(), "id;name\n1;a,b\n", options);
  EXPECT_THAT(split.objects, ElementsAre("{\"id\":1,\"name\":\"a,b\"}"));
}

TEST(CsvToJson, TakesABlankLineAsNullWhereThereIsOnlyOneColumn) {
  const Split split = Converted(Sales(), "name\na\n\n\"\"\n");
  EXPECT_THAT(split.objects, ElementsAre("{\"name\":\"a\"}", "{\"name\":null}", "{\"name\":\"\"}"));
}

TEST(CsvDecoder, GivesTypedRowsAndNamesTheRecordsOfItsErrors) {
  CsvDecoder decoder(Sales());
  auto decoded = decoder.Feed("id,name,price\n1,a,1.005\nx,b,2\n3,c\n,d,4\n5,e,");
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  EXPECT_THAT(decoded->inputs, ElementsAre(0));
  EXPECT_EQ(decoded->chunks[0]->GetValue(2, 0).ToString(), "1.01");
  ASSERT_EQ(decoded->errors.size(), 3u);
  EXPECT_EQ(decoded->errors[0].row, 1u);
  EXPECT_EQ(decoded->errors[0].message, "column \"id\": \"x\" is not a BIGINT");
  EXPECT_EQ(decoded->errors[1].row, 2u);
  EXPECT_EQ(decoded->errors[2].row, 3u);
  EXPECT_EQ(decoded->errors[2].kind, "not_null");
  auto last = decoder.Finish();
  ASSERT_TRUE(last.ok());
  EXPECT_THAT(last->inputs, ElementsAre(4));
  EXPECT_TRUE(last->chunks[0]->GetValue(2, 0).IsNull());
}

}  // namespace
}  // namespace millrace::rows::csv_decode_test
