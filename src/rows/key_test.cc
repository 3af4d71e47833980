#include "rows/key.h"

#include "rows/testing.h"

namespace millrace::rows::key_test {
namespace {

using testing::AllTypes;
using testing::EmptyChunk;
using testing::Hex;
using testing::Query;
using testing::Table;

// DuckDB's sort key, which every path must equal byte for byte.
std::vector<std::string> DuckKeys(duckdb::DataChunk& chunk, const std::vector<KeyOrder>& orders) {
  duckdb::vector<duckdb::OrderModifiers> modifiers;
  for (const KeyOrder& order : orders) {
    modifiers.emplace_back(
        order.descending ? duckdb::OrderType::DESCENDING : duckdb::OrderType::ASCENDING,
        order.nulls_first ? duckdb::OrderByNullType::NULLS_FIRST
                          : duckdb::OrderByNullType::NULLS_LAST);
  }
  duckdb::Vector keys(duckdb::LogicalType::BLOB);
  duckdb::CreateSortKeyHelpers::CreateSortKey(chunk, modifiers, keys);
  keys.Flatten(chunk.size());
  std::vector<std::string> result;
  for (size_t r = 0; r < chunk.size(); ++r) {
    result.push_back(duckdb::FlatVector::GetData<duckdb::string_t>(keys)[r].GetString());
  }
  return result;
}

TEST(Key, OfIntegersIsByteForByteDuckDbsSortKey) {
  Table table = Query(
      "SELECT bool, tinyint, smallint, int, bigint, utinyint, usmallint, uint, ubigint, date, "
      "time, "
      "timestamp, timestamp_s, timestamp_ms, timestamp_ns, timestamp_tz, dec_4_1, dec_9_4, "
      "dec_18_6, small_enum "
      "FROM test_all_types()");
  duckdb::DataChunk& all = *table.chunks[0];
  for (size_t a = 0; a < table.types.size(); ++a) {
    const size_t b = (a * 7 + 3) % table.types.size();
    duckdb::DataChunk pair;
    pair.InitializeEmpty({table.types[a], table.types[b]});
    pair.data[0].Reference(all.data[a]);
    pair.data[1].Reference(all.data[b]);
    pair.SetCardinality(all.size());
    for (int bits = 0; bits < 16; ++bits) {
      const std::vector<KeyOrder> orders = {{(bits & 1) != 0, (bits & 2) != 0},
                                            {(bits & 4) != 0, (bits & 8) != 0}};
      KeyEncoder encoder(orders);
      const auto& keys = encoder.Encode(pair);
      const auto expected = DuckKeys(pair, orders);
      for (size_t r = 0; r < keys.size(); ++r) {
        EXPECT_EQ(Hex(keys[r]), Hex(expected[r])) << table.names[a] << ' ' << table.names[b];
      }
    }
  }
}

TEST(Key, OfConstantAndDictionaryVectorsIsThatOfFlatOnes) {
  Table table = Query("SELECT i::INTEGER a, (i * 3)::BIGINT b FROM range(10) t(i)");
  duckdb::DataChunk& flat = *table.chunks[0];
  KeyEncoder encoder;
  std::vector<std::string> expected;
  for (const auto key : encoder.Encode(flat)) expected.emplace_back(key);
  duckdb::SelectionVector selection(3);
  selection.set_index(0, 9);
  selection.set_index(1, 0);
  selection.set_index(2, 9);
  duckdb::DataChunk sliced;
  sliced.InitializeEmpty(table.types);
  sliced.Reference(flat);
  sliced.Slice(selection, 3);
  EXPECT_THAT(encoder.Encode(sliced),
              ::testing::ElementsAre(expected[9], expected[0], expected[9]));
  duckdb::DataChunk constant;
  constant.InitializeEmpty({table.types[0], duckdb::LogicalType::VARCHAR});
  constant.data[0].Reference(duckdb::Value::INTEGER(7));
  constant.data[1].Reference(duckdb::Value("x"));
  constant.SetCardinality(3);
  const auto& keys = encoder.Encode(constant);
  ASSERT_EQ(keys.size(), 3u);
  EXPECT_EQ(Hex(keys[2]), "0180000007017900");
}

TEST(Key, OfSomeColumnsIsThatOfAChunkOfThem) {
  Table table = Query("SELECT i::INTEGER a, 'x' || i b, (i * 3)::BIGINT c FROM range(10) t(i)");
  duckdb::DataChunk& rows = *table.chunks[0];
  for (const std::vector<size_t>& columns :
       {std::vector<size_t>{2, 0}, {0}, {1}, {1, 2}, std::vector<size_t>{}}) {
    rows::Types types;
    for (const size_t column : columns) types.push_back(table.types[column]);
    duckdb::DataChunk picked;
    if (!types.empty()) picked.InitializeEmpty(types);
    for (size_t i = 0; i < columns.size(); ++i) picked.data[i].Reference(rows.data[columns[i]]);
    picked.SetCardinality(rows.size());
    KeyEncoder of_chunk;
    KeyEncoder of_columns;
    EXPECT_EQ(of_columns.Encode(rows, columns), of_chunk.Encode(picked));
    EXPECT_EQ(of_columns.has_null(), of_chunk.has_null());
  }
}

TEST(Key, KeepsItsBytesForEver) {
  Table table = Query(
      "SELECT 1::INTEGER a, 'ab' b, -1::BIGINT c, 1.5::DOUBLE d, [1]::INTEGER[] e, NULL::INTEGER "
      "f, "
      "'x\\x00\\x01'::BLOB g, 12.34::DECIMAL(20,2) h, {'p': 1::TINYINT, 'q': NULL::INTEGER} i, "
      "false j");
  KeyEncoder encoder;
  EXPECT_EQ(Hex(encoder.Encode(*table.chunks[0])[0]),
            "0180000001"                          // a
            "01626300"                            // b: every byte one higher, then a zero
            "017fffffffffffffff"                  // c
            "01bff8000000000000"                  // d
            "01018000000100"                      // e: the elements, then a zero
            "02"                                  // f: NULLs last
            "01780100010100"                      // g: a blob escapes 0 and 1 with 1
            "01800000000000000000000000000004d2"  // h
            "01018102"                            // i
            "0100"                                // j
  );
  EXPECT_EQ(KeyHash("0123456789abcdef"), KeyHash(std::string("0123456789abcdef")));
}

TEST(Key, OrderOfBytesIsSqlOrder) {
  Table table = Query(
      "SELECT s::VARCHAR s, d::DOUBLE d, i::INTEGER i FROM (VALUES ('a', NULL, 3), ('a', '-1.5', "
      "NULL), ('', 'nan', 1), "
      "(NULL, '0', 0), ('ab', '2', 2), ('a', 'inf', -7), ('a', '-inf', 7), ('é', '0', 0), ('a', "
      "'-1.5', 2)) t(s, d, i) "
      "ORDER BY s ASC NULLS LAST, d DESC NULLS FIRST, i ASC NULLS LAST");
  KeyEncoder encoder({{false, false}, {true, true}, {false, false}});
  const auto& keys = encoder.Encode(*table.chunks[0]);
  for (size_t r = 1; r < keys.size(); ++r) EXPECT_LT(keys[r - 1], keys[r]) << r;
}

TEST(Key, IsNeverAPrefixOfAnother) {
  const uint64_t seed = testing::Seed();
  Table table =
      Query(fmt::format("SELECT CASE WHEN random() < 0.2 THEN NULL ELSE repeat(chr((random() * "
                        "3)::INT), (random() * 3)::INT) END a, "
                        "CASE WHEN random() < 0.2 THEN NULL ELSE (random() * 4)::INT END b, "
                        "list_transform(range((random() * 3)::INT), lambda x: CASE WHEN random() < "
                        "0.3 THEN NULL ELSE (random() * 2)::INT END) c, "
                        "encode(repeat(chr((random() * 2)::INT), (random() * 3)::INT)) d FROM "
                        "(SELECT setseed({})), range(2000)",
                        static_cast<double>(seed % 1000) / 1000));
  std::vector<std::string> keys;
  KeyEncoder encoder;
  for (auto& chunk : table.chunks) {
    for (const auto key : encoder.Encode(*chunk)) keys.emplace_back(key);
  }
  ASSERT_EQ(keys.size(), 2000u);
  std::sort(keys.begin(), keys.end());
  for (size_t i = 1; i < keys.size(); ++i) {
    if (keys[i - 1] == keys[i]) continue;
    EXPECT_FALSE(keys[i].starts_with(keys[i - 1])) << Hex(keys[i - 1]) << ' ' << Hex(keys[i]);
  }
}

TEST(Key, IsEqualForValuesThatSqlCallsEqual) {
  Table table = Query(
      "SELECT * FROM (VALUES (0.0::DOUBLE, INTERVAL '30 days'), (-0.0::DOUBLE, INTERVAL '1 "
      "month'))");
  KeyEncoder encoder;
  const auto& keys = encoder.Encode(*table.chunks[0]);
  EXPECT_EQ(Hex(keys[0]), Hex(keys[1]));
}

TEST(Key, OfIntervalsAndZonedTimesFollowsSqlOrderAlsoInsideNestedTypes) {
  Table table = Query(
      "SELECT i, [i], {'f': i}, t, [t] FROM (VALUES (INTERVAL '-1 day', '12:00:00+02'::TIMETZ), "
      "(INTERVAL '30 days', '10:30:00+00'::TIMETZ), (INTERVAL '31 days', '10:00:00-01'::TIMETZ), "
      "(INTERVAL '2 months', '11:30:00+00'::TIMETZ)) x(i, t)");
  for (size_t c = 0; c < table.types.size(); ++c) {
    duckdb::DataChunk column;
    column.InitializeEmpty({table.types[c]});
    column.data[0].Reference(table.chunks[0]->data[c]);
    column.SetCardinality(4);
    KeyEncoder encoder;
    const auto& keys = encoder.Encode(column);
    for (size_t r = 1; r < 4; ++r) EXPECT_LT(keys[r - 1], keys[r]) << c << ' ' << r;
  }
}

TEST(Key, MarksRowsWithANullKey) {
  Table table =
      Query("SELECT * FROM (VALUES (1, 'a'), (NULL, 'b'), (2, NULL), (NULL, NULL)) t(a, b)");
  KeyEncoder encoder;
  encoder.Encode(*table.chunks[0]);
  EXPECT_THAT(encoder.has_null(), ::testing::ElementsAre(0, 1, 1, 1));
  Table integers = Query("SELECT * FROM (VALUES (1, 1), (NULL, 2), (2, NULL)) t(a, b)");
  encoder.Encode(*integers.chunks[0]);
  EXPECT_THAT(encoder.has_null(), ::testing::ElementsAre(0, 1, 1));
}

TEST(Key, OfNoColumnsIsTheEmptyString) {
  duckdb::DataChunk chunk;
  chunk.SetCardinality(3);
  KeyEncoder encoder;
  EXPECT_THAT(encoder.Encode(chunk), ::testing::ElementsAre("", "", ""));
}

TEST(Key, IsDefinedForEveryColumnType) {
  const Table table = AllTypes();
  for (size_t c = 0; c < table.types.size(); ++c) {
    EXPECT_TRUE(IsKeyType(table.types[c])) << table.names[c];
  }
}

}  // namespace
}  // namespace millrace::rows::key_test
