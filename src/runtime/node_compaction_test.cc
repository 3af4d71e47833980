// The changelogs of tables are compacted: what a newer row has replaced goes, the table and what
// reads it stay as they were, over kills and for views that are built afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/random.h"
#include "runtime/testing.h"

namespace millrace::runtime::node_compaction_test {
namespace {

class NodeCompaction : public testing::Test {
 protected:
  void SetUp() override { SetLogLevel(LogLevel::kOff); }
  void TearDown() override { SetLogLevel(LogLevel::kWarning); }

  void Start() {
    NodeOptions options = disk_.Options(2);
    options.log_segment_bytes = 4 << 10;
    auto started = Node::Start(options);
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = *std::move(started);
  }
  void Kill() {
    disk_.CutOff();
    node_.reset();
    disk_.ProcessDied();
    Start();
  }
  void Do(const std::string& text) {
    const auto result = node_->Execute(text, {});
    ASSERT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
  }
  // More writes until the log has compacted more segments.
  void WriteUntilCompacted() {
    const uint64_t before = node_->log().Stats().segments_compacted;
    for (int i = 0; i < 3000 && node_->log().Stats().segments_compacted <= before; ++i) {
      const int64_t k = static_cast<int64_t>(random_.Below(50));
      const int64_t v = static_cast<int64_t>(random_.Below(1000));
      Do(fmt::format("INSERT OR REPLACE INTO t VALUES ({}, {}, '{}')", k, v,
                     std::string(200, 'x')));
      rows_[k] = v;
      if (random_.OneIn(4)) {
        const int64_t gone = static_cast<int64_t>(random_.Below(50));
        Do(fmt::format("DELETE FROM t WHERE k = {}", gone));
        rows_.erase(gone);
      }
      Do(fmt::format("INSERT INTO bag VALUES ({})", v % 3));
      Do("DELETE FROM bag WHERE v = 0");
      if (v % 3 != 0) ++bag_[v % 3];
    }
    ASSERT_GT(node_->log().Stats().segments_compacted, before);
  }
  void ExpectRight(const std::string& view) {
    Rows expected;
    for (const auto& [k, v] : rows_) expected.push_back({std::to_string(k), std::to_string(v)});
    EXPECT_EQ(Query(*node_, "SELECT k, v FROM t ORDER BY k"), expected);
    EXPECT_EQ(Query(*node_, fmt::format("SELECT k, v FROM {} ORDER BY k", view)), expected);
    Rows counts;
    for (const auto& [v, n] : bag_) counts.push_back({std::to_string(v), std::to_string(n)});
    EXPECT_EQ(Query(*node_, "SELECT v, count(*) FROM bag GROUP BY v ORDER BY v"), counts);
    EXPECT_EQ(Query(*node_, "SELECT v, n FROM counts ORDER BY v"), counts);
  }

  TestDisk disk_;
  std::unique_ptr<Node> node_;
  Random random_{7};
  std::map<int64_t, int64_t> rows_;
  std::map<int64_t, int64_t> bag_;
};

TEST_F(NodeCompaction, TablesAndTheirViewsStayAsTheyAre) {
  Start();
  Do("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER, filler VARCHAR)");
  Do("CREATE TABLE bag (v INTEGER)");
  Do("CREATE MATERIALIZED VIEW before AS SELECT k, sum(v) AS v FROM t GROUP BY k");
  Do("CREATE MATERIALIZED VIEW counts AS SELECT v, count(*) AS n FROM bag GROUP BY v");
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    WriteUntilCompacted();
    ExpectRight("before");
    Kill();
    ExpectRight("before");
    const std::string view = "after" + std::to_string(round);
    Do("CREATE MATERIALIZED VIEW " + view + " AS SELECT k, max(v) AS v FROM t GROUP BY k");
    ExpectRight(view);
  }
}

}  // namespace
}  // namespace millrace::runtime::node_compaction_test
