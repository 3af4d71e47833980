#include "rows/row_codec.h"

#include "rows/testing.h"

namespace millrace::rows::row_codec_test {
namespace {

using testing::AllTypes;
using testing::EmptyChunk;
using testing::Hex;
using testing::Query;
using testing::Table;

std::vector<std::string> EncodeAll(Table& table) {
  RowEncoder encoder(table.types);
  std::vector<std::string> rows;
  for (auto& chunk : table.chunks) {
    for (const auto row : encoder.Encode(*chunk)) rows.emplace_back(row);
  }
  return rows;
}

std::vector<std::string_view> Views(const std::vector<std::string>& rows) {
  return {rows.begin(), rows.end()};
}

TEST(RowCodec, GivesBackTheSameValuesAtTheEdgesOfEveryType) {
  Table table = AllTypes();
  const auto rows = EncodeAll(table);
  ASSERT_EQ(rows.size(), 3u);
  duckdb::DataChunk out;
  EmptyChunk(out, table.types);
  // What the decoder does not write is encoded below, so it has to be something.
  for (size_t c = 0; c < table.types.size(); ++c) {
    for (size_t r = 0; r < 5; ++r) out.SetValue(c, r, duckdb::Value(table.types[c]));
  }
  RowDecoder decoder(table.types);
  const auto status = decoder.Decode(Views(rows), out, 5);
  ASSERT_TRUE(status.ok()) << status.error().ToString();
  out.SetCardinality(8);
  for (size_t c = 0; c < table.types.size(); ++c) {
    for (size_t r = 0; r < 3; ++r) {
      EXPECT_EQ(out.GetValue(c, 5 + r).ToString(), table.chunks[0]->GetValue(c, r).ToString())
          << table.names[c] << " row " << r;
    }
  }
  // And the bytes of what was decoded are the bytes that it was decoded from.
  RowEncoder encoder(table.types);
  const auto& again = encoder.Encode(out);
  for (size_t r = 0; r < 3; ++r) EXPECT_EQ(Hex(again[5 + r]), Hex(rows[r]));
}

TEST(RowCodec, KeepsItsBytesForEver) {
  Table table = Query(
      "SELECT 1::TINYINT a, -2::BIGINT b, 'hé' c, NULL::INTEGER d, 12.34::DECIMAL(10,2) e, true f, "
      "DATE '1970-01-03' g, [1, NULL, 3]::INTEGER[] h, {'x': 'y', 'z': NULL::BIGINT} i, MAP {'k': "
      "1.5::DOUBLE} j, "
      "INTERVAL '1 month 2 days 3 microseconds' k, '\\xAA'::BLOB l, [1, 2]::TINYINT[2] m, "
      "'b'::ENUM('a', 'b') n, '00000000-0000-0000-0000-000000000001'::UUID o");
  EXPECT_EQ(Hex(EncodeAll(table)[0]),
            "0800"                              // NULLs: the fourth column
            "01"                                // a
            "feffffffffffffff"                  // b
            "0368c3a9"                          // c
            "d204000000000000"                  // e
            "01"                                // f
            "02000000"                          // g
            "0302"                              // h: three elements, the second NULL
            "0100000003000000"                  //
            "020179"                            // i: z is NULL
            "0100"                              // j: one entry, not NULL
            "00016b000000000000f83f"            //
            "01000000020000000300000000000000"  // k
            "01aa"                              // l
            "000102"                            // m
            "01"                                // n
            "01000000000000000000000000000080"  // o
  );
}

TEST(RowCodec, TellsValuesApartThatSqlCallsEqual) {
  Table table = Query(
      "SELECT * FROM (VALUES (0.0::DOUBLE, INTERVAL '30 days'), (-0.0::DOUBLE, INTERVAL '30 "
      "days'), "
      "(0.0::DOUBLE, INTERVAL '1 month'))");
  const auto rows = EncodeAll(table);
  EXPECT_NE(rows[0], rows[1]);
  EXPECT_NE(rows[0], rows[2]);
}

TEST(RowCodec, GivesAllNansOneEncoding) {
  duckdb::DataChunk chunk;
  EmptyChunk(chunk, {duckdb::LogicalType::DOUBLE});
  auto* data = duckdb::FlatVector::GetData<double>(chunk.data[0]);
  data[0] = std::numeric_limits<double>::quiet_NaN();
  data[1] = -std::numeric_limits<double>::quiet_NaN();
  chunk.SetCardinality(2);
  RowEncoder encoder({duckdb::LogicalType::DOUBLE});
  const auto& rows = encoder.Encode(chunk);
  EXPECT_EQ(Hex(rows[0]), Hex(rows[1]));
}

TEST(RowCodec, EncodesConstantAndDictionaryVectorsAsTheFlatOnes) {
  Table table = AllTypes();
  const auto flat = EncodeAll(table);
  duckdb::SelectionVector selection(4);
  selection.set_index(0, 2);
  selection.set_index(1, 0);
  selection.set_index(2, 1);
  selection.set_index(3, 0);
  duckdb::DataChunk sliced;
  sliced.InitializeEmpty(table.types);
  sliced.Reference(*table.chunks[0]);
  sliced.Slice(selection, 4);
  RowEncoder encoder(table.types);
  const auto& rows = encoder.Encode(sliced);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0], flat[2]);
  EXPECT_EQ(rows[1], flat[0]);
  EXPECT_EQ(rows[2], flat[1]);
  EXPECT_EQ(rows[3], flat[0]);
  duckdb::DataChunk constant;
  constant.InitializeEmpty(table.types);
  for (size_t c = 0; c < table.types.size(); ++c) {
    constant.data[c].Reference(table.chunks[0]->GetValue(c, 1));
  }
  constant.SetCardinality(3);
  for (const auto row : encoder.Encode(constant)) EXPECT_EQ(Hex(row), Hex(flat[1]));
}

TEST(RowCodec, RefusesEveryTruncationAndSurvivesEveryFlippedByte) {
  Table table = AllTypes();
  const auto rows = EncodeAll(table);
  RowDecoder decoder(table.types);
  for (const std::string& row : rows) {
    for (size_t size = 0; size < row.size(); size += 1 + size / 16) {
      // A copy of exactly this size, so that the sanitizer sees a read behind it.
      const std::vector<char> cut(row.begin(), row.begin() + static_cast<ptrdiff_t>(size));
      const std::string_view view(cut.data(), cut.size());
      duckdb::DataChunk out;
      EmptyChunk(out, table.types);
      const auto status = decoder.Decode({&view, 1}, out, 0);
      ASSERT_FALSE(status.ok()) << size;
      EXPECT_EQ(status.error().code(), Code::kCorruption);
    }
    for (size_t i = 0; i < row.size(); i += 1 + i / 32) {
      std::vector<char> flipped(row.begin(), row.end());
      flipped[i] = static_cast<char>(flipped[i] ^ 0xff);
      const std::string_view view(flipped.data(), flipped.size());
      duckdb::DataChunk out;
      EmptyChunk(out, table.types);
      // Either it is seen, or the bytes are a row too; both are fine, reading elsewhere is not.
      const auto status = decoder.Decode({&view, 1}, out, 0);
      EXPECT_TRUE(status.ok() || status.error().code() == Code::kCorruption);
    }
  }
}

TEST(RowCodec, RefusesBytesBehindTheRow) {
  Table table = Query("SELECT 1::BIGINT");
  std::string row = EncodeAll(table)[0] + "x";
  const std::string_view view(row);
  duckdb::DataChunk out;
  EmptyChunk(out, table.types);
  RowDecoder decoder(table.types);
  EXPECT_FALSE(decoder.Decode({&view, 1}, out, 0).ok());
}

TEST(RowCodec, RefusesAnEnumPositionThatTheTypeDoesNotHave) {
  Table table = Query("SELECT 'b'::ENUM('a', 'b') AS e");
  std::string row = EncodeAll(table)[0];
  row.back() = 2;
  const std::string_view view(row);
  duckdb::DataChunk out;
  EmptyChunk(out, table.types);
  RowDecoder decoder(table.types);
  EXPECT_FALSE(decoder.Decode({&view, 1}, out, 0).ok());
}

TEST(RowCodec, EncodesARowOfNoColumnsAsNothing) {
  duckdb::DataChunk chunk;
  chunk.SetCardinality(2);
  RowEncoder encoder(Types{});
  const auto& rows = encoder.Encode(chunk);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(rows[0].empty());
}

}  // namespace
}  // namespace millrace::rows::row_codec_test
