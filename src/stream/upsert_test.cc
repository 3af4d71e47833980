#include "stream/upsert.h"

#include <gtest/gtest.h>

#include "stream/operator_harness.h"

namespace millrace::stream::upsert_test {
namespace {

using duckdb::LogicalType;
using testing::Add;
using testing::Cell;
using testing::Changes;
using testing::Harness;
using testing::kNull;
using testing::Relation;
using testing::Row;

// Two key columns and a value, then deleted and order.
const rows::Types kTypes = {LogicalType::BIGINT, LogicalType::VARCHAR, LogicalType::VARCHAR,
                            LogicalType::BOOLEAN, LogicalType::BIGINT};

Harness MakeHarness(int workers) {
  Node node;
  node.op = Upsert{.keys = {1, 0}, .columns = 3, .deleted = 3, .order = 4};
  node.types = {kTypes[0], kTypes[1], kTypes[2]};
  return Harness(MakeUpsert, std::move(node),
                 {{.types = kTypes, .keys = {1, 0}, .insert_only = true}}, workers);
}

Row Change(int64_t key, const Cell& value, bool deleted, int64_t order) {
  return {key, "k", value, int64_t{deleted}, order};
}
Row Value(int64_t key, const Cell& value) { return {key, "k", value}; }

TEST(Upsert, EqualsTheTableThatTheChangesDescribe) {
  const uint64_t first = testing::Seed(1);
  for (uint64_t seed = first; seed < first + 10 && !HasFatalFailure(); ++seed) {
    SCOPED_TRACE(::testing::Message() << "MILLRACE_SEED=" << seed);
    Random random(seed);
    Harness harness = MakeHarness(static_cast<int>(1 + random.Below(4)));
    std::map<std::pair<Cell, Cell>, Row> table;
    Relation out;
    int64_t order = 0;
    for (int step = 0; step < 30; ++step) {
      SCOPED_TRACE(step);
      Changes changes;
      const std::map<std::pair<Cell, Cell>, Row> before = table;
      for (uint64_t i = random.Below(15); i > 0; --i) {
        const Cell number = random.OneIn(8) ? kNull : Cell(static_cast<int64_t>(random.Below(5)));
        const Cell text = random.OneIn(8) ? kNull : Cell(std::string(random.Below(3), 'k'));
        const Cell value = random.OneIn(5) ? kNull : Cell(std::string(random.Below(2) * 20, 'v'));
        const Cell deleted = random.OneIn(6) ? kNull : Cell(static_cast<int64_t>(random.OneIn(3)));
        changes.emplace_back(Row{number, text, value, deleted, order++}, 1);
        if (deleted == Cell(1)) {
          table.erase({number, text});
        } else {
          table[{number, text}] = {number, text, value};
        }
      }
      for (size_t i = changes.size(); i > 1; --i)
        std::swap(changes[i - 1], changes[random.Below(i)]);
      const Changes change = harness.Step({changes}, 1 + random.Below(6));
      Relation once;
      Add(once, change);
      ASSERT_EQ(once.size(), change.size()) << "nothing is emitted that cancels out";
      Add(out, change);
      Relation expected;
      for (const auto& [key, row] : table) Add(expected, row, 1);
      ASSERT_EQ(out, expected);
      testing::MaybeFlushOrRestart(random, harness);
    }
  }
}

TEST(Upsert, TheLastChangeOfAKeyInAStepCountsWhereverItStands) {
  Harness harness = MakeHarness(1);
  Relation out;
  Add(out, harness.Step({{{Change(1, "last", false, 9), 1}, {Change(1, "first", false, 3), 1}}}));
  EXPECT_EQ(out, (Relation{{Value(1, "last"), 1}}));
}

TEST(Upsert, DeletingAMissingKeyIsNothing) {
  Harness harness = MakeHarness(1);
  EXPECT_TRUE(harness.Step({{{Change(1, kNull, true, 1), 1}}}).empty());
  EXPECT_TRUE(
      harness.Step({{{Change(2, "x", false, 2), 1}, {Change(2, kNull, true, 3), 1}}}).empty());
}

TEST(Upsert, AnUnchangedRowEmitsNothing) {
  Harness harness = MakeHarness(1);
  EXPECT_EQ(harness.Step({{{Change(1, "x", false, 1), 1}}}).size(), 1u);
  EXPECT_TRUE(harness.Step({{{Change(1, "x", false, 2), 1}}}).empty());
  EXPECT_TRUE(
      harness.Step({{{Change(1, kNull, true, 3), 1}, {Change(1, "x", false, 4), 1}}}).empty());
}

TEST(Upsert, ADeletionTakesTheStoredRowAwayWhateverItsOwnColumnsHold) {
  Harness harness = MakeHarness(1);
  harness.Step({{{Change(1, "a text that is longer than twelve bytes", false, 1), 1}}});
  harness.Restart(3);
  Relation change;
  Add(change, harness.Step({{{Change(1, kNull, true, 2), 1}}}));
  EXPECT_EQ(change, (Relation{{Value(1, "a text that is longer than twelve bytes"), -1}}));
}

TEST(Upsert, TakesManyKeysInOneStep) {
  Harness harness = MakeHarness(2);
  Changes changes;
  for (int64_t i = 0; i < 9000; ++i)
    changes.emplace_back(Change(i % 5000, std::to_string(i), false, i), 1);
  Relation out;
  Add(out, harness.Step({changes}));
  EXPECT_EQ(out.size(), 5000u);
  EXPECT_EQ(out.count(Value(4999, "4999")), 1u);
  EXPECT_EQ(out.count(Value(3999, "8999")), 1u);
}

}  // namespace
}  // namespace millrace::stream::upsert_test
