// Contents of tables and views that are on disk only: what they show, and what damage there costs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/random.h"
#include "runtime/relation.h"
#include "runtime/subscription.h"
#include "runtime/testing.h"
#include "state/content_disk.h"
#include "state/store.h"

namespace millrace::runtime::node_contents_test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class NodeContents : public testing::Test {
 protected:
  void SetUp() override { SetLogLevel(LogLevel::kOff); }
  void TearDown() override { SetLogLevel(LogLevel::kWarning); }

  // `content_bytes` 1: all that is flushed is on disk only.
  void Start(size_t content_bytes = 1) {
    node_.reset();
    NodeOptions options = disk_.Options(2);
    options.content_bytes = content_bytes;
    auto started = Node::Start(options);
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = *std::move(started);
  }
  void Kill() {
    disk_.CutOff();
    node_.reset();
    disk_.ProcessDied();
  }
  void Do(const std::string& text) {
    const auto result = node_->Execute(text, {});
    ASSERT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
  }
  void Fill() {
    Do("CREATE STREAM lines (k INTEGER, v INTEGER)");
    Do("CREATE TABLE names (k INTEGER PRIMARY KEY, name VARCHAR)");
    Do("CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS n FROM lines GROUP BY k");
    Do("CREATE MATERIALIZED VIEW over AS SELECT count(*) AS keys, sum(n) AS n FROM counts");
    Do("CREATE MATERIALIZED VIEW others AS SELECT v % 7 AS d, count(*) AS n FROM lines GROUP BY d");
    Do("INSERT INTO lines SELECT i % 5000, i FROM range(10000) r(i)");
    Do("INSERT INTO names SELECT i, 'name ' || i FROM range(5000) r(i)");
  }
  void AwaitCold(const std::string& relation) {
    for (int i = 0; i < 10'000 && RowsInMemory(relation) != "0"; ++i)
      std::this_thread::sleep_for(milliseconds(2));
    EXPECT_EQ(RowsInMemory(relation), "0");
  }
  std::string RowsInMemory(const std::string& relation) {
    const Rows rows =
        Query(*node_, fmt::format("SELECT sum(state_rows_in_memory)::BIGINT FROM millrace.operators"
                                  " WHERE view = '{}' AND operator LIKE 'output%'",
                                  relation));
    return rows.empty() ? "" : rows[0][0];
  }
  std::string StatusOf(const std::string& view) {
    const Rows rows =
        Query(*node_, fmt::format("SELECT status FROM millrace.views WHERE name = '{}'", view));
    return rows.empty() ? "none" : rows[0][0];
  }
  void Await(const std::string& view, const std::string& status) {
    for (int i = 0; i < 10'000 && StatusOf(view) != status; ++i)
      std::this_thread::sleep_for(milliseconds(2));
    EXPECT_EQ(StatusOf(view), status);
  }
  // Stops the node and makes every row of the content one that no release writes, or takes it away.
  enum class Harm { kUnreadable, kGone };
  void Damage(const std::string& relation, Harm harm = Harm::kUnreadable) {
    const state::TableId table = ContentTable(*node_->catalog()->FindRelation(relation));
    node_.reset();
    state::StoreOptions options;
    options.directory = disk_.Options().data_directory + "/state";
    options.env = disk_.Options().state_env;
    auto store = state::Store::Open(options);
    ASSERT_TRUE(store.ok()) << store.error().ToString();
    std::vector<state::Mutation> mutations;
    {
      state::ContentDisk::Cursor cursor = state::ContentDisk((*store)->disk(), table).All();
      for (cursor.Begin(); cursor.Valid(); cursor.Next())
        mutations.push_back(
            {table, std::string(cursor.key()),
             harm == Harm::kGone ? std::nullopt : std::optional("\x7f not a weight"), true});
    }
    ASSERT_FALSE(mutations.empty());
    (*store)->BeginFlush((*store)->flushed_step(), std::move(mutations));
    ASSERT_TRUE((*store)->FinishFlush().ok());
  }
  // `counts` fails, and `over` with it; a RESUME mends them.
  void CostsTheViewAndWhatReadsItOnly(const std::string& reason) {
    Await("counts", "failed");
    Await("over", "failed");
    EXPECT_TRUE(node_->health().ok()) << node_->health().error().ToString();
    EXPECT_THAT(Query(*node_, "SELECT reason FROM millrace.views WHERE name = 'counts'")[0][0],
                HasSubstr(reason));
    Do("INSERT INTO lines VALUES (18, 1)");
    EXPECT_EQ(StatusOf("others"), "running");
    EXPECT_EQ(Difference(*node_, "others"), Rows{});
    Kill();
    Start();
    EXPECT_EQ(StatusOf("counts"), "failed");
    EXPECT_EQ(StatusOf("others"), "running");
    Do("ALTER MATERIALIZED VIEW counts RESUME");
    Await("counts", "running");
    Await("over", "running");
    EXPECT_EQ(Difference(*node_, "counts"), Rows{});
    EXPECT_EQ(Difference(*node_, "over"), Rows{});
  }

  TestDisk disk_;
  std::unique_ptr<Node> node_;
};

TEST_F(NodeContents, AreTheSameInMemoryOnDiskAndAfterKills) {
  Start();
  Fill();
  Random random(SeedOf(5));
  for (int life = 0; life < 6; ++life) {
    for (int i = 0; i < 20; ++i) {
      Do(fmt::format("INSERT INTO lines VALUES ({}, {})", random.Below(6000), i));
      Do(fmt::format("INSERT OR REPLACE INTO names VALUES ({}, 'life {}')", random.Below(6000),
                     life));
      Do(fmt::format("DELETE FROM names WHERE k = {}", random.Below(6000)));
    }
    for (const char* view : {"counts", "over", "others"})
      EXPECT_EQ(Difference(*node_, view), Rows{}) << view;
    const Rows names = Query(*node_, "FROM names ORDER BY k");
    Kill();
    Start(random.OneIn(2) ? 1 : 200'000);
    EXPECT_EQ(Query(*node_, "FROM names ORDER BY k"), names);
  }
  EXPECT_TRUE(node_->CheckBooks().ok());
}

// Its endpoint is by columns that are no key: all rows are gone through.
TEST_F(NodeContents, AnEndpointOnAColdContentAnswersTheSameInTimeOrNotAtAll) {
  Start(size_t{1} << 30);
  Fill();
  Do("INSERT INTO lines SELECT i, 0 FROM range(0, 5000, 10) r(i)");
  Do("CREATE ENDPOINT by_n ON GET '/by' (n BIGINT) AS SELECT * FROM counts WHERE n = $n LIMIT 20");
  const auto match = node_->MatchEndpoint("GET", "/by");
  ASSERT_TRUE(match);
  const auto texts = [](const EndpointAnswer& answer) {
    std::string out;
    for (const auto& chunk : answer.rows.chunks) out += chunk->ToString();
    return out;
  };
  const auto ask = [&](milliseconds timeout, bool cancelled) {
    StatementOptions options;
    options.timeout = timeout;
    options.cancel = std::make_shared<std::atomic<bool>>(cancelled);
    const auto found = node_->MatchEndpoint("GET", "/by");
    return node_->AnswerEndpoint(*found, {{"n", "3"}}, options);
  };
  const auto in_memory = ask(milliseconds(10'000), false);
  ASSERT_TRUE(in_memory.ok()) << in_memory.error().ToString();
  Start();
  AwaitCold("counts");
  const auto cold = ask(milliseconds(10'000), false);
  ASSERT_TRUE(cold.ok()) << cold.error().ToString();
  EXPECT_EQ(texts(*cold), texts(*in_memory));
  EXPECT_EQ(ask(milliseconds(0), false).error().code(), Code::kTimeout);
  EXPECT_EQ(ask(milliseconds(10'000), true).error().code(), Code::kCancelled);
}

TEST_F(NodeContents, DamageCostsTheViewAndWhatReadsItAndAResumeMendsIt) {
  Start();
  Fill();
  Damage("counts");
  Start();
  const auto read = node_->Execute("SELECT sum(n) FROM counts", {});
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), Code::kCorruption) << read.error().ToString();
  Do("INSERT INTO lines VALUES (17, 1)");
  CostsTheViewAndWhatReadsItOnly("its content cannot be read");
}

// As a defect would have it: what the engine takes away the content does not have.
TEST_F(NodeContents, AChangeThatDoesNotFitCostsTheViewAndWhatReadsItOnly) {
  Start();
  Fill();
  Damage("counts", Harm::kGone);
  Start();
  Do("INSERT INTO lines VALUES (17, 1)");
  Await("counts", "failed");
  EXPECT_EQ(Query(*node_, "FROM counts"), Rows{});
  CostsTheViewAndWhatReadsItOnly("does not fit its content");
}

TEST_F(NodeContents, ABuildFromADamagedContentIsGivenUp) {
  Start();
  Fill();
  Damage("names");
  Start();
  const auto made =
      node_->Execute("CREATE MATERIALIZED VIEW late AS SELECT count(*) AS n FROM names", {});
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().ToString(), HasSubstr("what it reads cannot be read"));
  EXPECT_TRUE(node_->health().ok()) << node_->health().error().ToString();
  Do("INSERT INTO lines VALUES (18, 1)");
  EXPECT_EQ(Difference(*node_, "counts"), Rows{});
  EXPECT_EQ(StatusOf("late"), "none");
}

// Who follows ends before the node, and then nothing holds the directory.
TEST_F(NodeContents, AFollowerThatEndedLeavesTheDirectoryFree) {
  Start();
  Fill();
  AwaitCold("counts");
  for (int round = 0; round < 3; ++round) {
    auto subscription = node_->Subscribe("counts", {.content = true, .after = {}});
    ASSERT_TRUE(subscription.ok()) << subscription.error().ToString();
    const auto first = (*subscription)->Next(milliseconds(10'000));
    ASSERT_TRUE(first.ok() && *first) << "in the middle of its content";
    Do("INSERT INTO lines VALUES (18, 1)");
    subscription->reset();
    Start();  // RocksDB locks its directory
  }
  EXPECT_EQ(Difference(*node_, "counts"), Rows{});
}

}  // namespace
}  // namespace millrace::runtime::node_contents_test
