// Views that are built from history while the node goes on: held, killed, replaced, given up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/random.h"
#include "runtime/testing.h"

namespace millrace::runtime::node_build_test {
namespace {

using std::chrono::milliseconds;

// The parameter: NodeOptions::content_bytes.
class NodeBuildTest : public testing::TestWithParam<size_t> {
 protected:
  // Steps of one row, so that a build takes as many steps as its history has rows.
  void Start(size_t step_rows_max = 1) {
    NodeOptions options = disk_.Options(2);
    options.step_rows_max = step_rows_max;
    options.content_bytes = GetParam();
    auto started = Node::Start(options);
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = std::move(*started);
  }

  void Kill() {
    SetLogLevel(LogLevel::kOff);  // its last words are errors
    disk_.CutOff();
    node_.reset();
    SetLogLevel(LogLevel::kWarning);
    disk_.ProcessDied();
  }

  // Does not wait for builds.
  void Do(const std::string& text) {
    StatementOptions options;
    if (text.starts_with("CREATE") || text.starts_with("ALTER")) options.timeout = milliseconds(0);
    const auto result = node_->Execute(text, options);
    ASSERT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
  }

  std::string Refusal(const std::string& text) {
    const auto result = node_->Execute(text, {});
    return result.ok() ? "" : result.error().ToString();
  }

  void Fill() {
    Do("CREATE STREAM lines (k INTEGER, v INTEGER)");
    Do("CREATE TABLE names (k INTEGER PRIMARY KEY, name VARCHAR)");
    Do("CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS n FROM lines GROUP BY k");
    Do("INSERT INTO lines SELECT i % 50, i FROM range(3000) r(i)");
    Do("INSERT INTO names SELECT i, 'name ' || i FROM range(40) r(i)");
  }

  std::string StatusOf(const std::string& view) {
    const Rows rows =
        Query(*node_, fmt::format("SELECT status FROM millrace.views WHERE name = '{}'", view));
    return rows.empty() ? "none" : rows[0][0];
  }

  void Await(const std::string& view, const std::string& status) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    while (StatusOf(view) != status) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << view << " " << StatusOf(view);
      std::this_thread::sleep_for(milliseconds(2));
    }
  }

  static constexpr const char* kView =
      "CREATE MATERIALIZED VIEW late AS SELECT name, n, v FROM lines JOIN counts USING (k)"
      " LEFT JOIN names USING (k)";

  TestDisk disk_;
  std::unique_ptr<Node> node_;
};

TEST_P(NodeBuildTest, OtherViewsMoveWhileOneIsBuilt) {
  Start();
  Fill();
  Do(kView);
  EXPECT_EQ(StatusOf("late"), "building");
  EXPECT_THAT(Refusal("SELECT * FROM late"), testing::HasSubstr("being built from history"));
  int moved = 0;
  for (int i = 0; StatusOf("late") == "building"; ++i) {
    // An INSERT returns when its rows are visible.
    Do(fmt::format("INSERT INTO lines VALUES ({}, {})", i % 60, -i));
    Do(fmt::format("INSERT OR REPLACE INTO names VALUES ({}, 'renamed {}')", i % 45, i));
    if (i % 3 == 0) Do(fmt::format("DELETE FROM names WHERE k = {}", (i + 7) % 40));
    if (StatusOf("late") == "building") ++moved;
  }
  EXPECT_GT(moved, 10);
  EXPECT_EQ(Difference(*node_, "late"), Rows{});
  EXPECT_EQ(Difference(*node_, "counts"), Rows{});
  EXPECT_TRUE(node_->CheckBooks().ok());
}

TEST_P(NodeBuildTest, GoesOnAfterKillsWhereItWas) {
  Start(5);
  Fill();
  Do(kView);
  Random random(SeedOf(11));
  double done = -1;
  int resumed = 0;
  for (int life = 0; StatusOf("late") == "building" && life < 60; ++life) {
    const Rows rows = Query(*node_,
                            "SELECT progress FROM millrace.views"
                            " WHERE name = 'late' AND status = 'building'");
    if (rows.empty()) break;  // over since it was looked at
    const double progress = std::stod(rows[0][0]);
    EXPECT_GE(progress, done);
    done = progress;
    resumed += progress > 0 && progress < 1 ? 1 : 0;
    Do(fmt::format("INSERT INTO lines VALUES ({}, {})", random.Below(60), life));
    Do(fmt::format("INSERT OR REPLACE INTO names VALUES ({}, 'life {}')", random.Below(45), life));
    std::this_thread::sleep_for(milliseconds(random.Below(20)));
    Kill();
    Start(5);
  }
  EXPECT_GT(resumed, 2);
  Await("late", "running");
  EXPECT_EQ(Difference(*node_, "late"), Rows{});
  EXPECT_EQ(Difference(*node_, "counts"), Rows{});
}

TEST_P(NodeBuildTest, IsHeldAndGoesOn) {
  Start();
  Fill();
  Do(kView);
  Do("ALTER MATERIALIZED VIEW late PAUSE");
  const std::string progress = "SELECT progress FROM millrace.views WHERE name = 'late'";
  const Rows held = Query(*node_, progress);
  Do("INSERT INTO lines VALUES (1, 1), (2, 2)");
  Kill();
  Start();
  EXPECT_EQ(Query(*node_, progress), held);
  EXPECT_EQ(StatusOf("late"), "building");
  Do("ALTER MATERIALIZED VIEW late RESUME");
  Await("late", "running");
  EXPECT_EQ(Difference(*node_, "late"), Rows{});
}

TEST_P(NodeBuildTest, AReplacedViewShowsItsOldContentUntilTheSwap) {
  Start();
  Fill();
  Do("CREATE MATERIALIZED VIEW over AS SELECT count(*) AS keys, sum(n) AS n FROM counts");
  Await("over", "running");
  Do("CREATE OR REPLACE MATERIALIZED VIEW counts AS SELECT k, count(*) + 1 AS n FROM lines "
     "GROUP BY k");
  EXPECT_EQ(StatusOf("counts"), "replacing");
  bool swapped = false;
  while (!swapped) {
    // Both views swap at one step: n is the number of lines, or that and one for each key.
    const Rows rows = Query(*node_,
                            "SELECT c.n - l.n, o.n - l.n FROM (SELECT sum(n) AS n FROM counts) c, "
                            "(SELECT n FROM over) o, (SELECT count(*) AS n FROM lines) l");
    ASSERT_EQ(rows.size(), 1u);
    ASSERT_EQ(rows[0][0], rows[0][1]);
    ASSERT_TRUE(rows[0][0] == "0" || rows[0][0] == "50") << rows[0][0];
    swapped = rows[0][0] == "50";
    Do("INSERT INTO lines VALUES (3, 3)");
  }
  EXPECT_EQ(StatusOf("counts"), "running");
  EXPECT_EQ(Difference(*node_, "counts"), Rows{});
  EXPECT_EQ(Difference(*node_, "over"), Rows{});
}

TEST_P(NodeBuildTest, IsGivenUpByDropAndByAnotherReplace) {
  Start();
  Fill();
  Do(kView);
  Do("DROP MATERIALIZED VIEW late");
  EXPECT_EQ(StatusOf("late"), "none");
  Do(kView);
  Do("CREATE OR REPLACE MATERIALIZED VIEW late AS SELECT max(v) AS v FROM lines");
  Await("late", "running");
  EXPECT_EQ(Query(*node_, "FROM late"), (Rows{{"2999"}}));
  EXPECT_EQ(Query(*node_, "SELECT count(*) FROM millrace.views"), (Rows{{"2"}}));
  Kill();
  Start();
  EXPECT_EQ(Query(*node_, "FROM late"), (Rows{{"2999"}}));
}

TEST_P(NodeBuildTest, WhatABuildNeedsCannotGoOrChange) {
  Start();
  Fill();
  Do(kView);
  EXPECT_NE(Refusal("DROP TABLE names").find("is being built"), std::string::npos);
  EXPECT_NE(Refusal("CREATE OR REPLACE MATERIALIZED VIEW counts AS SELECT k, 1 AS n FROM lines")
                .find("is being built"),
            std::string::npos);
  Await("late", "running");
  EXPECT_EQ(Difference(*node_, "late"), Rows{});
}

TEST_P(NodeBuildTest, SeveralBuildsEndEachByItself) {
  Start(7);
  Fill();
  Do(kView);
  Do("CREATE MATERIALIZED VIEW second AS SELECT v % 10 AS d, min(k) AS k FROM lines GROUP BY d");
  Do("CREATE MATERIALIZED VIEW third AS SELECT name FROM names WHERE k % 2 = 0");
  Do("INSERT INTO lines VALUES (3, 3)");
  for (const char* view : {"late", "second", "third"}) {
    Await(view, "running");
    EXPECT_EQ(Difference(*node_, view), Rows{}) << view;
  }
}

TEST_P(NodeBuildTest, APausedViewStandsStillAndComesBackWithAllThatCame) {
  Start(1000);
  Fill();
  Do("CREATE MATERIALIZED VIEW over AS SELECT sum(n) AS n FROM counts");
  Await("over", "running");
  Do("ALTER MATERIALIZED VIEW counts PAUSE");
  EXPECT_EQ(StatusOf("over"), "paused");
  Do("INSERT INTO lines SELECT i, i FROM range(100) r(i)");
  Kill();
  Start(1000);
  EXPECT_EQ(Query(*node_, "SELECT sum(n) FROM counts"), (Rows{{"3000"}}));
  EXPECT_EQ(Query(*node_, "FROM over"), (Rows{{"3000"}}));
  EXPECT_NE(Refusal("ALTER MATERIALIZED VIEW over RESUME").find("counts"), std::string::npos);
  EXPECT_NE(Refusal(kView).find("is paused"), std::string::npos);
  Do("ALTER MATERIALIZED VIEW counts RESUME");
  Await("over", "running");
  EXPECT_EQ(Query(*node_, "FROM over"), (Rows{{"3100"}}));
  EXPECT_EQ(Difference(*node_, "counts"), Rows{});
}

INSTANTIATE_TEST_SUITE_P(InMemory, NodeBuildTest, testing::Values(size_t{0}));
INSTANTIATE_TEST_SUITE_P(OnDisk, NodeBuildTest, testing::Values(size_t{1}));

}  // namespace
}  // namespace millrace::runtime::node_build_test
