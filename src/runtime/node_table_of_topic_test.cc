// A table of a topic is what a dictionary would be that takes the topic's records in the order in
// which they were appended: through kills and losses of power, made before them or behind, whatever
// partition a key's records stand in, and whether clients or statements write them.
#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "log/record_batch.h"
#include "runtime/testing.h"

namespace millrace::runtime::node_table_of_topic_test {
namespace {

struct Sent {
  int64_t key;
  std::optional<int64_t> value;  // none: the row goes
  enum class What { kChange, kBad, kClear } what = What::kChange;
};

class World {
 public:
  World(uint64_t seed, bool debezium) : random_(seed), debezium_(debezium) {}

  void Live(bool power) {
    power_ = power;
    Start();
    if (testing::Test::HasFatalFailure()) return;
    Settle();
    if (random_.OneIn(3)) Make();
    Verify();
    if (power) {
      disk_.LosePowerInLog(1 + random_.Below(400));
      if (random_.OneIn(2)) disk_.LosePowerInState(1 + static_cast<int>(random_.Below(60)));
    }
    for (int i = 0; i < 60; ++i) {
      if (!Work()) break;
    }
    if (!power && pending_.empty()) Verify();
    disk_.CutOff();
    node_.reset();
    if (power) {
      disk_.PowerIsBack(random_.Next());
    } else {
      disk_.ProcessDied();
    }
  }

  void VerifyAtTheEnd() {
    Start();
    Settle();
    Make();
    Verify();
  }

 private:
  void Start() {
    auto started = Node::Start(disk_.Options(1 + static_cast<int>(random_.Below(2))));
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = *std::move(started);
    if (node_->catalog()->FindRelation("events") == nullptr)
      Query(*node_, "CREATE STREAM events INTO 3 PARTITIONS WITH (format = 'raw')");
  }

  log::TopicId Topic() const { return {node_->catalog()->FindRelation("events")->topic_id}; }
  bool Made() const { return node_->catalog()->FindRelation("t") != nullptr; }
  void Make() {
    if (!Made())
      Query(*node_, fmt::format("CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT NOT NULL) WITH "
                                "(topic = 'events', format = '{}')",
                                debezium_ ? "debezium" : "json"));
    if (node_->catalog()->FindRelation("per_v") == nullptr)
      Query(*node_,
            "CREATE MATERIALIZED VIEW per_v AS SELECT v % 7 AS r, count(*) AS n, sum(k) AS keys, "
            "max(v) AS most FROM t GROUP BY 1");
  }

  // What was on its way when the node went is there as a whole or not at all.
  void Settle() {
    if (pending_.empty()) return;
    const auto cut = node_->log().DurableCut();
    int64_t count = 0;
    for (int32_t i = 0; i < 3; ++i) count += cut->Find({Topic(), i})->end.value;
    if (count == static_cast<int64_t>(sent_.size() + pending_.size())) {
      sent_.insert(sent_.end(), pending_.begin(), pending_.end());
    } else {
      EXPECT_EQ(count, static_cast<int64_t>(sent_.size()));
    }
    pending_.clear();
  }

  void Verify() {
    if (!Made()) return;
    std::map<int64_t, int64_t> model;
    int64_t bad = 0;
    for (const Sent& sent : sent_) {
      if (sent.what == Sent::What::kBad) {
        ++bad;
      } else if (sent.what == Sent::What::kClear) {
        model.clear();
      } else if (sent.value) {
        model[sent.key] = *sent.value;
      } else {
        model.erase(sent.key);
      }
    }
    Rows expected;
    for (const auto& [key, value] : model)
      expected.push_back({std::to_string(key), std::to_string(value)});
    Rows rows;
    for (int i = 0; i < 1000; ++i) {
      rows = Query(*node_, "SELECT k, v FROM t ORDER BY k");
      const Rows count = Query(*node_, "SELECT count(*) FROM events");
      if (rows == expected && count == Rows{{std::to_string(sent_.size())}}) break;
      usleep(10'000);
    }
    ASSERT_EQ(rows, expected);
    EXPECT_EQ(Query(*node_, "SELECT count(*) FROM t.quarantine"), (Rows{{std::to_string(bad)}}));
    EXPECT_TRUE(node_->CheckBooks().ok()) << node_->CheckBooks().error().ToString();
    if (node_->catalog()->FindRelation("per_v") != nullptr) {
      EXPECT_EQ(Difference(*node_, "per_v"), Rows{});
    }
  }

  bool Work() { return Made() && random_.OneIn(3) ? WriteStatement() : SendBatch(); }

  // Each of its rows is a record; a delete of a row that is not there is none.
  bool WriteStatement() {
    const auto key = static_cast<int64_t>(random_.Below(15));
    const auto value = static_cast<int64_t>(random_.Below(1000));
    std::string text = fmt::format("DELETE FROM t WHERE k = {}", key);
    if (random_.OneIn(3)) {
      pending_.push_back({key, std::nullopt});
    } else {
      // Two keys are mostly two partitions, in one frame.
      pending_.push_back({key, value});
      pending_.push_back({key + 1, value});
      text = fmt::format(
          "INSERT INTO t VALUES ({0}, {2}), ({1}, {2}) ON CONFLICT DO UPDATE SET v = excluded.v",
          key, key + 1, value);
    }
    const auto result = node_->Execute(text, {});
    if (!result.ok()) {
      EXPECT_TRUE(power_) << result.error().ToString();
      return false;
    }
    EXPECT_TRUE(result->affected == pending_.size() ||
                (result->affected == 0 && !pending_.front().value));
    if (result->affected > 0) sent_.insert(sent_.end(), pending_.begin(), pending_.end());
    pending_.clear();
    return true;
  }

  bool SendBatch() {
    log::RecordBatchBuilder batch;
    for (uint64_t i = 1 + random_.Below(5); i > 0; --i) Add(batch);
    log::AppendRequest request;
    request.push_back({{Topic(), static_cast<int32_t>(random_.Below(3))}, batch.Finish()});
    if (!node_->log().AppendAndWait(std::move(request)).ok()) return false;
    sent_.insert(sent_.end(), pending_.begin(), pending_.end());
    pending_.clear();
    return true;
  }

  void Add(log::RecordBatchBuilder& batch) {
    Sent sent{static_cast<int64_t>(random_.Below(15)), std::nullopt};
    if (!random_.OneIn(4)) sent.value = static_cast<int64_t>(random_.Below(1000));
    if (random_.OneIn(12)) sent.what = Sent::What::kBad;
    if (debezium_ && random_.OneIn(40)) sent.what = Sent::What::kClear;
    const std::string key = fmt::format(R"({{"k": {}}})", sent.key);
    std::optional<std::string> value;
    if (sent.value) value = fmt::format(R"({{"k": {}, "v": {}}})", sent.key, *sent.value);
    if (debezium_)
      value = value ? fmt::format(R"({{"op": "u", "before": null, "after": {}}})", *value)
                    : R"({"op": "d", "before": null})";
    if (sent.what == Sent::What::kBad) value = "bad";
    if (sent.what == Sent::What::kClear) value = R"({"op": "t"})";
    batch.Add(key, value ? std::optional<std::string_view>(*value) : std::nullopt, log::Millis{1});
    pending_.push_back(sent);
  }

  Random random_;
  const bool debezium_;
  bool power_ = false;  // it is lost in this life
  TestDisk disk_;
  std::unique_ptr<Node> node_;
  std::vector<Sent> sent_;     // acknowledged
  std::vector<Sent> pending_;  // on its way
};

class NodeTableOfTopic : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { SetLogLevel(LogLevel::kOff); }
  void TearDown() override { SetLogLevel(LogLevel::kWarning); }

  void LiveAndDie(uint64_t seed, bool power) {
    World world(seed, GetParam());
    for (int life = 0; life < 8 && !HasFatalFailure(); ++life) {
      SCOPED_TRACE(life);
      world.Live(power);
    }
    if (!HasFatalFailure()) world.VerifyAtTheEnd();
  }
};

TEST_P(NodeTableOfTopic, IsWhatADictionaryWouldBeThroughKills) {
  LiveAndDie(SeedOf(1), /*power=*/false);
}

TEST_P(NodeTableOfTopic, IsWhatADictionaryWouldBeThroughLossesOfPower) {
  LiveAndDie(SeedOf(2), /*power=*/true);
}

INSTANTIATE_TEST_SUITE_P(Formats, NodeTableOfTopic, testing::Bool(),
                         [](const auto& info) { return info.param ? "Debezium" : "Json"; });

}  // namespace
}  // namespace millrace::runtime::node_table_of_topic_test
