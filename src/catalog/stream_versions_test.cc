#include "catalog/stream_versions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/sql_text.h"

namespace millrace::catalog::stream_versions_test {
namespace {

using testing::ElementsAre;

rows::Column MakeColumn(std::string name, const std::string& type, int id) {
  rows::Column column;
  column.name = std::move(name);
  column.type = ParseType(type).value();
  column.id = id;
  return column;
}

TEST(StreamVersions, ARecordIsReadByTheVersionAtItsOffset) {
  StreamDefinition stream;
  stream.schema.columns = {MakeColumn("id", "BIGINT", 1), MakeColumn("at", "TIMESTAMP", 2)};
  stream.partitions = 2;
  const StreamDefinition first = stream;
  stream.schema.columns.push_back(MakeColumn("price", "INTEGER", NextColumnId(first)));
  stream.schema.columns.back().default_value = duckdb::Value::INTEGER(7);
  ASSERT_TRUE(KeepVersion(first, stream).ok());
  stream.earlier.back().ends = {5, 0};
  stream.earlier.back().until = 100;
  const StreamDefinition second = stream;
  stream.schema.columns.back().type = duckdb::LogicalType::BIGINT;
  stream.schema.columns.back().default_value.reset();
  stream.schema.columns.erase(stream.schema.columns.begin());
  ASSERT_TRUE(KeepVersion(second, stream).ok());
  stream.earlier.back().ends = {5, 3};
  stream.earlier.back().until = 200;

  EXPECT_EQ(VersionAt(stream, 0, 4).schema, &stream.earlier[0].schema);
  EXPECT_EQ(VersionAt(stream, 0, 4).end, 5);
  EXPECT_EQ(VersionAt(stream, 0, 5).schema, &stream.schema);
  EXPECT_EQ(VersionAt(stream, 0, 5).end, std::nullopt);
  EXPECT_EQ(VersionAt(stream, 1, 0).schema, &stream.earlier[1].schema);
  EXPECT_EQ(VersionAt(stream, 1, 3).schema, &stream.schema);
  EXPECT_EQ(ValueBefore(stream, stream.schema.columns[1]), duckdb::Value::BIGINT(7));
  EXPECT_EQ(NextColumnId(stream), 4);
  EXPECT_EQ(Touched(first, stream), std::vector<int>{1});
  EXPECT_EQ(Touched(second, stream), (std::vector<int>{1, 3}));

  EXPECT_EQ(AsOf(stream, 99)->schema.columns.size(), 2u);
  EXPECT_EQ(AsOf(stream, 100)->schema.columns.size(), 3u);
  EXPECT_EQ(AsOf(stream, 100)->earlier.size(), 1u);
  EXPECT_FALSE(AsOf(stream, 200));

  // id, at | hidden | price INTEGER, price BIGINT
  const EngineLayout layout(stream);
  EXPECT_FALSE(layout.plain());
  EXPECT_EQ(layout.width(), 9u);
  EXPECT_THAT(layout.PositionsOf(stream.schema), ElementsAre(1, 8, 2, 3, 4, 5, 6));
  EXPECT_THAT(EngineLayout(second).PositionsOf(second.schema), ElementsAre(0, 1, 7, 2, 3, 4, 5, 6));
  EXPECT_TRUE(EngineLayout(first).plain());
}

TEST(StreamVersions, WidensToTypesThatHaveAllValues) {
  const auto can = [](const std::string& from, const std::string& to) {
    return CanWiden(ParseType(from).value(), ParseType(to).value());
  };
  EXPECT_TRUE(can("TINYINT", "HUGEINT"));
  EXPECT_TRUE(can("UINTEGER", "BIGINT"));
  EXPECT_TRUE(can("FLOAT", "DOUBLE"));
  EXPECT_TRUE(can("DATE", "TIMESTAMP"));
  EXPECT_TRUE(can("DECIMAL(10,2)", "DECIMAL(12,4)"));
  EXPECT_TRUE(can("ENUM('a')", "ENUM('a', 'b')"));
  EXPECT_FALSE(can("BIGINT", "INTEGER"));
  EXPECT_FALSE(can("UBIGINT", "BIGINT"));
  EXPECT_FALSE(can("INTEGER", "UBIGINT"));
  EXPECT_FALSE(can("INTEGER", "DOUBLE"));
  EXPECT_FALSE(can("DECIMAL(10,2)", "DECIMAL(11,4)"));
  EXPECT_FALSE(can("DECIMAL(10,2)", "DECIMAL(10,1)"));
  EXPECT_FALSE(can("ENUM('a', 'b')", "ENUM('b', 'a', 'c')"));
  EXPECT_FALSE(can("INTEGER", "VARCHAR"));
  EXPECT_FALSE(can("VARCHAR", "INTEGER"));
}

TEST(StreamVersions, OfADefinitionWrittenAnewKeepTheIdsOfColumnsThatStay) {
  StreamDefinition before;
  before.schema.columns = {MakeColumn("id", "INTEGER", 1), MakeColumn("at", "TIMESTAMP", 2)};
  before.schema.columns[0].aliases = {"number"};
  before.watermark = {"at", std::chrono::seconds(1)};
  StreamDefinition wanted = before;
  wanted.schema.columns = {MakeColumn("x", "VARCHAR", 1), MakeColumn("ID", "BIGINT", 2),
                           MakeColumn("at", "TIMESTAMP", 3)};
  const auto after = Evolve(before, wanted);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->schema.columns[0].id, 3);
  EXPECT_EQ(after->schema.columns[1].id, 1);
  EXPECT_THAT(after->schema.columns[1].aliases, ElementsAre("number"));
  EXPECT_EQ(after->schema.columns[2].id, 2);
  ASSERT_EQ(after->earlier.size(), 1u);
  EXPECT_TRUE(after->earlier[0].ends.empty());

  wanted.schema.columns[0].not_null = true;
  EXPECT_FALSE(Evolve(before, wanted).ok());
  wanted.schema.columns[0].default_value = duckdb::Value("x");
  EXPECT_TRUE(Evolve(before, wanted).ok());
  before.deduplicate = {{"id"}, std::nullopt};
  EXPECT_FALSE(Evolve(before, wanted).ok());
}

}  // namespace
}  // namespace millrace::catalog::stream_versions_test
