#include "stream/session_window.h"

#include <gmock/gmock.h>

#include "stream/operator_harness.h"

namespace millrace::stream::session_window_test {
namespace {

using testing::Add;
using testing::Changes;
using testing::Harness;
using testing::kNull;
using testing::Relation;
using testing::Row;

constexpr int64_t kGap = 5;
const rows::Types kTypes = {duckdb::LogicalType::BIGINT, duckdb::LogicalType::TIMESTAMP,
                            duckdb::LogicalType::BIGINT};  // partition, time, id

Node SessionNode() {
  Node node;
  node.op = SessionWindow{{0}, 1, std::chrono::microseconds(kGap), duckdb::LogicalType::TIMESTAMP};
  node.inputs = {0};
  node.types = kTypes;
  node.types.insert(node.types.end(), 2, duckdb::LogicalType::TIMESTAMP);
  return node;
}

Row Event(int64_t partition, int64_t time, int64_t id = 0) { return {partition, time, id}; }
Row InSession(int64_t partition, int64_t time, int64_t first, int64_t end) {
  return {partition, time, int64_t{0}, first, end};
}

// Sorted by time; neighbours further apart than the gap are in different sessions.
Relation Expected(const Relation& input) {
  std::map<testing::Cell, std::vector<std::pair<Row, int64_t>>> partitions;
  for (const auto& [row, weight] : input) {
    if (row[1] != kNull && weight > 0) partitions[row[0]].push_back({row, weight});
  }
  Relation out;
  const auto time = [](const auto& item) { return std::get<int64_t>(item.first[1]); };
  for (auto& [key, items] : partitions) {
    std::stable_sort(items.begin(), items.end(),
                     [&](const auto& a, const auto& b) { return time(a) < time(b); });
    for (size_t begin = 0; begin < items.size();) {
      size_t end = begin + 1;
      while (end < items.size() && time(items[end]) - time(items[end - 1]) <= kGap) ++end;
      for (size_t i = begin; i < end; ++i) {
        Row row = items[i].first;
        row.emplace_back(time(items[begin]));
        row.emplace_back(time(items[end - 1]) + kGap);
        Add(out, row, items[i].second);
      }
      begin = end;
    }
  }
  return out;
}

TEST(SessionWindowTest, EqualsTheSessionsOfTheWholeInputThroughChangesFlushesAndRestarts) {
  const uint64_t seed = testing::Seed(1);
  SCOPED_TRACE(seed);
  Random random(seed);
  Harness harness(MakeSessionWindow, SessionNode(), {{kTypes, {0}}}, 2);
  Relation input;
  Relation output;
  for (int step = 0; step < 200; ++step) {
    const Changes changes = testing::RandomChanges(random, input, 1 + random.Below(12), [&] {
      Row row =
          Event(static_cast<int64_t>(random.Below(3)), static_cast<int64_t>(random.Below(150)),
                static_cast<int64_t>(random.Below(2)));
      if (random.OneIn(20)) row[1] = kNull;
      return row;
    });
    Add(output, harness.Step({changes}, 1 + random.Below(30)));
    ASSERT_EQ(output, Expected(input)) << "step " << step;
    testing::MaybeFlushOrRestart(random, harness);
  }
}

TEST(SessionWindowTest, ARowBetweenTwoSessionsMakesThemOneAndItsRetractionTwo) {
  Harness harness(MakeSessionWindow, SessionNode(), {{kTypes, {0}}}, 1);
  Relation output;
  Add(output, harness.Step({{{Event(1, 0), 1}, {Event(1, 10), 1}}}));
  const Relation apart = {{InSession(1, 0, 0, 5), 1}, {InSession(1, 10, 10, 15), 1}};
  EXPECT_EQ(output, apart);
  Add(output, harness.Step({{{Event(1, 5), 1}}}));
  const Relation together = {
      {InSession(1, 0, 0, 15), 1}, {InSession(1, 5, 0, 15), 1}, {InSession(1, 10, 0, 15), 1}};
  EXPECT_EQ(output, together) << "rows exactly a gap apart are in one session";
  Add(output, harness.Step({{{Event(1, 5), -1}}}));
  EXPECT_EQ(output, apart);
}

TEST(SessionWindowTest, ARowInTheMiddleOfASessionChangesNothingElse) {
  Harness harness(MakeSessionWindow, SessionNode(), {{kTypes, {0}}}, 1);
  harness.Step({{{Event(1, 0), 1}, {Event(1, 5), 1}, {Event(1, 30), 1}}});
  const Changes changes = harness.Step({{{Event(1, 3), 1}}});
  EXPECT_THAT(changes, ::testing::ElementsAre(std::pair(InSession(1, 3, 0, 10), int64_t{1})));
}

TEST(SessionWindowTest, InfiniteTimesAreNoGapAwayFromThemselvesOnly) {
  Harness harness(MakeSessionWindow, SessionNode(), {{kTypes, {0}}}, 1);
  constexpr int64_t kInfinity = std::numeric_limits<int64_t>::max();
  Relation output;
  Add(output, harness.Step({{{Event(1, kInfinity), 2}, {Event(1, 0), 1}}}));
  Add(output, harness.Step({{{Event(1, -kInfinity), 1}, {Event(1, 2), 1}}}));
  const Relation expected = {{InSession(1, -kInfinity, -kInfinity, -kInfinity), 1},
                             {InSession(1, 0, 0, 7), 1},
                             {InSession(1, 2, 0, 7), 1},
                             {InSession(1, kInfinity, kInfinity, kInfinity), 2}};
  EXPECT_EQ(output, expected);
}

}  // namespace
}  // namespace millrace::stream::session_window_test
