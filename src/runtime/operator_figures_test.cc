#include "runtime/operator_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "runtime/testing.h"

namespace millrace::runtime::operator_figures_test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class OperatorFiguresTest : public testing::Test {
 protected:
  void Start() {
    node_.reset();
    auto started = Node::Start(disk_.Options(2));
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = std::move(*started);
  }
  void Do(const std::string& text) {
    const auto result = node_->Execute(text, {});
    ASSERT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
  }
  void Apply(const std::string& project) {
    const auto applied = node_->ApplyProject({{"project.sql", project}}, {});
    ASSERT_TRUE(applied.ok()) << applied.error().ToString();
    // Views over rows that are there are built beside the steps.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (Query(*node_, "SELECT count(*) FROM millrace.views WHERE status = 'building'") !=
           Rows{{"0"}}) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  std::vector<std::string> Lines(const std::string& explain) {
    std::vector<std::string> lines;
    for (const auto& row : Query(*node_, explain)) lines.push_back(row[0]);
    return lines;
  }
  // Of the aggregate of a view.
  std::vector<std::string> Aggregate(const std::string& view, const std::string& columns) {
    const Rows rows = Query(*node_, fmt::format("SELECT {} FROM millrace.operators WHERE view = "
                                                "'{}' AND operator LIKE 'aggregate%'",
                                                columns, view));
    EXPECT_EQ(rows.size(), 1u) << view;
    return rows.empty() ? std::vector<std::string>() : rows[0];
  }

  TestDisk disk_;
  std::unique_ptr<Node> node_;
};

constexpr char kShop[] =
    "CREATE STREAM s (k INTEGER, v INTEGER);"
    "CREATE MATERIALIZED VIEW a AS SELECT k, count(*) AS n FROM s WHERE v > 0 GROUP BY k;";
constexpr char kSharing[] =
    "CREATE MATERIALIZED VIEW b AS"
    "  SELECT n, count(*) AS keys FROM (SELECT k, count(*) AS n FROM s WHERE v > 0 GROUP BY k)"
    "  GROUP BY n;";

TEST_F(OperatorFiguresTest, TheHitRateIsTheShareOfLookUpsThatMemoryAnswers) {
  Start();
  Apply(kShop);
  EXPECT_THAT(Aggregate("a", "state_rows, hit_rate"), ElementsAre("0", "NULL"));
  Do("INSERT INTO s VALUES (1, 1), (2, 1), (3, 1), (4, -1)");
  EXPECT_THAT(Aggregate("a", "state_rows, state_rows_in_memory, hit_rate"),
              ElementsAre("3", "3", "1.0"));
  EXPECT_THAT(Aggregate("a", "state_bytes > 100, rows_in, rows_out"),
              ElementsAre("true", "3", "3"));
  Start();  // the state is on disk now
  EXPECT_THAT(Aggregate("a", "state_rows, state_rows_in_memory, hit_rate"),
              ElementsAre("3", "0", "NULL"));
  Do("INSERT INTO s VALUES (1, 1)");
  EXPECT_THAT(Aggregate("a", "state_rows, state_rows_in_memory, hit_rate"),
              ElementsAre("3", "1", "0.0"));
  Do("INSERT INTO s VALUES (1, 1)");
  EXPECT_THAT(Aggregate("a", "state_rows, state_rows_in_memory, hit_rate"),
              ElementsAre("3", "1", "0.5"));
  EXPECT_THAT(Lines("EXPLAIN ANALYZE VIEW a"),
              Contains(AllOf(HasSubstr("2 rows in, 4 rows out"),
                             HasSubstr("3 entries, 1 of them in memory"),
                             HasSubstr("50.0 % of 2 look-ups answered from memory"))));
  EXPECT_THAT(Lines("EXPLAIN ANALYZE VIEW a"), Contains("output a"));
}

TEST_F(OperatorFiguresTest, TheContentOfAViewIsTheStateOfItsOutput) {
  Start();
  Apply(kShop);
  Do("INSERT INTO s SELECT i, 1 FROM range(5) r(i)");
  EXPECT_EQ(Query(*node_,
                  "SELECT view, state_rows, state_bytes > 100, hit_rate FROM"
                  " millrace.operators WHERE operator LIKE 'output %' ORDER BY view"),
            (Rows{{"a", "5", "true", "NULL"}, {"s", "NULL", "NULL", "NULL"}}));
}

TEST_F(OperatorFiguresTest, SaysAboutHowMuchIsOnDisk) {
  Start();
  Apply(kShop);
  Do("INSERT INTO s SELECT i, 1 FROM range(20000) r(i)");
  Start();
  EXPECT_THAT(Aggregate("a", "state_rows, state_bytes_on_disk BETWEEN 100000 AND 10000000"),
              ElementsAre("20000", "true"));
}

// Both ways of making views: on empty inputs, and from history.
class SharingTest : public OperatorFiguresTest, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(WithHistory, SharingTest, testing::Bool());

TEST_P(SharingTest, ViewsOfOneChangeShareEqualOperatorsAndBothSaySo) {
  Start();
  const std::string with_both = std::string(kShop) + kSharing;
  if (GetParam()) {
    Apply("CREATE STREAM s (k INTEGER, v INTEGER);");
    Do("INSERT INTO s VALUES (1, 1), (2, 1)");
    Apply(with_both);
  } else {
    Apply(with_both);
    Do("INSERT INTO s VALUES (1, 1), (2, 1)");
  }
  EXPECT_THAT(Lines("EXPLAIN VIEW a"), Contains("  shared with view b"));
  EXPECT_THAT(Lines("EXPLAIN ANALYZE VIEW b"), Contains("  shared with view a"));
  EXPECT_EQ(Query(*node_,
                  "SELECT view, shared_with, state_rows FROM millrace.operators WHERE"
                  " operator LIKE 'aggregate by k%' ORDER BY view"),
            (Rows{{"a", "b", "2"}, {"b", "a", "2"}}));
  Do("INSERT INTO s VALUES (1, 1)");
  EXPECT_TRUE(Difference(*node_, "a").empty());
  EXPECT_TRUE(Difference(*node_, "b").empty());

  // What becomes of one of them is nothing to the other.
  Do("ALTER MATERIALIZED VIEW a PAUSE");
  EXPECT_THAT(Lines("EXPLAIN VIEW b"), Not(Contains(HasSubstr("shared"))));
  Do("INSERT INTO s VALUES (2, 1), (3, 1)");
  EXPECT_TRUE(Difference(*node_, "b").empty());
  EXPECT_EQ(Query(*node_, "SELECT k, n FROM a ORDER BY k"), (Rows{{"1", "2"}, {"2", "1"}}));
  Start();
  Do("INSERT INTO s VALUES (3, 1)");
  EXPECT_TRUE(Difference(*node_, "b").empty());
  Do("ALTER MATERIALIZED VIEW a RESUME");
  Do("INSERT INTO s VALUES (3, 1), (4, 1)");
  EXPECT_TRUE(Difference(*node_, "a").empty());
  EXPECT_TRUE(Difference(*node_, "b").empty());
  Do("DROP VIEW a");
  Do("INSERT INTO s VALUES (4, 1), (5, 1)");
  EXPECT_TRUE(Difference(*node_, "b").empty());
}

// Made by one statement each: before there are rows, and with rows between them.
TEST_P(SharingTest, ViewsOfSeparateStatementsShareFromTheirFirstCommonStepOn) {
  Start();
  Apply("CREATE STREAM s (k INTEGER, v INTEGER);");
  const std::string counts = "AS SELECT k, count(*) AS n FROM s GROUP BY k";
  Do("CREATE MATERIALIZED VIEW a " + counts);
  if (GetParam()) Do("INSERT INTO s VALUES (1, 1), (2, 1)");
  Do("CREATE MATERIALIZED VIEW b " + counts);
  Do("CREATE MATERIALIZED VIEW top AS SELECT k, count(*) AS n FROM s GROUP BY k ORDER BY n DESC, k"
     " LIMIT 1");
  Do("INSERT INTO s VALUES (1, 1), (3, 1)");
  const auto all_right = [&] {
    for (const char* view : {"a", "b", "top"})
      EXPECT_TRUE(Difference(*node_, view).empty()) << view;
  };
  all_right();
  const std::string shared =
      "SELECT view, shared_with, state_rows FROM millrace.operators WHERE operator LIKE"
      " 'aggregate by k%' ORDER BY view";
  const std::string rows = GetParam() ? "3" : "2";
  const Rows three = {{"a", "b, top", rows}, {"b", "a, top", rows}, {"top", "a, b", rows}};
  EXPECT_EQ(Query(*node_, shared), three);

  // The owner goes, the others keep its state, over a restart too.
  Do("DROP VIEW a");
  Do("INSERT INTO s VALUES (2, 1), (2, 1), (4, 1)");
  EXPECT_TRUE(Difference(*node_, "b").empty());
  Start();
  Do("INSERT INTO s VALUES (2, 1), (5, 1)");
  EXPECT_TRUE(Difference(*node_, "b").empty());
  EXPECT_TRUE(Difference(*node_, "top").empty());
  EXPECT_THAT(Lines("EXPLAIN VIEW b"), Contains("  shared with view top"));
  Do("CREATE MATERIALIZED VIEW a " + counts);
  Do("ALTER MATERIALIZED VIEW b PAUSE");
  Do("INSERT INTO s VALUES (5, 1), (6, 1)");
  Do("ALTER MATERIALIZED VIEW b RESUME");
  Do("INSERT INTO s VALUES (6, 1), (7, 1)");
  all_right();
  EXPECT_EQ(Query(*node_,
                  "SELECT count(DISTINCT shared_with) FROM millrace.operators WHERE operator"
                  " LIKE 'aggregate by k%'"),
            (Rows{{"3"}}));
  EXPECT_TRUE(node_->CheckBooks().ok());
}

// What was closed when a row came is not the same for a view that came later.
TEST_F(OperatorFiguresTest, WhatFollowsTheWatermarkIsNotShared) {
  Start();
  Apply("CREATE STREAM s (k INTEGER, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL 1 SECOND);");
  const std::string counts =
      "AS SELECT time_bucket(INTERVAL 1 MINUTE, t) AS m, count(*) AS n FROM s GROUP BY 1"
      " EMIT ON WINDOW CLOSE";
  Do("CREATE MATERIALIZED VIEW a " + counts);
  Do("INSERT INTO s VALUES (1, '2024-01-01 00:00:00'), (1, '2024-01-01 00:05:00')");
  Do("CREATE MATERIALIZED VIEW b " + counts);
  Do("INSERT INTO s VALUES (1, '2024-01-01 00:06:00')");
  EXPECT_EQ(Query(*node_,
                  "SELECT count(*) FROM millrace.operators WHERE operator LIKE"
                  " 'aggregate%' AND shared_with IS NOT NULL"),
            (Rows{{"0"}}));
}

TEST_F(OperatorFiguresTest, AViewWithoutHistorySharesNothingWithOneThatHasIt) {
  Start();
  Apply("CREATE STREAM s (k INTEGER, v INTEGER);");
  Do("INSERT INTO s VALUES (1, 1), (2, 1)");
  Apply(
      "CREATE STREAM s (k INTEGER, v INTEGER);"
      "CREATE MATERIALIZED VIEW a AS SELECT k, count(*) AS n FROM s GROUP BY k;"
      "CREATE MATERIALIZED VIEW b WITH (history = 'none') AS"
      "  SELECT k, count(*) AS n FROM s GROUP BY k;");
  Do("INSERT INTO s VALUES (1, 1)");
  EXPECT_EQ(Query(*node_, "SELECT k, n FROM a ORDER BY k"), (Rows{{"1", "2"}, {"2", "1"}}));
  EXPECT_EQ(Query(*node_, "SELECT k, n FROM b ORDER BY k"), (Rows{{"1", "1"}}));
}

}  // namespace
}  // namespace millrace::runtime::operator_figures_test
