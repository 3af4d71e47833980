// A view's topic of changes adds up to the view, each change once, whatever moment the node dies
// at: also between the batches of one step, and within the content that the topic begins with.
#include "runtime/view_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "base/random.h"
#include "log/record_batch.h"
#include "runtime/testing.h"

namespace millrace::runtime::view_changes_test {
namespace {

// A step of this many rows takes several batches.
constexpr int kManyRows = 40'000;
constexpr const char* kMany =
    "INSERT INTO s SELECT i % 3000, repeat('x', 150) || i FROM range({}) r(i)";

class ViewChangesTest : public testing::Test {
 protected:
  void SetUp() override { SetLogLevel(LogLevel::kOff); }
  void TearDown() override { SetLogLevel(LogLevel::kWarning); }

  void Start() {
    auto started = Node::Start(disk_.Options(2));
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = *std::move(started);
  }
  void Do(const std::string& text) {
    const auto result = node_->Execute(text, {});
    ASSERT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
  }

  using Content = std::map<std::string, int64_t>;

  Content ContentOf(const std::string& view) {
    Content content;
    for (const auto& row : Query(*node_, fmt::format("SELECT to_json(v)::VARCHAR FROM {} v", view)))
      ++content[row[0]];
    return content;
  }
  // Fails where a row goes that is not there: a change is missing, or is there twice.
  Content TopicOf(const std::string& view) {
    Content content;
    std::map<std::string, std::string> newest;
    const catalog::Object* object = node_->catalog()->Find(catalog::Kind::kView, view);
    const auto topic = node_->ChangesTopicOf(*object);
    if (!topic) return content;
    const auto cut = node_->log().DurableCut();
    const log::Cut::End* range = cut->Find({*topic, 0});
    if (range == nullptr) return content;
    for (log::Offset at = range->start; at < range->end;) {
      const auto read = node_->log().Read({*topic, 0}, {.from = at, .until = range->end});
      EXPECT_TRUE(read.ok());
      if (!read.ok()) return content;
      for (const log::ReadBatch& batch : read->batches) {
        for (log::RecordCursor records = batch.view().records(); records.Next();)
          Apply(records.record(), content, newest);
      }
      at = read->next;
    }
    for (const auto& [key, row] : newest) ++content[row];
    return content;
  }
  static void Apply(const log::RecordView& record, Content& content,
                    std::map<std::string, std::string>& newest) {
    const std::string value(record.value.value_or(""));
    if (!value.starts_with("{\"before\":")) {  // an upsert
      const std::string key(*record.key);
      if (!record.value) {
        newest.erase(key);
      } else {
        newest[key] = value;
      }
      return;
    }
    const size_t after = value.find(",\"after\":");
    const size_t op = value.rfind(",\"op\":\"");
    const std::string gone = value.substr(10, after - 10);
    const std::string come = value.substr(after + 9, op - after - 9);
    if (value[op + 7] == 't') content.clear();
    if (gone != "null") {
      const auto found = content.find(gone);
      ASSERT_NE(found, content.end()) << "goes and is not there: " << gone.substr(0, 40);
      if (--found->second == 0) content.erase(found);
    }
    if (come != "null") ++content[come];
  }
  void ExpectEqual(const std::string& view) {
    const Content expected = ContentOf(view);
    const auto begin = Tick();
    while (TopicOf(view) != expected && SecondsSince(begin) < 60 && !HasFatalFailure())
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(TopicOf(view) == expected) << view;
  }

  TestDisk disk_;
  std::unique_ptr<Node> node_;
};

TEST_F(ViewChangesTest, AddUpOverPowerLossAtRandomCalls) {
  const uint64_t seed = 20261127;
  SCOPED_TRACE(seed);
  Random random(seed);
  Start();
  Do("CREATE STREAM s (k INTEGER, t VARCHAR)");
  Do(fmt::format(kMany, kManyRows));
  const std::vector<std::string> views = {"upserts", "groups", "lines"};
  Do("CREATE MATERIALIZED VIEW upserts WITH (changes = 'upsert') AS SELECT k, max(t) AS t, "
     "count(*) "
     "AS n FROM s GROUP BY k HAVING count(*) % 3 <> 0");
  Do("CREATE MATERIALIZED VIEW groups WITH (changes = 'append') AS SELECT k, max(t) AS t, count(*) "
     "AS n FROM s GROUP BY k HAVING count(*) % 3 <> 0");
  Do("CREATE MATERIALIZED VIEW lines WITH (changes = 'append') AS SELECT t FROM s WHERE k % 2 = 0");
  for (int life = 0; life < 9; ++life) {
    SCOPED_TRACE(life);
    // The first lives end within the contents, the others within the changes of a step.
    if (life >= 4) Do(fmt::format(kMany, kManyRows / 2 + random.Below(kManyRows / 2)));
    disk_.LosePowerInLog(1 + random.Below(12));
    std::this_thread::sleep_for(std::chrono::milliseconds(random.Below(1000)));
    disk_.CutOff();
    node_.reset();
    disk_.PowerIsBack(random.Next());
    Start();
    if (HasFatalFailure()) return;
    if (life % 3 != 2) continue;
    for (const std::string& view : views) ExpectEqual(view);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace millrace::runtime::view_changes_test
