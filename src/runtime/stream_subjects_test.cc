#include "runtime/stream_subjects.h"

#include <gtest/gtest.h>

namespace millrace::runtime::stream_subjects_test {
namespace {

rows::Column Column(std::string name, duckdb::LogicalType type, bool not_null = false) {
  rows::Column column;
  column.name = std::move(name);
  column.type = std::move(type);
  column.not_null = not_null;
  return column;
}

const duckdb::LogicalType kInt = duckdb::LogicalType::INTEGER;
const duckdb::LogicalType kBig = duckdb::LogicalType::BIGINT;

size_t Problems(const rows::Column& reader, const rows::Column& writer) {
  return ColumnReadProblems({{reader}}, {{writer}}).size();
}

TEST(ColumnReadProblems, ATypeMayBecomeWider) {
  EXPECT_EQ(Problems(Column("a", kBig), Column("A", kInt)), 0u);
  EXPECT_EQ(Problems(Column("a", kInt), Column("a", kBig)), 1u);
}

TEST(ColumnReadProblems, NullsAndMissingFieldsMustBeAllowed) {
  const rows::Column nullable = Column("a", kInt);
  const rows::Column required = Column("a", kInt, true);
  rows::Column with_default = required;
  with_default.default_value = duckdb::Value::INTEGER(1);
  EXPECT_EQ(Problems(nullable, required), 0u);
  EXPECT_EQ(Problems(required, nullable), 1u);
  EXPECT_EQ(Problems(with_default, nullable), 1u) << "a NULL that stands there is no DEFAULT";
  EXPECT_EQ(Problems(with_default, required), 0u);
  EXPECT_EQ(Problems(required, with_default), 1u) << "who had the DEFAULT may leave the field out";
  const rows::Column other = Column("b", kInt);
  EXPECT_EQ(Problems(nullable, other), 0u);
  EXPECT_EQ(Problems(required, other), 1u);
  EXPECT_EQ(Problems(with_default, other), 0u);
}

TEST(ColumnReadProblems, AnEarlierNameIsKnownToTheReaderOnly) {
  rows::Column renamed = Column("b", kInt, true);
  renamed.aliases = {"a"};
  const rows::Column before = Column("a", kInt, true);
  EXPECT_EQ(Problems(renamed, before), 0u);
  EXPECT_EQ(Problems(before, renamed), 1u);
}

}  // namespace
}  // namespace millrace::runtime::stream_subjects_test
