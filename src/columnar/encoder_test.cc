#include "columnar/encoder.h"

#include <filesystem>
#include <fstream>

#include "rows/testing.h"

namespace millrace::columnar::encoder_test {
namespace {

using rows::testing::Query;
using rows::testing::Table;

rows::Schema SchemaOf(const Table& table) {
  rows::Schema schema;
  for (size_t i = 0; i < table.types.size(); ++i)
    schema.columns.push_back({table.names[i], table.types[i], false, std::nullopt});
  return schema;
}

Result<std::string> Encoded(Encoders& encoders, Format format, const Table& table) {
  TRY(const auto encoder, encoders.Open(format, SchemaOf(table)));
  for (const auto& chunk : table.chunks) TRY(encoder->Append(*chunk));
  TRY(encoder->Finish());
  return encoder->Take();
}

// Texts of all values of a query, and the types of its columns.
std::string Shown(const std::string& sql) {
  const Table table = Query(sql);
  std::string out;
  for (size_t i = 0; i < table.types.size(); ++i)
    out += table.names[i] + ' ' + table.types[i].ToString() + '\n';
  for (const auto& chunk : table.chunks) {
    for (size_t row = 0; row < chunk->size(); ++row) {
      for (size_t i = 0; i < table.types.size(); ++i)
        out += chunk->GetValue(i, row).ToSQLString() + '\n';
    }
  }
  return out;
}

class EncoderTest : public ::testing::Test {
 protected:
  EncoderTest() {
    path_ = std::filesystem::temp_directory_path() /
            ("encoder_test." + std::to_string(std::random_device()()) + ".parquet");
  }
  ~EncoderTest() override { std::filesystem::remove(path_); }

  // FROM … of a Parquet file with these bytes.
  std::string FileOf(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return "FROM read_parquet(" + duckdb::Value(path_.string()).ToSQLString() + ")";
  }

  std::filesystem::path path_;
  Encoders encoders_;
};

TEST_F(EncoderTest, ParquetGivesBackEachTypeAtItsEdges) {
  const std::string columns = "* EXCLUDE (geometry, hugeint, uhugeint)";
  const auto bytes =
      Encoded(encoders_, Format::kParquet, Query("SELECT " + columns + " FROM test_all_types()"));
  ASSERT_TRUE(bytes.ok()) << bytes.error().ToString();
  EXPECT_EQ(Shown("SELECT COLUMNS(*)::VARCHAR " + FileOf(*bytes)),
            Shown("SELECT COLUMNS(" + columns + ")::VARCHAR FROM test_all_types()"));
}

TEST_F(EncoderTest, WideIntegersAreExactOrRefused) {
  const auto bytes = Encoded(encoders_, Format::kParquet,
                             Query("SELECT -99999999999999999999999999999999999999::HUGEINT AS h, "
                                   "[18446744073709551616::UHUGEINT] AS u"));
  ASSERT_TRUE(bytes.ok()) << bytes.error().ToString();
  EXPECT_EQ(Shown("SELECT h, u " + FileOf(*bytes)),
            "h DECIMAL(38,0)\nu DECIMAL(38,0)[]\n-99999999999999999999999999999999999999\n"
            "[18446744073709551616]\n");
  for (const Format format : {Format::kParquet, Format::kArrowStream}) {
    const auto refused =
        Encoded(encoders_, format,
                Query("SELECT {'n': 100000000000000000000000000000000000000::HUGEINT} AS s"));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
    EXPECT_TRUE(refused.error().message().starts_with(
        "column \"s\" cannot be written as STRUCT(n DECIMAL(38,0)): "))
        << refused.error().message();
  }
}

TEST_F(EncoderTest, NamesOfParquetColumnsDiffer) {
  const auto bytes =
      Encoded(encoders_, Format::kParquet, Query("SELECT 1 AS a, 2 AS a, NULL AS n"));
  ASSERT_TRUE(bytes.ok()) << bytes.error().ToString();
  EXPECT_EQ(Shown("SELECT a, a_1, n " + FileOf(*bytes)),
            "a INTEGER\na_1 INTEGER\nn INTEGER\n1\n2\nNULL\n");
}

TEST_F(EncoderTest, AResultWithoutRowsHasItsColumns) {
  const Table table = Query("SELECT 1 AS a, 'x' AS b WHERE false");
  const auto bytes = Encoded(encoders_, Format::kParquet, table);
  ASSERT_TRUE(bytes.ok()) << bytes.error().ToString();
  EXPECT_EQ(Shown("SELECT * " + FileOf(*bytes)), "a INTEGER\nb VARCHAR\n");
  const auto stream = Encoded(encoders_, Format::kArrowStream, table);
  ASSERT_TRUE(stream.ok());
  EXPECT_TRUE(stream->ends_with(std::string("\xff\xff\xff\xff\0\0\0\0", 8)));
}

// Pieces come while rows go in, so that a large result is never held as a whole; and encoders do
// not get in each other's way.
TEST_F(EncoderTest, PiecesComeWhileRowsGoIn) {
  const Table table = Query("SELECT range AS n, hash(range) AS h FROM range(700_000)");
  for (const Format format : {Format::kParquet, Format::kArrowStream}) {
    const auto first = encoders_.Open(format, SchemaOf(table));
    const auto second = encoders_.Open(format, SchemaOf(table));
    ASSERT_TRUE(first.ok() && second.ok());
    std::string one, two;
    size_t largest = 0;
    for (const auto& chunk : table.chunks) {
      ASSERT_TRUE((*first)->Append(*chunk).ok());
      ASSERT_TRUE((*second)->Append(*chunk).ok());
      const std::string piece = (*first)->Take();
      largest = std::max(largest, piece.size());
      one += piece;
    }
    ASSERT_TRUE((*first)->Finish().ok());
    ASSERT_TRUE((*second)->Finish().ok());
    one += (*first)->Take();
    two += (*second)->Take();
    EXPECT_EQ(one, two);
    EXPECT_LT(largest, one.size() / 4);
    EXPECT_GT(largest, 0U);
    if (format == Format::kParquet) {
      EXPECT_EQ(Shown("SELECT count(*) AS n, sum(n)::BIGINT AS s, bit_xor(h) AS x " + FileOf(one)),
                Shown("SELECT count(*) AS n, sum(range)::BIGINT AS s, bit_xor(hash(range)) AS x "
                      "FROM range(700_000)"));
    }
  }
}

// A row group and a batch are bounded in bytes too.
TEST_F(EncoderTest, PiecesComeWhileFewLargeRowsGoIn) {
  const Table table = Query(
      "SELECT range AS n, repeat(hash(range)::VARCHAR, 3000) AS text FROM range(8192) "
      "UNION ALL SELECT 1, 'end'");
  for (const Format format : {Format::kParquet, Format::kArrowStream}) {
    const auto encoder = encoders_.Open(format, SchemaOf(table));
    ASSERT_TRUE(encoder.ok());
    size_t pieces = 0;
    for (const auto& chunk : table.chunks) {
      ASSERT_TRUE((*encoder)->Append(*chunk).ok());
      if ((*encoder)->Take().size() > 1000) ++pieces;
    }
    EXPECT_GE(pieces, 3U) << static_cast<int>(format);
  }
}

TEST_F(EncoderTest, OneThatIsGivenUpHarmsNoOther) {
  const Table table = Query("SELECT range AS n FROM range(200_000)");
  for (const Format format : {Format::kParquet, Format::kArrowStream}) {
    {
      const auto given_up = encoders_.Open(format, SchemaOf(table));
      ASSERT_TRUE(given_up.ok());
      for (const auto& chunk : table.chunks) ASSERT_TRUE((*given_up)->Append(*chunk).ok());
    }
    EXPECT_TRUE(Encoded(encoders_, format, table).ok());
  }
}

}  // namespace
}  // namespace millrace::columnar::encoder_test
