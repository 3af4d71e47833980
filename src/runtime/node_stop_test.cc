// A view that fails, and a crash at each call to the log's disk about that step: what the step was,
// it is again in the next life, also where nothing but its record was left of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "runtime/testing.h"

namespace millrace::runtime::node_stop_test {
namespace {

using std::chrono::milliseconds;

constexpr const char* kProject =
    "CREATE STREAM s (t VARCHAR);"
    "CREATE MATERIALIZED VIEW strict WITH (on_error = 'stop') AS SELECT t::INTEGER AS n FROM s;"
    "CREATE MATERIALIZED VIEW over AS SELECT count(*) AS n FROM strict;"
    "CREATE MATERIALIZED VIEW lenient AS SELECT t::INTEGER AS n FROM s;";

std::unique_ptr<Node> Start(const TestDisk& disk) {
  auto started = Node::Start(disk.Options(1));
  EXPECT_TRUE(started.ok()) << started.error().ToString();
  return started.ok() ? *std::move(started) : nullptr;
}

bool Failed(Node& node, const std::string& view) {
  return Query(node, fmt::format("SELECT status FROM millrace.views WHERE name = '{}'", view)) ==
         Rows{{"failed"}};
}

// Waits until the view has failed, or the node has.
bool FailsWhileTheNodeLives(Node& node, const std::string& view) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!Failed(node, view)) {
    if (!node.health().ok()) return false;
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "view " << view << " goes on";
      return false;
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

class NodeStopTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto node = Start(prepared_);
    ASSERT_NE(node, nullptr);
    ASSERT_TRUE(node->ApplyProject({{"project.sql", kProject}}, {}).ok());
    ASSERT_TRUE(node->Execute("INSERT INTO s VALUES ('1'), ('2')", {}).ok());
  }

  // True: the view had failed before the crash.
  bool CrashAt(uint64_t nth) {
    auto copied = prepared_.Copy();
    EXPECT_TRUE(copied.ok());
    TestDisk& disk = **copied;
    auto node = Start(disk);
    if (node == nullptr) return true;
    disk.LosePowerInLog(nth);
    const bool acknowledged = node->Execute("INSERT INTO s VALUES ('x')", {}).ok();
    const bool failed = acknowledged ? FailsWhileTheNodeLives(*node, "strict") : false;
    disk.CutOff();
    node.reset();
    disk.ProcessDied();

    node = Start(disk);
    if (node == nullptr) return true;
    // What is visible after it is in a step with what came before, if anything of that is left.
    EXPECT_TRUE(node->Execute("INSERT INTO s VALUES ('3')", {}).ok());
    const bool there = Query(*node, "SELECT count(*) FROM s WHERE t = 'x'") == Rows{{"1"}};
    EXPECT_TRUE(there || !acknowledged);
    if (there) {
      EXPECT_TRUE(FailsWhileTheNodeLives(*node, "strict"));
    }
    if (there && !failed) ++failed_in_next_life_;
    EXPECT_EQ(Failed(*node, "strict"), there);
    EXPECT_EQ(Failed(*node, "over"), there);
    EXPECT_EQ(Query(*node, "SELECT n FROM over"), (Rows{{there ? "2" : "3"}}));
    EXPECT_EQ(Query(*node, "SELECT max(n) FROM strict"), (Rows{{there ? "2" : "3"}}));
    EXPECT_EQ(Query(*node, "SELECT n FROM lenient ORDER BY n"), (Rows{{"1"}, {"2"}, {"3"}}));
    EXPECT_EQ(Query(*node, "SELECT count(*) FROM millrace.errors WHERE view = 'lenient'"),
              (Rows{{there ? "1" : "0"}}));
    return failed;
  }

  TestDisk prepared_;
  int failed_in_next_life_ = 0;
};

TEST_F(NodeStopTest, AViewThatFailsInTheLastStepBeforeACrashHasFailedAfterIt) {
  SetLogLevel(LogLevel::kOff);  // views and nodes that fail say so
  bool over = false;
  for (uint64_t nth = 1; nth <= 100 && !over && !HasFailure(); ++nth) {
    SCOPED_TRACE(fmt::format("crash at call {}", nth));
    over = CrashAt(nth);
  }
  SetLogLevel(LogLevel::kWarning);
  EXPECT_TRUE(over) << "the node always crashed before the view failed";
  // Lives that ended after the row was in the log and before the failure had its record.
  EXPECT_GT(failed_in_next_life_, 0);
}

// Without an end to the call itself it would be judged when it is over, in a quarter of an hour,
// and all other views would wait for it.
TEST(NodeStop, ACallOfDuckDbThatTakesTooLongEndsItsViewWhileItRuns) {
  const TestDisk disk;
  NodeOptions options = disk.Options(1);
  options.view_step_seconds_max = 0.5;
  auto node = Node::Start(options);
  ASSERT_TRUE(node.ok()) << node.error().ToString();
  ASSERT_TRUE((*node)->Execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT)", {}).ok());
  ASSERT_TRUE((*node)->Execute("INSERT INTO t SELECT i, i % 97 FROM range(60000) r(i)", {}).ok());
  ASSERT_TRUE(
      (*node)->Execute("CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t", {}).ok());
  const auto slow = (*node)->Execute(
      "CREATE MATERIALIZED VIEW slow AS SELECT id, string_agg(v::VARCHAR ORDER BY v, id) OVER "
      "(ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE GROUP) AS s "
      "FROM t",
      {});
  ASSERT_FALSE(slow.ok());
  EXPECT_EQ(slow.error().code(), Code::kTooLarge);
  EXPECT_THAT(slow.error().ToString(), testing::HasSubstr("a step took more than 0.5 s"));
  ASSERT_TRUE((*node)->Execute("INSERT INTO t VALUES (-1, 1)", {}).ok());
  EXPECT_EQ(Query(**node, "SELECT n FROM n"), Rows{{"60001"}});
}

}  // namespace
}  // namespace millrace::runtime::node_stop_test
