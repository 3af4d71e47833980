// Operators whose keys close: what they give is what they give without closing, and in the end
// nothing is left of closed keys; whatever is flushed, evicted or restarted in between.
#include "stream/closing.h"

#include <gtest/gtest.h>

#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "stream/operator_harness.h"

namespace millrace::stream::closing_test {
namespace {

using duckdb::LogicalType;
using testing::Add;
using testing::Changes;
using testing::Harness;
using testing::kNull;
using testing::Relation;
using testing::Row;

// Time, key, payload.
const rows::Types kTypes = {LogicalType::TIMESTAMP, LogicalType::BIGINT, LogicalType::BIGINT};
constexpr const char* kStream = "s";

TimeBound Watermark() {
  TimeBound::Term term;
  term.stream = kStream;
  term.value =
      std::make_shared<duckdb::BoundReferenceExpression>("watermark", LogicalType::TIMESTAMP, 0);
  return {{std::move(term)}};
}

Node HoldNode() {
  Node node;
  node.op = Hold{0};
  node.types = kTypes;
  node.closing = {0, Watermark()};
  return node;
}

size_t GroupsLeft(Harness& harness, int workers, uint64_t table, bool ordered) {
  size_t left = 0;
  for (int worker = 0; worker < workers; ++worker) {
    const Status status =
        harness.state(worker)
            .Bags(state::TableId{Harness::kTable.value + table}, ordered)
            .ForEach([&](std::string_view, const state::BagTable::Group*) { ++left; });
    EXPECT_TRUE(status.ok()) << status.error().ToString();
  }
  return left;
}

TEST(Closing, HoldGivesRowsOutWhenNoEarlierOneCanCome) {
  const uint64_t seed = testing::Seed(7);
  SCOPED_TRACE(seed);
  Random random(seed);
  int workers = 2;
  Harness harness(MakeHold, HoldNode(), {{.types = kTypes, .keys = {0}}}, workers);
  Relation given;
  Relation all;
  int64_t watermark = 0;
  for (int step = 0; step < 200; ++step) {
    Changes changes;
    for (uint64_t i = random.Below(8); i > 0; --i) {
      const auto time = watermark + static_cast<int64_t>(random.Below(30));
      const Row row = {time, static_cast<int64_t>(random.Below(3)), int64_t{1}};
      changes.emplace_back(row, all.contains(row) && random.Below(3) == 0 ? -1 : 1);
      Add(all, {changes.back()});
    }
    watermark += static_cast<int64_t>(random.Below(10));
    harness.watermarks[kStream] = Micros{watermark};
    Add(given, harness.Step({changes}));
    Relation expected;
    for (const auto& [row, weight] : all) {
      if (std::get<int64_t>(row[0]) < watermark) expected.emplace(row, weight);
    }
    ASSERT_EQ(given, expected) << "step " << step;
    if (random.Below(10) == 0) harness.BeginFlush();
    if (random.Below(40) == 0) harness.Restart(workers = 1 + static_cast<int>(random.Below(3)));
  }
  harness.watermarks[kStream] = Micros{watermark + 1000};
  Add(given, harness.Step({{}}));
  EXPECT_EQ(given, all);
}

TEST(Closing, HoldKeepsNothingWithoutTime) {
  Harness harness(MakeHold, HoldNode(), {{.types = kTypes, .keys = {0}}}, 1);
  harness.watermarks[kStream] = Micros{10};
  EXPECT_TRUE(harness.Step({{{{kNull, int64_t{1}, int64_t{1}}, 1}}}).empty());
  harness.watermarks[kStream] = Micros{1000};
  EXPECT_TRUE(harness.Step({{}}).empty());
  EXPECT_EQ(GroupsLeft(harness, 1, 0, false), 0u);
}

TEST(Closing, NothingClosesBeforeEveryStreamHasAWatermark) {
  Node node = HoldNode();
  TimeBound other = Watermark();
  other.terms[0].stream = "other";
  node.closing->bound.terms.push_back(other.terms[0]);
  Harness harness(MakeHold, node, {{.types = kTypes, .keys = {0}}}, 1);
  const Row row = {int64_t{5}, int64_t{1}, int64_t{1}};
  harness.watermarks[kStream] = Micros{100};
  EXPECT_TRUE(harness.Step({{{row, 1}}}).empty());
  harness.watermarks["other"] = Micros{5};
  EXPECT_TRUE(harness.Step({{}}).empty()) << "another row at 5 may still come";
  harness.watermarks["other"] = Micros{6};
  EXPECT_EQ(harness.Step({{}}), (Changes{{row, 1}}));
}

// Runs the node with and without its closing on the same changes.
void CompareWithoutClosing(Harness::Make make, const Node& node,
                           const std::vector<Harness::Input>& inputs, size_t tables, bool ordered) {
  const uint64_t seed = testing::Seed(11);
  SCOPED_TRACE(seed);
  Random random(seed);
  int workers = 2;
  Node plain = node;
  plain.closing.reset();
  Harness closing(make, node, inputs, workers);
  Harness keeping(make, plain, inputs, workers);
  std::vector<Relation> present(inputs.size());
  int64_t watermark = 0;
  for (int step = 0; step < 150; ++step) {
    std::vector<Changes> changes(inputs.size());
    for (size_t input = 0; input < inputs.size(); ++input) {
      for (uint64_t i = random.Below(10); i > 0; --i) {
        const Row row = {watermark + static_cast<int64_t>(random.Below(12)),
                         static_cast<int64_t>(random.Below(2)),
                         static_cast<int64_t>(random.Below(4))};
        const bool takes = present[input].contains(row) && random.Below(3) == 0;
        changes[input].emplace_back(row, takes ? -1 : 1);
        Add(present[input], {changes[input].back()});
      }
    }
    closing.watermarks[kStream] = Micros{watermark};
    Relation given;
    Relation expected;
    Add(given, closing.Step(changes));
    Add(expected, keeping.Step(changes));
    ASSERT_EQ(given, expected) << "step " << step;
    watermark += static_cast<int64_t>(random.Below(6));
    if (random.Below(10) == 0) closing.BeginFlush();
    if (random.Below(30) == 0) {
      workers = 1 + static_cast<int>(random.Below(3));
      closing.Restart(workers);
      keeping.Restart(workers);
    }
  }
  closing.watermarks[kStream] = Micros{watermark + 1000};
  EXPECT_TRUE(closing.Step(std::vector<Changes>(inputs.size())).empty());
  for (size_t table = 0; table < tables; ++table)
    EXPECT_EQ(GroupsLeft(closing, workers, table, ordered), 0u) << "table " << table;
}

TEST(Closing, TopKForgetsClosedPartitions) {
  Node node;
  TopK top;
  top.partition = {1, 0};
  top.orders = {{2, {}}};
  top.limit = 2;
  node.op = top;
  node.types = kTypes;
  node.closing = {1, Watermark()};
  CompareWithoutClosing(MakeTopK, node, {{.types = kTypes, .keys = {1, 0}}}, 1, true);
}

Node JoinNode(JoinKind kind) {
  Node node;
  node.op = Join{kind, {0, 1}, {0, 1}, {false, false}, nullptr};
  node.types = kTypes;
  node.types.insert(node.types.end(), kTypes.begin(), kTypes.end());
  node.closing = {0, Watermark()};
  return node;
}

TEST(Closing, JoinForgetsClosedKeys) {
  const Harness::Input input{.types = kTypes, .keys = {0, 1}};
  for (const JoinKind kind : {JoinKind::kInner, JoinKind::kLeft})
    CompareWithoutClosing(MakeJoin, JoinNode(kind), {input, input}, 2, false);
}

TEST(TimeIndex, GivesEachKeyBackOnceWhenItIsDue) {
  Harness harness(MakeHold, HoldNode(), {{.types = kTypes, .keys = {0}}}, 1);
  TimeIndex index(harness.state(0), state::TableId{5000}, 0, 1);
  const auto key = [](std::string_view bytes) { return state::Key{bytes, rows::KeyHash(bytes)}; };
  ASSERT_TRUE(
      index.Add(std::vector<TimeIndex::New>{{"03", key("a"), "x"}, {"01", key("b"), {}}}).ok());
  ASSERT_TRUE(index.Add(std::vector<TimeIndex::New>{{"01", key("b"), {}}}).ok());
  auto first = index.First();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->substr(0, 2), "01");
  auto taken = index.Take("03", /*inclusive=*/false);
  ASSERT_TRUE(taken.ok());
  ASSERT_EQ(taken->size(), 1u);
  EXPECT_EQ((*taken)[0].key.bytes, "b");
  taken = index.Take("03", /*inclusive=*/true);
  ASSERT_TRUE(taken.ok());
  ASSERT_EQ(taken->size(), 1u);
  EXPECT_EQ((*taken)[0].payload, "x");
  EXPECT_TRUE(index.Take("99", true)->empty());
}

}  // namespace
}  // namespace millrace::stream::closing_test
