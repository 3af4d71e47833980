// What a follower is given adds up to the view, whatever happens meanwhile.
#include "runtime/subscription.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/random.h"
#include "rows/row_codec.h"
#include "runtime/testing.h"

namespace millrace::runtime::subscription_test {
namespace {

using std::chrono::milliseconds;

// A follower that keeps what it was given.
class Follower {
 public:
  void Subscribe(Node& node, const std::string& view, const Node::SubscribeOptions& options) {
    auto subscribed = node.Subscribe(view, options);
    ASSERT_TRUE(subscribed.ok()) << subscribed.error().ToString();
    subscription_ = std::move(*subscribed);
  }
  void End() { subscription_.reset(); }

  // Until it has everything up to the step.
  void Read(int64_t step) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (seen_ < step) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << seen_ << " of " << step;
      auto event = subscription_->Next(milliseconds(100));
      ASSERT_TRUE(event.ok()) << event.error().ToString();
      if (*event) Take(**event);
    }
  }

  const std::map<std::string, int64_t>& content() const { return content_; }
  int64_t seen() const { return seen_; }
  int resets() const { return resets_; }

 private:
  void Take(const FeedEvent& event) {
    if (event.kind == FeedEvent::Kind::kReset) {
      content_.clear();
      ++resets_;
      return;
    }
    if (event.kind == FeedEvent::Kind::kProgress) seen_ = std::max(seen_, event.step.value);
    for (const rows::Batch::Part& part : event.rows.parts) {
      for (size_t i = 0; i < part.rows->size(); ++i) {
        std::string text;
        for (size_t column = 0; column < part.rows->ColumnCount(); ++column)
          text += part.rows->GetValue(column, i).ToString() + "|";
        int64_t& weight = content_[text];
        weight += part.weight(i);
        if (weight == 0) content_.erase(text);
      }
    }
  }

  std::unique_ptr<Subscription> subscription_;
  std::map<std::string, int64_t> content_;
  int64_t seen_ = 0;
  int resets_ = 0;
};

std::map<std::string, int64_t> ContentOf(Node& node, const std::string& view) {
  std::map<std::string, int64_t> content;
  for (const std::vector<std::string>& row : Query(node, "FROM " + view)) {
    std::string text;
    for (const std::string& value : row) text += value + "|";
    ++content[text];
  }
  return content;
}

// The parameter: NodeOptions::content_bytes.
class SubscriptionTest : public testing::TestWithParam<size_t> {
 protected:
  void Start() {
    NodeOptions options = disk_.Options(2);
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
  void Do(const std::string& text) {
    const auto result = node_->Execute(text, {});
    ASSERT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
  }
  void Make() {
    Start();
    Do("CREATE STREAM s (k INTEGER, v INTEGER)");
    Do("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER)");
    Do("CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n, sum(v) AS v FROM s GROUP BY k");
    Do("INSERT INTO s SELECT i % 10, i FROM range(5000) r(i)");
  }
  void Insert(Random& random) {
    Do(fmt::format("INSERT INTO s VALUES ({}, {}), ({}, {})", random.Below(12), random.Below(100),
                   random.Below(12), random.Below(100)));
  }

  TestDisk disk_;
  std::unique_ptr<Node> node_;
};

TEST_P(SubscriptionTest, ContentAndChangesAddUpToTheView) {
  Make();
  Follower follower;
  follower.Subscribe(*node_, "v", {.content = true, .after = {}});
  Random random(SeedOf(3));
  for (int i = 0; i < 50; ++i) {
    Insert(random);
    if (i % 5 != 0) continue;
    follower.Read(node_->visible_step());
    EXPECT_EQ(follower.content(), ContentOf(*node_, "v"));
  }
  EXPECT_EQ(follower.resets(), 0);
}

TEST_P(SubscriptionTest, FollowsATableFromNowOn) {
  Make();
  Do("INSERT INTO t VALUES (1, 1)");
  Follower follower;
  follower.Subscribe(*node_, "t", {});
  Do("INSERT INTO t VALUES (2, 2)");
  Do("UPDATE t SET v = 5 WHERE k = 1");
  follower.Read(node_->visible_step());
  EXPECT_EQ(follower.content(),
            (std::map<std::string, int64_t>{{"1|1|", -1}, {"1|5|", 1}, {"2|2|", 1}}));
}

TEST_P(SubscriptionTest, GoesOnAfterKillsWhereItWas) {
  Make();
  Follower follower;
  follower.Subscribe(*node_, "v", {.content = true, .after = {}});
  Random random(SeedOf(4));
  for (int life = 0; life < 8; ++life) {
    for (uint64_t i = 0; i < random.Below(6); ++i) Insert(random);
    follower.Read(node_->visible_step());
    for (uint64_t i = 0; i < random.Below(6); ++i) Insert(random);         // missed
    std::this_thread::sleep_for(milliseconds(random.OneIn(2) ? 0 : 300));  // maybe flushed
    follower.End();
    Kill();
    Start();
    follower.Subscribe(*node_, "v", {.content = false, .after = follower.seen()});
    follower.Read(node_->visible_step());
    EXPECT_EQ(follower.content(), ContentOf(*node_, "v")) << life;
  }
  EXPECT_EQ(follower.resets(), 0);
}

TEST_P(SubscriptionTest, AReplacedViewGivesTheExactDifference) {
  Make();
  Follower follower;
  follower.Subscribe(*node_, "v", {.content = true, .after = {}});
  follower.Read(node_->visible_step());
  Do("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, count(*) AS n, sum(v) AS v FROM s "
     "WHERE k <> 3 GROUP BY k");
  Do("INSERT INTO s VALUES (1, 1000)");
  follower.Read(node_->visible_step());
  EXPECT_EQ(follower.resets(), 0);
  EXPECT_EQ(follower.content().size(), 9u);
  EXPECT_EQ(follower.content(), ContentOf(*node_, "v"));
  // The same over a crash between.
  Do("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, count(*) + 1 AS n, sum(v) AS v FROM s "
     "GROUP BY k");
  follower.End();
  Kill();
  Start();
  follower.Subscribe(*node_, "v", {.content = false, .after = follower.seen()});
  follower.Read(node_->visible_step());
  EXPECT_EQ(follower.resets(), 0);
  EXPECT_EQ(follower.content(), ContentOf(*node_, "v"));
}

TEST_P(SubscriptionTest, OtherColumnsBeginAnew) {
  Make();
  Follower follower;
  follower.Subscribe(*node_, "v", {.content = true, .after = {}});
  follower.Read(node_->visible_step());
  Do("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, 'text' AS t FROM s GROUP BY k");
  Do("INSERT INTO s VALUES (100, 1)");
  follower.Read(node_->visible_step());
  EXPECT_EQ(follower.resets(), 1);
  EXPECT_EQ(follower.content(), ContentOf(*node_, "v"));
}

TEST_P(SubscriptionTest, AResumedViewGivesWhatItMissedWhilePaused) {
  Make();
  Follower follower;
  follower.Subscribe(*node_, "v", {.content = true, .after = {}});
  follower.Read(node_->visible_step());
  Do("ALTER MATERIALIZED VIEW v PAUSE");
  Do("INSERT INTO s VALUES (1, 1000), (77, 1)");
  Do("ALTER MATERIALIZED VIEW v RESUME");
  follower.Read(node_->visible_step());
  EXPECT_EQ(follower.resets(), 0);
  EXPECT_EQ(follower.content(), ContentOf(*node_, "v"));
}

TEST_P(SubscriptionTest, AnOldResumePointGetsAResetAndANewContent) {
  Make();
  Follower follower;
  follower.Subscribe(*node_, "v", {.content = false, .after = 1});
  follower.Read(node_->visible_step());
  EXPECT_EQ(follower.resets(), 1);
  EXPECT_EQ(follower.content(), ContentOf(*node_, "v"));
}

TEST_P(SubscriptionTest, SaysWhatCannotBeFollowed) {
  Make();
  Do("CREATE VIEW plain AS SELECT * FROM v");
  const auto refusal = [&](const char* name, std::optional<int64_t> after) {
    const auto subscribed = node_->Subscribe(name, {.content = true, .after = after});
    return subscribed.ok() ? "" : subscribed.error().ToString();
  };
  EXPECT_NE(refusal("s", {}).find("is a stream"), std::string::npos);
  EXPECT_NE(refusal("plain", {}).find("plain view"), std::string::npos);
  EXPECT_NE(refusal("nothing", {}).find("does not exist"), std::string::npos);
  EXPECT_NE(refusal("v", 1'000'000).find("has not come yet"), std::string::npos);
  auto subscription = node_->Subscribe("v", {});
  ASSERT_TRUE(subscription.ok());
  Do("DROP MATERIALIZED VIEW v CASCADE");
  const auto event = (*subscription)->Next(milliseconds(1000));
  ASSERT_FALSE(event.ok());
  EXPECT_EQ(event.error().code(), Code::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(InMemory, SubscriptionTest, testing::Values(size_t{0}));
INSTANTIATE_TEST_SUITE_P(OnDisk, SubscriptionTest, testing::Values(size_t{1}));

}  // namespace
}  // namespace millrace::runtime::subscription_test
