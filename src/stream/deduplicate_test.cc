#include "stream/deduplicate.h"

#include <gtest/gtest.h>

#include <limits>

#include "stream/operator_harness.h"

namespace millrace::stream::deduplicate_test {
namespace {

using duckdb::LogicalType;
using testing::Add;
using testing::Cell;
using testing::Changes;
using testing::Harness;
using testing::kNull;
using testing::Relation;
using testing::Row;
using Exclusions = std::set<std::pair<int32_t, int64_t>>;

// Key, event time, payload, then order, partition, offset.
const rows::Types kTypes = {LogicalType::VARCHAR, LogicalType::TIMESTAMP, LogicalType::BIGINT,
                            LogicalType::BIGINT,  LogicalType::INTEGER,   LogicalType::BIGINT};

Deduplicate MakeNode(std::optional<int64_t> within) {
  Deduplicate node{.keys = {0},
                   .time = {},
                   .within = {},
                   .order = 3,
                   .partition = 4,
                   .offset = 5,
                   .stream = "s"};
  if (within) {
    node.time = 1;
    node.within = std::chrono::microseconds(*within);
  }
  return node;
}

Harness MakeHarness(const Deduplicate& deduplicate, int workers) {
  Node node;
  node.op = deduplicate;
  node.types = kTypes;
  return Harness(MakeDeduplicate, std::move(node),
                 {{.types = kTypes, .keys = deduplicate.keys, .insert_only = true}}, workers);
}

// The law, row by row in append order.
struct Model {
  std::optional<int64_t> within;
  std::map<Cell, std::vector<Cell>> accepted;
  Relation out;
  Exclusions exclusions;

  void Take(const Row& row) {
    std::vector<Cell>& times = accepted[row[0]];
    const bool duplicate = std::any_of(times.begin(), times.end(), [&](const Cell& time) {
      if (!within) return true;
      if (time == kNull || row[1] == kNull) return false;
      const __int128 distance =
          static_cast<__int128>(std::get<int64_t>(time)) - std::get<int64_t>(row[1]);
      return (distance < 0 ? -distance : distance) < *within;
    });
    if (duplicate) {
      exclusions.emplace(std::get<int64_t>(row[4]), std::get<int64_t>(row[5]));
    } else {
      times.push_back(row[1]);
      Add(out, row, 1);
    }
  }
};

void FollowTheLaw(uint64_t seed, std::optional<int64_t> within) {
  SCOPED_TRACE(::testing::Message()
               << "MILLRACE_SEED=" << seed << " within " << within.value_or(-1));
  Random random(seed);
  Harness harness = MakeHarness(MakeNode(within), static_cast<int>(1 + random.Below(4)));
  Model model{.within = within, .accepted = {}, .out = {}, .exclusions = {}};
  Relation out;
  Exclusions exclusions;
  int64_t order = 0;
  int64_t offsets[3] = {0, 0, 0};
  for (int step = 0; step < 30; ++step) {
    SCOPED_TRACE(step);
    std::vector<Row> appended;
    for (uint64_t i = random.Below(14); i > 0; --i) {
      // Rows of one frame share their order; a frame belongs to one partition.
      if (!random.OneIn(3)) ++order;
      const int64_t partition = order % 3;
      // Times wander forward and are often far out of order.
      const int64_t time = step * 3 + static_cast<int64_t>(random.Below(60)) - 30;
      appended.push_back({random.OneIn(10) ? kNull : Cell(std::string(random.Below(5), 'k')),
                          random.OneIn(12) ? kNull : Cell(time),
                          static_cast<int64_t>(random.Below(3)), order, partition,
                          offsets[partition]++});
    }
    ++order;
    for (const Row& row : appended) model.Take(row);
    Changes changes;
    for (const Row& row : appended) changes.emplace_back(row, 1);
    for (size_t i = changes.size(); i > 1; --i) std::swap(changes[i - 1], changes[random.Below(i)]);
    Add(out, harness.Step({changes}, 1 + random.Below(6)));
    exclusions.insert(harness.exclusions.begin(), harness.exclusions.end());
    ASSERT_EQ(out, model.out);
    ASSERT_EQ(exclusions, model.exclusions);
    testing::MaybeFlushOrRestart(random, harness);
  }
}

TEST(Deduplicate, WithAHorizonKeepsTheFirstRowOfEachKeyWhateverTheBatching) {
  const uint64_t first = testing::Seed(1);
  for (uint64_t seed = first; seed < first + 8 && !HasFatalFailure(); ++seed) {
    FollowTheLaw(seed, 1 + static_cast<int64_t>(seed % 25));
  }
}

TEST(Deduplicate, WithoutHorizonKeepsTheFirstRowOfEachKeyForEver) {
  const uint64_t first = testing::Seed(1);
  for (uint64_t seed = first; seed < first + 4 && !HasFatalFailure(); ++seed) {
    FollowTheLaw(seed, std::nullopt);
  }
}

TEST(Deduplicate, ARowExactlyTheHorizonAwayIsNoDuplicate) {
  Harness harness = MakeHarness(MakeNode(10), 1);
  EXPECT_EQ(harness.Step({{{{"k", 100, 0, 1, 0, 0}, 1}}}).size(), 1u);
  EXPECT_EQ(harness.Step({{{{"k", 109, 0, 2, 0, 1}, 1}}}).size(), 0u);
  EXPECT_EQ(harness.exclusions, (Exclusions{{0, 1}}));
  EXPECT_EQ(harness.Step({{{{"k", 110, 0, 3, 0, 2}, 1}}}).size(), 1u);
  EXPECT_EQ(harness.Step({{{{"k", 90, 0, 4, 0, 3}, 1}}}).size(), 1u);
}

TEST(Deduplicate, OnlyAcceptedRowsMakeDuplicates) {
  Harness harness = MakeHarness(MakeNode(10), 1);
  const Changes out = harness.Step(
      {{{{"k", 0, 0, 1, 0, 0}, 1}, {{"k", 9, 0, 2, 0, 1}, 1}, {{"k", 18, 0, 3, 0, 2}, 1}}});
  Relation accepted;
  Add(accepted, out);
  EXPECT_EQ(accepted, (Relation{{{"k", 0, 0, 1, 0, 0}, 1}, {{"k", 18, 0, 3, 0, 2}, 1}}));
}

TEST(Deduplicate, TakesTheGreatestAndSmallestTimes) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max() - 1;  // the last one before infinity
  constexpr int64_t kMin = -kMax;
  Harness harness = MakeHarness(MakeNode(1000), 1);
  EXPECT_EQ(harness.Step({{{{"k", kMin, 0, 1, 0, 0}, 1}, {{"k", kMax, 0, 2, 0, 1}, 1}}}).size(),
            2u);
  EXPECT_EQ(harness.Step({{{{"k", 0, 0, 3, 0, 2}, 1}}}).size(), 1u);
  EXPECT_EQ(harness.Step({{{{"k", kMin + 1000, 0, 4, 0, 3}, 1}}}).size(), 1u);
  EXPECT_EQ(harness.Step({{{{"k", kMin + 1001, 0, 5, 0, 4}, 1}}}).size(), 0u);
  EXPECT_EQ(harness.Step({{{{"k", kMax - 999, 0, 6, 0, 5}, 1}}}).size(), 0u);
}

TEST(Deduplicate, PassesManyRowsOfSeveralChunks) {
  Harness harness = MakeHarness(MakeNode(std::nullopt), 2);
  Changes changes;
  for (int64_t i = 0; i < 10000; ++i) {
    changes.emplace_back(Row{std::to_string(i % 6000), i, 0, i, 0, i}, 1);
  }
  EXPECT_EQ(harness.Step({changes}).size(), 6000u);
  EXPECT_EQ(harness.exclusions.size(), 4000u);
}

}  // namespace
}  // namespace millrace::stream::deduplicate_test
