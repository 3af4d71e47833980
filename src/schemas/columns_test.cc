#include "schemas/columns.h"

#include <gtest/gtest.h>

#include "duckdb/common/extra_type_info.hpp"
#include "schemas/json_text.h"
#include "schemas/rows_fit.h"

namespace millrace::schemas::columns_test {
namespace {

using duckdb::LogicalType;

rows::Column Column(std::string name, LogicalType type, bool not_null = false) {
  rows::Column column;
  column.name = std::move(name);
  column.type = std::move(type);
  column.not_null = not_null;
  return column;
}

rows::Schema Columns(std::vector<rows::Column> columns) {
  rows::Schema schema{std::move(columns)};
  for (size_t i = 0; i < schema.columns.size(); ++i) schema.columns[i].id = static_cast<int>(i) + 1;
  return schema;
}

rows::Schema EveryType() {
  const LogicalType point = LogicalType::STRUCT({{"x", LogicalType::INTEGER}});
  duckdb::Vector moods(LogicalType::VARCHAR, 2);
  duckdb::FlatVector::GetData<duckdb::string_t>(moods)[0] = "sad";
  duckdb::FlatVector::GetData<duckdb::string_t>(moods)[1] = "ok";
  const std::vector<LogicalType> types = {
      LogicalType::BOOLEAN,
      LogicalType::TINYINT,
      LogicalType::SMALLINT,
      LogicalType::INTEGER,
      LogicalType::BIGINT,
      LogicalType::HUGEINT,
      LogicalType::UTINYINT,
      LogicalType::USMALLINT,
      LogicalType::UINTEGER,
      LogicalType::UBIGINT,
      LogicalType::UHUGEINT,
      LogicalType::FLOAT,
      LogicalType::DOUBLE,
      LogicalType::DECIMAL(10, 2),
      LogicalType::VARCHAR,
      LogicalType::BLOB,
      LogicalType::UUID,
      LogicalType::DATE,
      LogicalType::TIME,
      LogicalType::TIMESTAMP,
      LogicalType::TIMESTAMP_TZ,
      LogicalType::INTERVAL,
      LogicalType::JSON(),
      LogicalType::ENUM(moods, 2),
      LogicalType::LIST(LogicalType::INTEGER),
      LogicalType::LIST(LogicalType::LIST(LogicalType::INTEGER)),
      LogicalType::LIST(point),
      LogicalType::ARRAY(LogicalType::DOUBLE, 3),
      point,
      LogicalType::MAP(LogicalType::VARCHAR, LogicalType::BIGINT),
      LogicalType::MAP(LogicalType::DOUBLE, point)};
  std::vector<rows::Column> columns;
  for (const LogicalType& type : types)
    columns.push_back(Column(fmt::format("c{}", columns.size()), type, columns.size() % 2 == 0));
  return Columns(std::move(columns));
}

TEST(ColumnsAsSchema, ItsValuesAreRowsWhateverTheType) {
  const rows::Schema columns = EveryType();
  for (const SchemaType type : {SchemaType::kJson, SchemaType::kAvro, SchemaType::kProtobuf}) {
    const GivenSchema given = SchemaOfColumns(type, "s", columns);
    EXPECT_EQ(given.type, type) << given.text;
    const auto schema = Schema::Parse(given.type, given.text, {});
    ASSERT_TRUE(schema.ok()) << given.text << "\n" << schema.error().ToString();
    EXPECT_EQ(RowProblems(**schema, columns), std::vector<std::string>()) << given.text;
  }
}

TEST(ColumnsAsSchema, SaysWhatMayBeMissing) {
  rows::Schema columns =
      Columns({Column("id", LogicalType::BIGINT, true), Column("note", LogicalType::VARCHAR),
               Column("n", LogicalType::INTEGER, true)});
  columns.columns[2].default_value = duckdb::Value::INTEGER(7);
  columns.columns[1].aliases = {"remark"};
  EXPECT_EQ(ColumnsAsJson("shop.s", columns),
            R"({"$schema":"http://json-schema.org/draft-07/schema#","title":"shop.s",)"
            R"("type":"object","properties":{"id":{"type":"integer","description":"BIGINT"},)"
            R"("note":{"type":["string","null"],"description":"VARCHAR"},)"
            R"("n":{"type":"integer","minimum":-2147483648,"maximum":2147483647,)"
            R"("description":"INTEGER","default":7}},"required":["id"]})");
  EXPECT_EQ(*ColumnsAsAvro("shop.s", columns),
            R"({"type":"record","name":"shop_s","fields":[{"name":"id","type":"long"},)"
            R"({"name":"note","type":["null","string"],"default":null,"aliases":["remark"]},)"
            R"({"name":"n","type":"int","default":7}]})");
  EXPECT_EQ(*ColumnsAsProtobuf("shop.s", columns),
            "syntax = \"proto3\";\nmessage shop_s {\n  int64 id = 1;\n  optional string note = 2;\n"
            "  optional int32 n = 3;\n}\n");
}

TEST(ColumnsAsSchema, NamesThatAnotherLanguageLacksMakeItJson) {
  const rows::Schema columns = Columns({Column("unit price", LogicalType::DOUBLE)});
  EXPECT_EQ(ColumnsAsAvro("s", columns), std::nullopt);
  EXPECT_EQ(SchemaOfColumns(SchemaType::kAvro, "s", columns).type, SchemaType::kJson);
  EXPECT_EQ(SchemaOfColumns(SchemaType::kProtobuf, "s", columns).type, SchemaType::kJson);
  // Protobuf's names of fields must differ as JSON's do.
  const rows::Schema alike =
      Columns({Column("a_b", LogicalType::DOUBLE), Column("aB", LogicalType::DOUBLE)});
  EXPECT_EQ(SchemaOfColumns(SchemaType::kProtobuf, "s", alike).type, SchemaType::kJson);
  EXPECT_EQ(SchemaOfColumns(SchemaType::kAvro, "s", alike).type, SchemaType::kAvro);
}

class RowsFit : public ::testing::Test {
 protected:
  std::string Problem(SchemaType type, std::string_view text) const {
    const auto schema = Schema::Parse(type, text, {});
    EXPECT_TRUE(schema.ok()) << schema.error().ToString();
    return fmt::format("{}", fmt::join(RowProblems(**schema, columns_), " | "));
  }
  std::string Avro(std::string_view fields) const {
    return Problem(SchemaType::kAvro,
                   fmt::format(R"({{"type": "record", "name": "R", "fields": [{}]}})", fields));
  }
  std::string Json(std::string_view schema) const { return Problem(SchemaType::kJson, schema); }
  std::string Protobuf(std::string_view messages) const {
    return Problem(SchemaType::kProtobuf, fmt::format("syntax = \"proto3\"; {}", messages));
  }

  rows::Schema columns_ =
      Columns({Column("id", LogicalType::BIGINT, true), Column("at", LogicalType::TIMESTAMP),
               Column("tags", LogicalType::LIST(LogicalType::VARCHAR)),
               Column("spot", LogicalType::ARRAY(LogicalType::DOUBLE, 2))});
};

TEST_F(RowsFit, AColumnThatMustBeThereHasAField) {
  const char* const missing =
      "column \"id\" is NOT NULL without a DEFAULT, and the schema has no field for it; add the "
      "field, or give the column a DEFAULT or DROP NOT NULL with ALTER STREAM";
  EXPECT_EQ(Avro(R"({"name": "at", "type": "string"})"), missing);
  EXPECT_EQ(Protobuf("message A { string at = 1; }"), missing);
  EXPECT_EQ(Json(R"({"type": "object", "additionalProperties": false})"), missing);
  EXPECT_EQ(Json(R"({"type": "object"})"), "") << "it may be there";
  EXPECT_EQ(Avro(R"({"name": "ID", "type": "long"})"), "");
  EXPECT_EQ(Protobuf("message Other { } message A { message B { int32 id = 1; } }"), "");
  columns_.columns[0].aliases = {"number"};
  EXPECT_EQ(Avro(R"({"name": "number", "type": "long"})"), "");
  columns_.columns[0].default_value = duckdb::Value::BIGINT(0);
  EXPECT_EQ(Avro(""), "");
}

TEST_F(RowsFit, AFieldCanBeItsColumn) {
  EXPECT_EQ(Avro(R"({"name": "id", "type": "boolean"})"),
            "column \"id\" is BIGINT NOT NULL, which the field \"id\" can never be: it is a "
            "boolean; give the field the column's type, or a text");
  EXPECT_NE(Avro(R"({"name": "id", "type": "null"})"), "");
  for (const char* type :
       {"\"long\"", "\"string\"", "\"double\"", R"(["null", "int"])", R"(["boolean", "string"])"})
    EXPECT_EQ(Avro(fmt::format(R"({{"name": "id", "type": {}}})", type)), "") << type;
  const std::string id = R"({"name": "id", "type": "long"}, )";
  EXPECT_NE(Avro(id + R"({"name": "at", "type": "long"})"), "") << "a number is no timestamp";
  EXPECT_EQ(Avro(id + R"({"name": "at", "type": ["null", "long"]})"), "") << "it may be null";
  EXPECT_EQ(
      Avro(id + R"({"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}})"),
      "");
  EXPECT_NE(Avro(id + R"({"name": "tags", "type": {"type": "map", "values": "string"}})"), "");
  EXPECT_EQ(Avro(id + R"({"name": "tags", "type": {"type": "array", "items": "string"}})"), "");
  EXPECT_EQ(Avro(id + R"({"name": "spot", "type": {"type": "array", "items": "double"}})"), "");
  EXPECT_NE(Json(R"({"properties": {"id": {"type": ["array", "object"]}}})"), "");
  EXPECT_EQ(Json(R"({"properties": {"id": {"type": ["array", "number"]}, "more": false}})"), "");
  EXPECT_NE(Protobuf("message A { repeated int64 id = 1; }"), "");
  EXPECT_EQ(Protobuf("import \"google/protobuf/timestamp.proto\"; message A { int64 id = 1; "
                     "google.protobuf.Timestamp at = 2; map<string, string> other = 3; }"),
            "");
}

TEST_F(RowsFit, ValuesAreObjects) {
  const char* const none = "a row is an object with fields, and no value of the schema is one";
  EXPECT_EQ(Problem(SchemaType::kAvro, "\"int\""), none);
  EXPECT_EQ(Json(R"({"type": "array"})"), none);
  EXPECT_EQ(Json("false"), none);
  EXPECT_EQ(Json("true"), "");
  EXPECT_EQ(Problem(SchemaType::kAvro, R"({"type": "map", "values": "long"})"), "");
  EXPECT_EQ(
      Problem(
          SchemaType::kAvro,
          R"(["null", {"type": "record", "name": "R", "fields": [{"name": "id", "type": "int"}]}])"),
      "");
}

}  // namespace
}  // namespace millrace::schemas::columns_test
