#include "stream/top_k.h"

#include <gtest/gtest.h>

#include "stream/operator_harness.h"

namespace millrace::stream::top_k_test {
namespace {

using duckdb::LogicalType;
using testing::Add;
using testing::Cell;
using testing::Changes;
using testing::Harness;
using testing::kNull;
using testing::Relation;
using testing::Row;

// Partition, two order columns, payload.
const rows::Types kTypes = {LogicalType::VARCHAR, LogicalType::BIGINT, LogicalType::VARCHAR,
                            LogicalType::INTEGER};

Harness MakeHarness(const TopK& top_k, int workers, bool insert_only) {
  Node node;
  node.op = top_k;
  node.types = kTypes;
  if (top_k.with_number) node.types.push_back(LogicalType::BIGINT);
  return Harness(MakeTopK, std::move(node),
                 {{.types = kTypes, .keys = top_k.partition, .insert_only = insert_only}}, workers);
}

// Like memcmp of order keys: < 0, 0, > 0.
int Compare(const Cell& a, const Cell& b, rows::KeyOrder order) {
  if (a == b) return 0;
  if (a == kNull) return order.nulls_first ? -1 : 1;
  if (b == kNull) return order.nulls_first ? 1 : -1;
  return (a < b) != order.descending ? -1 : 1;
}

Relation Recompute(const TopK& top_k, const Relation& input) {
  std::map<Row, std::vector<std::pair<Row, int64_t>>> partitions;
  for (const auto& [row, weight] : input) {
    Row partition;
    for (const ColumnIndex column : top_k.partition) partition.push_back(row[column]);
    partitions[partition].emplace_back(row, weight);
  }
  const std::map<Row, std::string> encodings = testing::Encodings(input, kTypes);
  Relation out;
  for (auto& [partition, rows] : partitions) {
    std::sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) {
      for (const TopK::Order& order : top_k.orders) {
        const int result = Compare(a.first[order.column], b.first[order.column], order.order);
        if (result != 0) return result < 0;
      }
      return encodings.at(a.first) < encodings.at(b.first);
    });
    int64_t place = 0;
    int64_t rank = 0;
    int64_t dense_rank = 0;
    const Row* before = nullptr;
    for (const auto& [row, weight] : rows) {
      const bool peer =
          before != nullptr &&
          std::all_of(top_k.orders.begin(), top_k.orders.end(), [&](const TopK::Order& order) {
            return Compare((*before)[order.column], row[order.column], order.order) == 0;
          });
      if (!peer) {
        rank = place + 1;
        ++dense_rank;
      }
      before = &row;
      for (int64_t copy = 0; copy < weight; ++copy) {
        ++place;
        const int64_t number = top_k.ranking == TopK::Ranking::kRowNumber ? place
                               : top_k.ranking == TopK::Ranking::kRank    ? rank
                                                                          : dense_rank;
        if (number <= top_k.offset || number - top_k.offset > top_k.limit) continue;
        Row shown = row;
        if (top_k.with_number) shown.emplace_back(number);
        Add(out, shown, 1);
      }
    }
  }
  return out;
}

Row RandomRow(Random& random) {
  const auto text = [&](uint64_t length, char letter) -> Cell {
    return random.OneIn(8) ? kNull : Cell(std::string(random.Below(length), letter));
  };
  return {text(4, 'p'), random.OneIn(8) ? kNull : Cell(static_cast<int64_t>(random.Below(6)) - 3),
          text(50, 'o'), static_cast<int64_t>(random.Below(3))};
}

TopK RandomTopK(Random& random) {
  TopK top_k;
  if (!random.OneIn(4)) top_k.partition = {0};
  const auto order = [&](ColumnIndex column) {
    top_k.orders.push_back(
        {column, {.descending = random.OneIn(2), .nulls_first = random.OneIn(2)}});
  };
  if (!random.OneIn(6)) order(1);
  if (!random.OneIn(2)) order(2);
  top_k.limit = static_cast<int64_t>(random.Below(8));
  top_k.offset = random.OneIn(2) ? 0 : static_cast<int64_t>(random.Below(5));
  top_k.with_number = random.OneIn(2);
  top_k.ranking = static_cast<TopK::Ranking>(random.Below(3));
  return top_k;
}

void FollowTheLaw(uint64_t seed, bool insert_only) {
  SCOPED_TRACE(::testing::Message() << "MILLRACE_SEED=" << seed << " insert_only " << insert_only);
  Random random(seed);
  const TopK top_k = RandomTopK(random);
  Harness harness = MakeHarness(top_k, static_cast<int>(1 + random.Below(4)), insert_only);
  Relation content;
  Relation out;
  for (int step = 0; step < 30; ++step) {
    SCOPED_TRACE(step);
    Changes changes;
    if (insert_only) {
      for (uint64_t i = random.Below(12); i > 0; --i) changes.emplace_back(RandomRow(random), 1);
      Add(content, changes);
    } else {
      changes = testing::RandomChanges(random, content, random.Below(12),
                                       [&] { return RandomRow(random); });
    }
    const Changes change = harness.Step({changes}, 1 + random.Below(10));
    Relation once;
    Add(once, change);
    ASSERT_EQ(once.size(), change.size())
        << "the difference is emitted, and nothing that cancels out";
    Add(out, change);
    ASSERT_EQ(out, Recompute(top_k, content));
    testing::MaybeFlushOrRestart(random, harness);
  }
}

TEST(TopK, EqualsTheTopRowsOfTheWholeInput) {
  const uint64_t first = testing::Seed(1);
  for (uint64_t seed = first; seed < first + 48 && !HasFatalFailure(); ++seed) {
    FollowTheLaw(seed, /*insert_only=*/false);
  }
}

TEST(TopK, EqualsTheTopRowsOfTheWholeInputWhenNothingIsRetracted) {
  const uint64_t first = testing::Seed(1);
  for (uint64_t seed = first; seed < first + 48 && !HasFatalFailure(); ++seed) {
    FollowTheLaw(seed, /*insert_only=*/true);
  }
}

Row Number(int64_t number) { return {"p", number, kNull, 0}; }

TEST(TopK, AChangeBehindTheLastShownRowEmitsNothingAndIsNotForgotten) {
  const TopK top_k{.partition = {0}, .orders = {{1, {}}}, .limit = 2};
  Harness harness = MakeHarness(top_k, 1, false);
  EXPECT_EQ(harness.Step({{{Number(1), 1}, {Number(2), 1}}}).size(), 2u);
  EXPECT_TRUE(harness.Step({{{Number(4), 1}, {Number(3), 1}}}).empty());
  EXPECT_TRUE(harness.Step({{{Number(3), -1}}}).empty());
  Relation change;
  Add(change, harness.Step({{{Number(1), -1}}}));
  EXPECT_EQ(change, (Relation{{Number(1), -1}, {Number(4), 1}}));
}

TEST(TopK, ARowOfWeightThreeTakesThreePlaces) {
  const TopK top_k{.partition = {0}, .orders = {{1, {}}}, .limit = 4};
  Harness harness = MakeHarness(top_k, 1, false);
  Relation out;
  Add(out, harness.Step({{{Number(1), 3}, {Number(2), 5}}}));
  EXPECT_EQ(out, (Relation{{Number(1), 3}, {Number(2), 1}}));
  Add(out, harness.Step({{{Number(1), -2}}}));
  EXPECT_EQ(out, (Relation{{Number(1), 1}, {Number(2), 3}}));
}

TEST(TopK, WithANumberRowsThatMoveAreEmittedAgain) {
  const TopK top_k{.partition = {0}, .orders = {{1, {}}}, .limit = 3, .with_number = true};
  Harness harness = MakeHarness(top_k, 1, false);
  harness.Step({{{Number(2), 1}, {Number(3), 1}}});
  Relation change;
  Add(change, harness.Step({{{Number(1), 1}}}));
  const auto at = [](int64_t number, int64_t place) {
    Row row = Number(number);
    row.emplace_back(place);
    return row;
  };
  EXPECT_EQ(
      change,
      (Relation{{at(2, 1), -1}, {at(3, 2), -1}, {at(1, 1), 1}, {at(2, 2), 1}, {at(3, 3), 1}}));
}

TEST(TopK, KeepsOnlyTheShownRowsWhenNothingIsRetracted) {
  const TopK top_k{.partition = {0}, .orders = {{1, {}}}, .limit = 3, .offset = 1};
  Harness harness = MakeHarness(top_k, 1, true);
  for (int64_t i = 0; i < 50; ++i) {
    harness.Step({{{Number(i * 7 % 50), 1}, {Number(i * 11 % 50), 1}}});
  }
  size_t rows = 0;
  const Status status = harness.state(0)
                            .Bags(Harness::kTable, true)
                            .ForEach([&](std::string_view, const state::BagTable::Group* group) {
                              rows += harness.state(0).Bags(Harness::kTable, true).Size(group);
                            });
  ASSERT_TRUE(status.ok());
  // 0, 0, 1, 1: the hidden place and the three that are shown.
  EXPECT_EQ(rows, 2u);
}

TEST(TopK, WithoutLimitShowsAllAfterTheOffset) {
  const TopK top_k{.partition = {}, .orders = {{1, {}}}, .limit = INT64_MAX, .offset = 1};
  Harness harness = MakeHarness(top_k, 2, false);
  Relation out;
  Add(out, harness.Step({{{Number(1), 1}, {Number(2), 1}, {Number(3), 1}}}));
  EXPECT_EQ(out, (Relation{{Number(2), 1}, {Number(3), 1}}));
}

TEST(TopK, TakesOrderKeysOfAnyLength) {
  const TopK top_k{.partition = {0}, .orders = {{2, {}}}, .limit = 1};
  Harness harness = MakeHarness(top_k, 1, false);
  const Row longest{"p", 1, std::string(70000, 'x'), 0};
  const Row shorter{"p", 1, std::string(253, 'x'), 0};
  Relation out;
  Add(out, harness.Step({{{longest, 1}}}));
  EXPECT_EQ(out, (Relation{{longest, 1}}));
  Add(out, harness.Step({{{shorter, 1}}}));
  EXPECT_EQ(out, (Relation{{shorter, 1}}));
}

}  // namespace
}  // namespace millrace::stream::top_k_test
