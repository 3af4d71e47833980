#include "rows/batch.h"

#include <map>

#include "rows/row_codec.h"
#include "rows/testing.h"

namespace millrace::rows::batch_test {
namespace {

using testing::EmptyChunk;
using testing::Query;
using testing::Table;

const Types kTypes = {duckdb::LogicalType::BIGINT, duckdb::LogicalType::VARCHAR};

Batch Make(const std::vector<std::pair<int64_t, Weight>>& rows) {
  BatchBuilder builder(kTypes);
  duckdb::DataChunk chunk;
  EmptyChunk(chunk, kTypes);
  for (const auto& [number, weight] : rows) {
    chunk.Reset();
    chunk.SetValue(0, 0, duckdb::Value::BIGINT(number));
    chunk.SetValue(1, 0,
                   duckdb::Value("a longer text than fits inline, " + std::to_string(number)));
    chunk.SetCardinality(1);
    builder.AppendRow(chunk, 0, weight);
  }
  return builder.Finish();
}

std::vector<std::pair<int64_t, Weight>> Rows(const Batch& batch) {
  std::vector<std::pair<int64_t, Weight>> rows;
  for (const auto& part : batch.parts) {
    for (size_t r = 0; r < part.rows->size(); ++r) {
      const int64_t number = part.rows->GetValue(0, r).GetValue<int64_t>();
      EXPECT_EQ(part.rows->GetValue(1, r).ToString(),
                "a longer text than fits inline, " + std::to_string(number));
      rows.emplace_back(number, part.weight(r));
    }
  }
  return rows;
}

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(Batch, ConsolidateMergesEqualRowsAndDropsZeroWeights) {
  const Batch batch = Make({{3, 1}, {1, 2}, {3, -1}, {2, 1}, {1, 5}});
  EXPECT_THAT(Rows(Consolidate(batch, kTypes)), ElementsAre(Pair(1, 7), Pair(2, 1)));
}

TEST(Batch, ConsolidateSharesTheChunksWhereNothingIsToMerge) {
  const Batch batch = Make({{3, 1}, {1, 2}});
  const Batch same = Consolidate(batch, kTypes);
  ASSERT_EQ(same.parts.size(), 1u);
  EXPECT_EQ(same.parts[0].rows, batch.parts[0].rows);
}

TEST(Batch, ConsolidateSortedDoesNotDependOnTheOrderOfTheRows) {
  const Batch one = ConsolidateSorted(Make({{3, 1}, {1, 2}, {2, 1}, {1, -1}}), kTypes);
  const Batch other = ConsolidateSorted(Make({{1, -1}, {2, 1}, {1, 2}, {3, 1}}), kTypes);
  EXPECT_EQ(Rows(one), Rows(other));
  EXPECT_EQ(one.row_count(), 3u);
}

TEST(Batch, ConsolidateEqualsAMapOnRandomBatches) {
  std::mt19937_64 random(testing::Seed());
  for (int round = 0; round < 20; ++round) {
    std::vector<std::pair<int64_t, Weight>> rows;
    std::map<int64_t, Weight> expected;
    for (int i = 0; i < 5000; ++i) {
      const auto number = static_cast<int64_t>(random() % 1500);
      const Weight weight = static_cast<Weight>(random() % 5) - 2;
      rows.emplace_back(number, weight);
      expected[number] += weight;
    }
    std::erase_if(expected, [](const auto& row) { return row.second == 0; });
    std::map<int64_t, Weight> actual;
    for (const auto& [number, weight] : Rows(Consolidate(Make(rows), kTypes))) {
      EXPECT_TRUE(actual.emplace(number, weight).second) << "twice: " << number;
    }
    EXPECT_EQ(actual, expected);
  }
}

TEST(Batch, NegateTurnsEveryWeight) {
  const Batch batch = Make({{1, 1}, {2, 1}});
  EXPECT_TRUE(batch.insert_only());
  const Batch negated = Negate(batch);
  EXPECT_FALSE(negated.insert_only());
  EXPECT_THAT(Rows(negated), ElementsAre(Pair(1, -1), Pair(2, -1)));
  EXPECT_THAT(Rows(Negate(negated)), ElementsAre(Pair(1, 1), Pair(2, 1)));
  EXPECT_TRUE(Negate(negated).insert_only());
}

TEST(BatchBuilder, FillsChunksAcrossTheirBoundariesAndKeepsWeightsWithTheirRows) {
  Table table =
      Query("SELECT i::BIGINT, 'a longer text than fits inline, ' || i FROM range(5000) t(i)");
  BatchBuilder builder(kTypes);
  Weight weight = -1;
  size_t appended = 0;
  for (int round = 0; round < 2; ++round) {
    for (auto& chunk : table.chunks) {
      std::vector<Weight> weights(chunk->size(), weight);
      builder.Append(*chunk, nullptr, chunk->size(), round == 0 ? nullptr : weights.data());
      const duckdb::sel_t picked[] = {7, 3, 7};
      builder.Append(*chunk, picked, 3, weights.data());
      appended += chunk->size() + 3;
    }
  }
  const Batch batch = builder.Finish();
  EXPECT_EQ(batch.row_count(), appended);
  for (size_t p = 0; p + 1 < batch.parts.size(); ++p) {
    EXPECT_EQ(batch.parts[p].rows->size(), size_t{STANDARD_VECTOR_SIZE});
  }
  const auto rows = Rows(batch);
  EXPECT_EQ(rows[0], std::make_pair(int64_t{0}, Weight{1}));
  EXPECT_EQ(rows[2048], std::make_pair(int64_t{7}, Weight{-1}));
  EXPECT_EQ(rows[2051], std::make_pair(int64_t{2048}, Weight{1}));
  EXPECT_EQ(rows.back().second, -1);
}

TEST(BatchBuilder, LetsColumnsBeWrittenInPlace) {
  BatchBuilder builder({duckdb::LogicalType::BIGINT});
  for (int round = 0; round < 3; ++round) {
    duckdb::DataChunk& chunk = builder.Room(1000);
    const size_t at = chunk.size();
    for (size_t i = 0; i < 1000; ++i) {
      duckdb::FlatVector::GetData<int64_t>(chunk.data[0])[at + i] = round;
    }
    builder.Commit(1000, nullptr);
  }
  const Batch batch = builder.Finish();
  ASSERT_EQ(batch.parts.size(), 2u);
  EXPECT_EQ(batch.row_count(), 3000u);
  EXPECT_EQ(batch.parts[1].rows->GetValue(0, 999).GetValue<int64_t>(), 2);
  EXPECT_TRUE(builder.Finish().empty());
}

TEST(BatchBuilder, TakesChunksAsTheyAre) {
  BatchBuilder builder(kTypes);
  const auto make = [](int64_t number) {
    const Batch one = Make({{number, 1}, {number + 1, 1}});
    auto chunk = std::make_unique<duckdb::DataChunk>();
    chunk->Move(*one.parts[0].rows);
    return chunk;
  };
  duckdb::DataChunk single;
  EmptyChunk(single, kTypes);
  single.SetValue(0, 0, duckdb::Value::BIGINT(1));
  single.SetValue(1, 0, duckdb::Value("a longer text than fits inline, 1"));
  single.SetCardinality(1);
  builder.AppendRow(single, 0, 1);
  auto first = make(10);
  auto second = make(20);
  builder.Take(*first, {1, 1});
  EXPECT_EQ(first->size(), 0u);
  builder.Take(*second, {3, -1});
  builder.AppendRow(single, 0, 1);
  const Batch batch = builder.Finish();
  EXPECT_THAT(Rows(batch), ElementsAre(Pair(1, 1), Pair(10, 1), Pair(11, 1), Pair(20, 3),
                                       Pair(21, -1), Pair(1, 1)));
  EXPECT_EQ(batch.parts.size(), 4u);
  EXPECT_TRUE(batch.parts[1].weights.empty());
}

TEST(BatchBuilder, CountsRowsOfNoColumns) {
  BatchBuilder builder(Types{});
  duckdb::DataChunk none;
  none.SetCardinality(5);
  builder.Append(none, nullptr, 5, nullptr);
  const Batch batch = builder.Finish();
  EXPECT_EQ(batch.row_count(), 5u);
  const Batch merged = Consolidate(batch, Types{});
  EXPECT_EQ(merged.row_count(), 1u);
  EXPECT_EQ(merged.parts[0].weight(0), 5);
}

}  // namespace
}  // namespace millrace::rows::batch_test
