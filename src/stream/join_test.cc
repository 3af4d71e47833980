#include "stream/join.h"

#include <gtest/gtest.h>

#include <functional>

#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "stream/operator_harness.h"

namespace millrace::stream::join_test {
namespace {

using duckdb::LogicalType;
using testing::Add;
using testing::Cell;
using testing::Changes;
using testing::Harness;
using testing::kNull;
using testing::Relation;
using testing::Row;

// Both sides: two key columns, a number, a text.
const rows::Types kSide = {LogicalType::BIGINT, LogicalType::VARCHAR, LogicalType::BIGINT,
                           LogicalType::VARCHAR};

struct Case {
  JoinKind kind = JoinKind::kInner;
  size_t keys = 1;
  bool nulls_equal = false;  // in the last key; the first one always needs a value
  bool condition = false;    // left.number < right.number
};

Expression NumberIsLess() {
  return std::make_shared<duckdb::BoundComparisonExpression>(
      duckdb::ExpressionType::COMPARE_LESSTHAN,
      duckdb::make_uniq<duckdb::BoundReferenceExpression>(LogicalType::BIGINT, 2),
      duckdb::make_uniq<duckdb::BoundReferenceExpression>(LogicalType::BIGINT, 6));
}

Harness MakeHarness(const Case& c, int workers) {
  Join join;
  join.kind = c.kind;
  for (size_t i = 0; i < c.keys; ++i) {
    join.left_keys.push_back(i);
    join.right_keys.push_back(i);
    join.nulls_equal.push_back(c.nulls_equal && i + 1 == c.keys);
  }
  if (c.condition) join.condition = NumberIsLess();
  Node node;
  node.types = kSide;
  node.types.insert(node.types.end(), kSide.begin(), kSide.end());
  const Harness::Input input{.types = kSide, .keys = join.left_keys};
  node.op = std::move(join);
  return Harness(MakeJoin, std::move(node), {input, input}, workers);
}

bool Matches(const Case& c, const Row& left, const Row& right) {
  for (size_t i = 0; i < c.keys; ++i) {
    if (left[i] != right[i]) return false;
    if (left[i] == kNull && !(c.nulls_equal && i + 1 == c.keys)) return false;
  }
  return !c.condition || (left[2] != kNull && right[2] != kNull && left[2] < right[2]);
}

Relation Recompute(const Case& c, const Relation& left, const Relation& right) {
  Relation out;
  for (const auto& [left_row, left_weight] : left) {
    bool matched = false;
    for (const auto& [right_row, right_weight] : right) {
      if (!Matches(c, left_row, right_row)) continue;
      matched = true;
      Row row = left_row;
      row.insert(row.end(), right_row.begin(), right_row.end());
      Add(out, row, left_weight * right_weight);
    }
    if (matched || c.kind == JoinKind::kInner) continue;
    Row row = left_row;
    row.resize(2 * kSide.size());
    Add(out, row, left_weight);
  }
  return out;
}

Row RandomRow(Random& random, uint64_t keys) {
  const auto small = [&](uint64_t bound) -> Cell {
    return random.OneIn(8) ? kNull : Cell(static_cast<int64_t>(random.Below(bound)));
  };
  const Cell text = random.OneIn(5) ? kNull : Cell(std::string(random.Below(3), 'k'));
  const Cell payload = random.OneIn(9) ? kNull : Cell(std::string(random.Below(30), 'p'));
  return {small(keys), text, small(6), payload};
}

// Follows the law through random steps; `step` says which inputs of a step have rows.
void FollowTheLaw(const Case& c, uint64_t seed) {
  SCOPED_TRACE(::testing::Message()
               << "MILLRACE_SEED=" << seed << " kind " << static_cast<int>(c.kind) << " keys "
               << c.keys << " nulls_equal " << c.nulls_equal << " condition " << c.condition);
  Random random(seed);
  Harness harness = MakeHarness(c, static_cast<int>(1 + random.Below(4)));
  Relation content[2];
  Relation out;
  const uint64_t keys = 1 + random.Below(12);
  for (int step = 0; step < 30; ++step) {
    SCOPED_TRACE(step);
    std::vector<Changes> changes(2);
    const uint64_t sides = random.Below(5);  // 0: left only, 1: right only, else both
    for (size_t side = 0; side < 2; ++side) {
      if (sides + side == 1) continue;
      changes[side] = testing::RandomChanges(random, content[side], random.Below(12),
                                             [&] { return RandomRow(random, keys); });
    }
    Add(out, harness.Step(changes, 1 + random.Below(10)));
    ASSERT_EQ(out, Recompute(c, content[0], content[1]));
    testing::MaybeFlushOrRestart(random, harness);
  }
}

void FollowTheLawUnderManySeeds(const Case& c) {
  const uint64_t first = testing::Seed(1);
  for (uint64_t seed = first; seed < first + 4; ++seed) {
    FollowTheLaw(c, seed);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(Join, InnerEqualsTheJoinOfTheWholeInputs) {
  FollowTheLawUnderManySeeds({.kind = JoinKind::kInner});
  FollowTheLawUnderManySeeds({.kind = JoinKind::kInner, .keys = 2, .nulls_equal = true});
  FollowTheLawUnderManySeeds({.kind = JoinKind::kInner, .keys = 2});
}

TEST(Join, InnerWithConditionEqualsTheJoinOfTheWholeInputs) {
  FollowTheLawUnderManySeeds({.kind = JoinKind::kInner, .condition = true});
}

TEST(Join, WithoutKeysEqualsTheCrossProduct) {
  FollowTheLawUnderManySeeds({.kind = JoinKind::kInner, .keys = 0});
  FollowTheLawUnderManySeeds({.kind = JoinKind::kInner, .keys = 0, .condition = true});
  FollowTheLawUnderManySeeds({.kind = JoinKind::kLeft, .keys = 0});
  FollowTheLawUnderManySeeds({.kind = JoinKind::kLeft, .keys = 0, .condition = true});
}

TEST(Join, LeftEqualsTheJoinOfTheWholeInputs) {
  FollowTheLawUnderManySeeds({.kind = JoinKind::kLeft});
  FollowTheLawUnderManySeeds({.kind = JoinKind::kLeft, .keys = 2, .nulls_equal = true});
}

TEST(Join, LeftWithConditionEqualsTheJoinOfTheWholeInputs) {
  FollowTheLawUnderManySeeds({.kind = JoinKind::kLeft, .condition = true});
  FollowTheLawUnderManySeeds(
      {.kind = JoinKind::kLeft, .keys = 2, .nulls_equal = true, .condition = true});
}

TEST(Join, OfABatchWithItselfIsRight) {
  const Case c{.kind = JoinKind::kLeft};
  Random random(testing::Seed(7));
  Harness harness = MakeHarness(c, 2);
  Relation content;
  Relation out;
  for (int step = 0; step < 10; ++step) {
    const Changes changes =
        testing::RandomChanges(random, content, 20, [&] { return RandomRow(random, 5); });
    Add(out, harness.Step({changes, changes}));
    ASSERT_EQ(out, Recompute(c, content, content));
  }
}

TEST(Join, ManyPairsInOneStepFillSeveralChunks) {
  const Case c{.kind = JoinKind::kInner};
  Harness harness = MakeHarness(c, 1);
  Relation left;
  Relation right;
  for (int64_t i = 0; i < 300; ++i) {
    Add(left, {i % 3, kNull, i, "left"}, 1);
    Add(right, {i % 3, kNull, i, "a text that is longer than twelve bytes"}, 2);
  }
  Relation out;
  Add(out, harness.Step({Changes(left.begin(), left.end()), Changes(right.begin(), right.end())}));
  EXPECT_EQ(out.size(), 30000u);
  EXPECT_EQ(out, Recompute(c, left, right));
}

TEST(Join, LeftRowsStayPaddedWhenAKeyComesAndGoesWithinAStep) {
  Harness harness = MakeHarness({.kind = JoinKind::kLeft}, 1);
  const Row left{1, kNull, 1, "left"};
  const Row right{1, kNull, 1, "right"};
  harness.Step({{{left, 1}}, {}});
  Relation change;
  Add(change, harness.Step({{}, {{right, 1}, {right, -1}}}));
  EXPECT_TRUE(change.empty());
}

TEST(Join, APairWhoseConditionFailsIsNoMatchAndIsReported) {
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  duckdb::unique_ptr<duckdb::Expression> number;
  connection.context->RunFunctionInTransaction([&] {
    number = duckdb::BoundCastExpression::AddCastToType(
        *connection.context,
        duckdb::make_uniq<duckdb::BoundReferenceExpression>(LogicalType::VARCHAR, 3),
        LogicalType::BIGINT);
  });
  Join join{.kind = JoinKind::kLeft,
            .left_keys = {0},
            .right_keys = {0},
            .nulls_equal = {false},
            .condition = {}};
  join.condition = std::make_shared<duckdb::BoundComparisonExpression>(
      duckdb::ExpressionType::COMPARE_EQUAL, std::move(number),
      duckdb::make_uniq<duckdb::BoundReferenceExpression>(LogicalType::BIGINT, 6));
  Node node;
  node.op = std::move(join);
  node.types = kSide;
  node.types.insert(node.types.end(), kSide.begin(), kSide.end());
  Harness harness(MakeJoin, std::move(node), {{kSide, {0}}, {kSide, {0}}}, 1);

  const Row good{1, kNull, 1, "7"};
  const Row bad{1, kNull, 2, "seven"};
  const Row right{1, kNull, 7, kNull};
  Relation out;
  Add(out, harness.Step({{{good, 1}, {bad, 1}}, {{right, 1}}}));
  EXPECT_EQ(out, (Relation{{{1, kNull, 1, "7", 1, kNull, 7, kNull}, 1},
                           {{1, kNull, 2, "seven", kNull, kNull, kNull, kNull}, 1}}));
  ASSERT_EQ(harness.failures.size(), 1u);
  EXPECT_EQ(harness.failures[0].weight, 1);
  Add(out, harness.Step({{{bad, -1}}, {}}));
  ASSERT_EQ(harness.failures.size(), 1u);
  EXPECT_EQ(harness.failures[0].weight, -1);
  EXPECT_EQ(out.size(), 1u);
}

}  // namespace
}  // namespace millrace::stream::join_test
