// Rows come and go with the clock, whatever is flushed or restarted in between.
#include <gtest/gtest.h>

#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "stream/operator_harness.h"

namespace millrace::stream::temporal_filter_test {
namespace {

using duckdb::ExpressionType;
using duckdb::LogicalType;
using testing::Add;
using testing::Changes;
using testing::Harness;
using testing::kNull;
using testing::Relation;
using testing::Row;

// Two times and a payload.
const rows::Types kTypes = {LogicalType::TIMESTAMP, LogicalType::TIMESTAMP, LogicalType::BIGINT};

TemporalFilter::Condition Compare(ColumnIndex column, ExpressionType comparison, bool with_shift) {
  return {column, comparison,
          std::make_shared<duckdb::BoundReferenceExpression>("clock", LogicalType::TIMESTAMP, 0),
          with_shift ? std::optional(std::chrono::microseconds(0)) : std::nullopt};
}

bool Holds(const TemporalFilter::Condition& condition, const Row& row, int64_t clock) {
  if (row[condition.column] == kNull) return false;
  const int64_t value = std::get<int64_t>(row[condition.column]);
  switch (condition.comparison) {
    case ExpressionType::COMPARE_GREATERTHAN:
      return value > clock;
    case ExpressionType::COMPARE_GREATERTHANOREQUALTO:
      return value >= clock;
    case ExpressionType::COMPARE_LESSTHAN:
      return value < clock;
    case ExpressionType::COMPARE_LESSTHANOREQUALTO:
      return value <= clock;
    default:
      return value == clock;
  }
}

// One worker: the harness sends rows by keys, the circuit sends these by the whole row.
Harness MakeHarness(const TemporalFilter& filter) {
  Node node;
  node.op = filter;
  node.types = kTypes;
  return Harness(MakeTemporalFilter, std::move(node), {{.types = kTypes, .keys = {}}}, 1);
}

void CompareWithModel(const TemporalFilter& filter, uint64_t seed) {
  SCOPED_TRACE(seed);
  Random random(seed);
  Harness harness = MakeHarness(filter);
  Relation all;
  Relation given;
  int64_t clock = 1'000'000;
  for (int step = 0; step < 60; ++step) {
    Changes changes;
    for (uint64_t i = random.Below(6); i > 0; --i) {
      const auto time = [&]() -> testing::Cell {
        if (random.OneIn(8)) return kNull;
        return clock - 10 + static_cast<int64_t>(random.Below(30));
      };
      const Row row = {time(), time(), static_cast<int64_t>(random.Below(2))};
      changes.emplace_back(row, all.contains(row) && random.OneIn(2) ? -1 : 1);
      Add(all, {changes.back()});
    }
    if (!all.empty() && random.OneIn(2)) {  // also of rows that are long gone
      changes.emplace_back(all.begin()->first, -1);
      Add(all, {changes.back()});
    }
    clock += static_cast<int64_t>(random.Below(8));
    harness.clock = Micros{clock};
    Add(given, harness.Step({changes}));
    Relation expected;
    for (const auto& [row, weight] : all) {
      const bool there = std::all_of(filter.conditions.begin(), filter.conditions.end(),
                                     [&](const auto& c) { return Holds(c, row, clock); });
      if (there) expected.emplace(row, weight);
    }
    ASSERT_EQ(given, expected) << "step " << step;
    if (random.OneIn(10)) harness.BeginFlush();
    if (random.OneIn(15)) harness.Restart(1);
  }
}

TEST(TemporalFilter, FollowsTheClock) {
  const uint64_t seed = testing::Seed(3);
  const std::vector<ExpressionType> comparisons = {
      ExpressionType::COMPARE_GREATERTHAN, ExpressionType::COMPARE_GREATERTHANOREQUALTO,
      ExpressionType::COMPARE_LESSTHAN, ExpressionType::COMPARE_LESSTHANOREQUALTO,
      ExpressionType::COMPARE_EQUAL};
  for (const bool with_shift : {true, false}) {
    for (size_t i = 0; i < comparisons.size(); ++i)
      CompareWithModel({{Compare(0, comparisons[i], with_shift)}}, seed + i);
    CompareWithModel({{Compare(0, ExpressionType::COMPARE_LESSTHANOREQUALTO, with_shift),
                       Compare(1, ExpressionType::COMPARE_GREATERTHAN, with_shift)}},
                     seed + 10);
  }
}

TEST(TemporalFilter, TimesAtTheEndsOfTheCalendarNeverComeOrGo) {
  constexpr int64_t kInfinity = std::numeric_limits<int64_t>::max();
  TemporalFilter filter{{Compare(0, ExpressionType::COMPARE_GREATERTHAN, true)}};
  filter.conditions[0].shift = std::chrono::hours(-1);
  Harness harness = MakeHarness(filter);
  harness.clock = Micros{0};
  const Row later = {kInfinity, kNull, int64_t{1}};
  const Row earlier = {-kInfinity, kNull, int64_t{1}};
  EXPECT_EQ(harness.Step({{{later, 1}, {earlier, 1}}}), (Changes{{later, 1}}));
}

}  // namespace
}  // namespace millrace::stream::temporal_filter_test
