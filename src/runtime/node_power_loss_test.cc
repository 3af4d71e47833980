// A node lives through losses of power at random calls to its disk, one life after the other on the
// same data. What it acknowledged is there in every later life, exactly once, and every view is
// what DuckDB answers to its query.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "base/random.h"
#include "runtime/testing.h"

namespace millrace::runtime::node_power_loss_test {
namespace {

int LivesOf(int otherwise) {
  const char* text = std::getenv("MILLRACE_LIVES");
  return text == nullptr ? otherwise : std::atoi(text);
}

const char* const kProject =
    "CREATE STREAM lines (id BIGINT, k BIGINT, v BIGINT) PARTITION BY (k) INTO 3 PARTITIONS;"
    "CREATE STREAM once (id BIGINT, v BIGINT, DEDUPLICATE ON (id));"
    "CREATE TABLE names (k BIGINT PRIMARY KEY, name VARCHAR);"
    "CREATE MATERIALIZED VIEW per_key AS"
    " SELECT k, count(*) AS n, sum(v) AS total FROM lines GROUP BY k;"
    "CREATE MATERIALIZED VIEW named AS"
    " SELECT name, n, total FROM per_key JOIN names USING (k);"
    "CREATE MATERIALIZED VIEW best AS"
    " SELECT k, id, v FROM lines"
    " QUALIFY row_number() OVER (PARTITION BY k ORDER BY v DESC, id) <= 3;"
    "CREATE MATERIALIZED VIEW pairs AS SELECT a.id, b.id AS other FROM lines a JOIN lines b"
    " ON a.k = b.k AND a.v = b.v + 1;"
    "CREATE MATERIALIZED VIEW before AS"
    " SELECT k, id, v - lag(v) OVER (PARTITION BY k ORDER BY id) AS change FROM lines;"
    "CREATE MATERIALIZED VIEW of_once AS SELECT count(*) AS n, sum(v) AS total FROM once;";

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  // One life: starts, works until the power fails, loses the power. Returns whether it started.
  bool Live() {
    const bool fault_at_start = created_ && random_.OneIn(3);
    if (fault_at_start) PlanPowerLoss();
    NodeOptions options = disk_.Options(1 + static_cast<int>(random_.Below(2)));
    if (random_.OneIn(2)) options.content_bytes = 1;  // contents are on disk only
    auto started = Node::Start(options);
    if (!started.ok()) {
      EXPECT_TRUE(fault_at_start) << started.error().ToString();
    } else {
      node_ = *std::move(started);
      if (!fault_at_start) {
        Verify();
        PlanPowerLoss();
      }
      for (int i = 0; i < 400 && Work(); ++i) {
      }
    }
    disk_.CutOff();
    const bool lived = node_ != nullptr;
    node_.reset();
    disk_.PowerIsBack(random_.Next());
    return lived;
  }

  void VerifyAtTheEnd() {
    auto started = Node::Start(disk_.Options());
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = *std::move(started);
    Verify();
  }

  size_t acknowledged() const { return acknowledged_.size() + acknowledged_once_.size(); }

 private:
  void PlanPowerLoss() {
    if (random_.OneIn(3)) {
      disk_.LosePowerInState(1 + static_cast<int>(random_.Below(60)));
      // The log's disk goes a little later; what is acknowledged meanwhile counts too.
      if (random_.OneIn(2)) disk_.LosePowerInLog(1 + random_.Below(600));
    } else {
      disk_.LosePowerInLog(1 + random_.Below(600));
    }
  }

  // Does one thing. False: the node cannot go on.
  bool Work() {
    switch (random_.Below(8)) {
      case 0:
        return ChangeName();
      case 1:
        return ChangeCatalog();
      case 2:
      case 3:
        return AppendOnce();
      default:
        return AppendLines();
    }
  }

  bool Execute(const std::string& text) {
    const auto result = node_->Execute(text, {});
    if (result.ok()) return true;
    const Code code = result.error().code();
    const bool disk = code == Code::kIo || code == Code::kUnavailable || code == Code::kTimeout ||
                      !node_->health().ok();
    EXPECT_TRUE(disk) << text << "\n" << result.error().ToString();
    return false;
  }

  bool AppendLines() {
    std::string text = "INSERT INTO lines VALUES ";
    std::set<int64_t> ids;
    const size_t count = 1 + random_.Below(20);
    for (size_t i = 0; i < count; ++i) {
      text += fmt::format("{}({}, {}, {})", i == 0 ? "" : ", ", next_id_, random_.Below(10),
                          random_.Below(1000));
      ids.insert(next_id_++);
    }
    sent_.insert(ids.begin(), ids.end());
    if (!Execute(text)) return false;
    acknowledged_.insert(ids.begin(), ids.end());
    return true;
  }

  // With an idempotency key, and sometimes rows of before again.
  bool AppendOnce() {
    std::vector<std::string> rows;
    std::set<int64_t> ids;
    for (size_t i = 0; i < 1 + random_.Below(5); ++i) {
      const int64_t id = static_cast<int64_t>(random_.Below(500));
      rows.push_back(fmt::format(R"({{"id": {}, "v": {}}})", id, id * 7));
      ids.insert(id);
    }
    ingest::Request request;
    request.stream = "once";
    request.rows.assign(rows.begin(), rows.end());
    request.idempotency_key = fmt::format("request-{}", next_id_++);
    request.source = "test";
    for (int attempt = 0; attempt < 2; ++attempt) {  // the same again under the same key
      const auto answer = node_->ingest().AppendAndWait(request);
      if (!answer.ok()) return false;
      EXPECT_EQ(answer->repeated, attempt == 1);
      acknowledged_once_.insert(ids.begin(), ids.end());
    }
    return true;
  }

  bool ChangeName() {
    const int64_t key = static_cast<int64_t>(random_.Below(10));
    const std::string name = fmt::format("name {}", next_id_++);
    std::set<std::string>& possible = names_[key];
    possible.insert(name);
    if (!Execute(fmt::format("INSERT INTO names VALUES ({}, '{}') ON CONFLICT DO UPDATE SET"
                             " name = excluded.name",
                             key, name))) {
      return false;
    }
    possible = {name};
    return true;
  }

  // One that another view reads, or one that keeps the first rows of each key.
  bool ReplaceView() {
    return Execute(random_.OneIn(2)
                       ? fmt::format("CREATE OR REPLACE MATERIALIZED VIEW per_key AS SELECT k,"
                                     " count(*) AS n, sum(v) + {} AS total FROM lines GROUP BY k",
                                     random_.Below(10))
                       : fmt::format("CREATE OR REPLACE MATERIALIZED VIEW best AS SELECT k, id, v"
                                     " FROM lines QUALIFY row_number() OVER"
                                     " (PARTITION BY k ORDER BY v DESC, id) <= {}",
                                     1 + random_.Below(5)));
  }

  bool ChangeCatalog() {
    if (random_.OneIn(3)) return ReplaceView();
    const size_t which = random_.Below(3);
    const std::string name = fmt::format("extra_{}", which);
    const bool drop = random_.OneIn(3);
    const std::string text =
        drop ? fmt::format("DROP MATERIALIZED VIEW IF EXISTS {}", name)
             : fmt::format(
                   "CREATE OR REPLACE MATERIALIZED VIEW {} AS SELECT k % {} AS m,"
                   " count(*) AS n, max(v) AS best FROM lines GROUP BY ALL",
                   name, 2 + random_.Below(5));
    extra_is_known_.erase(name);
    if (!Execute(text)) return false;
    extra_is_known_[name] = !drop;
    return true;
  }

  void Verify() {
    if (Query(*node_, "SELECT name FROM millrace.streams WHERE name = 'lines'").empty()) {
      EXPECT_TRUE(!created_) << "the project's streams are gone";
      std::vector<ProjectFile> files{{"project.sql", kProject}};
      const auto applied = node_->ApplyProject(files, {});
      ASSERT_TRUE(applied.ok()) << applied.error().ToString();
      created_ = true;
    }
    WaitForSteps();
    WaitForBuilds();
    VerifyRows();
    VerifyNames();
    VerifyViews();
    EXPECT_TRUE(node_->CheckBooks().ok()) << node_->CheckBooks().error().ToString();
  }

  // Everything that is in the log is in the views.
  void WaitForSteps() {
    const auto answer = node_->Execute("INSERT INTO once VALUES (1000000, 0)", {});
    ASSERT_TRUE(answer.ok()) << answer.error().ToString();
    ASSERT_TRUE(node_->WaitVisible(answer->token, std::chrono::seconds(60)).ok());
  }

  // A build that the power cut off goes on by itself.
  void WaitForBuilds() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!Query(*node_, "SELECT name FROM millrace.views WHERE status <> 'running'").empty()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  void VerifyRows() {
    std::set<int64_t> found;
    for (const auto& row : Query(*node_, "SELECT id, count(*) FROM lines GROUP BY id")) {
      const int64_t id = std::stoll(row[0]);
      EXPECT_EQ(row[1], "1") << "line " << id << " is there more than once";
      EXPECT_TRUE(sent_.contains(id)) << id;
      found.insert(id);
    }
    for (const int64_t id : acknowledged_) {
      EXPECT_TRUE(found.contains(id)) << "line " << id << " was acknowledged and is lost";
    }
    std::set<int64_t> found_once;
    for (const auto& row : Query(*node_, "SELECT id, count(*) FROM once GROUP BY id")) {
      EXPECT_EQ(row[1], "1") << "id " << row[0];
      found_once.insert(std::stoll(row[0]));
    }
    for (const int64_t id : acknowledged_once_) EXPECT_TRUE(found_once.contains(id)) << id;
  }

  void VerifyNames() {
    for (const auto& row : Query(*node_, "SELECT k, name FROM names")) {
      const int64_t key = std::stoll(row[0]);
      EXPECT_TRUE(names_[key].contains(row[1])) << key << ": " << row[1];
      names_[key] = {row[1]};
    }
  }

  void VerifyViews() {
    std::set<std::string> present;
    for (const auto& row : Query(*node_, "SELECT name FROM millrace.views")) {
      present.insert(row[0]);
      EXPECT_EQ(Difference(*node_, row[0]), Rows()) << row[0];
    }
    for (const auto& [name, there] : extra_is_known_) {
      EXPECT_EQ(present.contains(name), there) << name;
    }
  }

  TestDisk disk_;
  Random random_;
  std::unique_ptr<Node> node_;
  bool created_ = false;
  int64_t next_id_ = 0;
  std::set<int64_t> sent_;
  std::set<int64_t> acknowledged_;
  std::set<int64_t> acknowledged_once_;
  std::map<int64_t, std::set<std::string>> names_;  // what may stand under a key
  std::map<std::string, bool> extra_is_known_;  // after an acknowledged change: whether it is there
};

TEST(NodePowerLoss, LosesNothingThatWasAcknowledgedInAnyOfItsLives) {
  SetLogLevel(LogLevel::kOff);  // every life ends in errors
  const uint64_t seed = SeedOf(1);
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  World world(seed);
  const int lives = LivesOf(40);
  int started = 0;
  for (int life = 0; life < lives && !testing::Test::HasFailure(); ++life) {
    SCOPED_TRACE(testing::Message() << "life " << life);
    started += world.Live();
  }
  if (!testing::Test::HasFailure()) world.VerifyAtTheEnd();
  std::fprintf(stderr, "%d lives, %d of them started, %zu acknowledged rows\n", lives, started,
               world.acknowledged());
  EXPECT_GT(started, lives / 3);
  EXPECT_GT(world.acknowledged(), 100u);
  SetLogLevel(LogLevel::kWarning);
}

}  // namespace
}  // namespace millrace::runtime::node_power_loss_test
