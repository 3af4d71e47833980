#include "runtime/feeds.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/tables.h"
#include "runtime/test_disk.h"

namespace millrace::runtime::feeds_test {
namespace {

const rows::Types kTypes = {duckdb::LogicalType::INTEGER, duckdb::LogicalType::VARCHAR};

rows::Batch Rows(const std::vector<std::pair<int, rows::Weight>>& values) {
  rows::BatchBuilder builder(kTypes);
  duckdb::DataChunk row;
  row.Initialize(duckdb::Allocator::DefaultAllocator(), kTypes, 1);
  for (const auto& [value, weight] : values) {
    row.Reset();
    row.SetValue(0, 0, duckdb::Value::INTEGER(value));
    row.SetValue(1, 0, duckdb::Value("row " + std::to_string(value)));
    row.SetCardinality(1);
    builder.AppendRow(row, 0, weight);
  }
  return builder.Finish();
}

// The steps that a reader is given after `after`.
std::vector<int64_t> StepsOf(const Feed& feed, int64_t after, int64_t until) {
  std::vector<int64_t> steps;
  while (true) {
    const auto entries = feed.Next({after}, {until});
    EXPECT_TRUE(entries.ok());
    if (!entries.ok() || entries->empty()) return steps;
    after = entries->front()->step.value;
    steps.push_back(after);
  }
}

class FeedsTest : public testing::Test {
 protected:
  void Open() {
    store_.reset();
    const NodeOptions options = disk_.Options(1);
    auto store = state::Store::Open({.directory = options.data_directory + "/state",
                                     .workers = 1,
                                     .memory_bytes = 64 << 20,
                                     .env = options.state_env});
    ASSERT_TRUE(store.ok()) << store.error().ToString();
    store_ = std::move(*store);
  }
  void Flush(Feeds& feeds, Micros now) {
    std::vector<state::Mutation> mutations;
    feeds.TakeDirty(now, mutations);
    store_->BeginFlush({++step_}, std::move(mutations));
    ASSERT_TRUE(store_->FinishFlush().ok());
  }
  size_t StoredKeys() {
    size_t keys = 0;
    EXPECT_TRUE(store_
                    ->Scan(kFeedsTable, "",
                           [&](std::string_view, std::string_view) {
                             ++keys;
                             return Ok();
                           })
                    .ok());
    return keys;
  }

  TestDisk disk_;
  std::unique_ptr<state::Store> store_;
  int64_t step_ = 0;
};

TEST_F(FeedsTest, GivesTheStepsAfterOneInOrderUpToAnother) {
  Feeds feeds({});
  feeds.Follow("v", {10});
  for (const int64_t step : {10, 12, 12, 15}) feeds.Add("v", {step}, {0}, Rows({{1, 1}}), kTypes);
  feeds.Add("v", {16}, {0}, {}, kTypes);                  // nothing
  feeds.Add("other", {16}, {0}, Rows({{1, 1}}), kTypes);  // nobody follows it
  const auto feed = feeds.Find("v");
  EXPECT_EQ(StepsOf(*feed, 9, 100), (std::vector<int64_t>{10, 12, 15}));
  EXPECT_EQ(StepsOf(*feed, 10, 14), (std::vector<int64_t>{12}));
  EXPECT_EQ(feed->Next({10}, {14})->size(), 2u);
  EXPECT_EQ(feed->Next({8}, {14}).error().code(), Code::kNotFound);
}

TEST_F(FeedsTest, IsThereAgainAfterARestartAsOfTheFlush) {
  Open();
  Feeds feeds({});
  feeds.Follow("v", {3});
  feeds.Add("v", {3}, {0}, Rows({{1, 1}, {2, -1}}), kTypes);
  feeds.Add("v", {3}, {0}, Rows({{4, 1}}), kTypes);
  feeds.Add("v", {5}, {0}, Rows({{2, 1}}), kTypes);
  Flush(feeds, {0});
  feeds.Add("v", {6}, {0}, Rows({{3, 1}}), kTypes);  // lost: computed again by recovery
  Open();
  Feeds again({});
  ASSERT_TRUE(again.Load(*store_).ok());
  const auto feed = again.Find("v");
  ASSERT_NE(feed, nullptr);
  EXPECT_EQ(StepsOf(*feed, 2, 100), (std::vector<int64_t>{3, 5}));
  const auto entries = feed->Next({2}, {4});
  ASSERT_EQ(entries->size(), 2u);
  const auto rows = DecodeFeedRows((*entries)[0]->rows, kTypes);
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->row_count(), 2u);
  EXPECT_EQ(rows->parts[0].weight(1), -1);
  EXPECT_EQ(EncodeFeedRows(*rows, kTypes), (*entries)[0]->rows);
}

TEST_F(FeedsTest, ForgetsWhatIsTooOldOrTooMuchAlsoOnDisk) {
  Open();
  Feeds feeds({.age_max = std::chrono::seconds(10), .bytes_max = 2000});
  feeds.Follow("v", {1});
  for (int64_t step = 1; step <= 100; ++step) {
    feeds.Add("v", {step}, {step * 1'000'000}, Rows({{static_cast<int>(step), 1}}), kTypes);
    if (step % 7 == 0) Flush(feeds, {step * 1'000'000});
  }
  Flush(feeds, {100'000'000});
  const auto feed = feeds.Find("v");
  EXPECT_FALSE(feed->Next({50}, {100}).ok());
  const size_t kept = StepsOf(*feed, 95, 100).size();
  EXPECT_EQ(kept, 5u);
  EXPECT_LE(StoredKeys(), 1 + 2000 / 128u);
  Open();
  Feeds again({});
  ASSERT_TRUE(again.Load(*store_).ok());
  EXPECT_EQ(StepsOf(*again.Find("v"), 95, 100).size(), kept);
}

TEST_F(FeedsTest, GoesOnUnderTheNameOfWhatReplacesIt) {
  Feeds feeds({});
  feeds.Follow("v#1", {1});
  feeds.Add("v#1", {1}, {0}, Rows({{1, 1}}), kTypes);
  const auto feed = feeds.Find("v#1");
  feeds.Replace("v#1", "v#2", {2}, /*same_columns=*/true);
  feeds.Drop("v#1");  // the old one goes, the feed does not
  feeds.Add("v#2", {2}, {0}, Rows({{2, 1}}), kTypes);
  EXPECT_EQ(StepsOf(*feed, 0, 100), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(feed->name(), "v#2");
  feeds.Replace("v#2", "v#3", {3}, /*same_columns=*/false);
  EXPECT_FALSE(feed->Next({2}, {100}).ok());
  EXPECT_TRUE(feed->Next({3}, {100}).ok());
  EXPECT_FALSE(feed->ended());
  feeds.Drop("v#3");
  EXPECT_TRUE(feed->ended());
}

TEST_F(FeedsTest, OfARelationThatIsGoneOrThatNobodyUsesLeaveNothingBehind) {
  Open();
  Feeds feeds({.age_max = std::chrono::microseconds(1)});
  for (const char* name : {"dropped", "unused", "used"}) {
    feeds.Follow(name, {1});
    feeds.Add(name, {1}, {1'000'000}, Rows({{1, 1}}), kTypes);
  }
  const auto use = feeds.Find("used")->Use();
  const auto others = {feeds.Find("dropped")->Use(), feeds.Find("unused")->Use()};
  Flush(feeds, {1'000'000});
  EXPECT_EQ(StoredKeys(), 6u);
  feeds.Drop("dropped");
  EXPECT_EQ(feeds.List().size(), 2u);
  Flush(feeds, {1'000'000});
  EXPECT_EQ(StoredKeys(), 4u);
}

TEST(FeedRows, OfOtherTypesAreCorruptionAndNeverACrash) {
  const std::string bytes = EncodeFeedRows(Rows({{1, 1}, {2, 5}}), kTypes);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(DecodeFeedRows(std::string_view(bytes).substr(0, size), kTypes).ok()) << size;
}

}  // namespace
}  // namespace millrace::runtime::feeds_test
