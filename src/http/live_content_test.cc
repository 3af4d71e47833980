// Contents of live answers, their differences and their events; no connection.
#include "http/live_content.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "http/result_writer.h"
#include "http/testing.h"

namespace millrace::http::live_content_test {
namespace {

using Rows = std::vector<std::string>;

// What a client does with a `change` event.
Rows Applied(Rows rows, const Rows& after, const LiveDifference& difference) {
  for (size_t i = difference.removed.size(); i-- > 0;)
    rows.erase(rows.begin() + static_cast<ptrdiff_t>(difference.removed[i]));
  for (const size_t at : difference.added)
    rows.insert(rows.begin() + static_cast<ptrdiff_t>(at), after[at]);
  return rows;
}

TEST(LiveDifference, LeadsFromAnyOrderedRowsToAnyOthers) {
  const uint64_t seed = 20111209;
  Random random(seed);
  for (int round = 0; round < 3000; ++round) {
    const auto some = [&] {
      Rows rows(random.Below(9));
      for (std::string& row : rows) row = std::string(1, static_cast<char>('a' + random.Below(5)));
      return rows;
    };
    const Rows before = some(), after = some();
    EXPECT_EQ(Applied(before, after, Difference(before, after, true)), after)
        << "seed " << seed << " round " << round;
  }
}

TEST(LiveDifference, OfRowsWithoutOrderIsThatOfBags) {
  const uint64_t seed = 20111210;
  Random random(seed);
  for (int round = 0; round < 3000; ++round) {
    Rows before(random.Below(9)), after(random.Below(9));
    for (Rows* rows : {&before, &after}) {
      for (std::string& row : *rows) row = std::string(1, static_cast<char>('a' + random.Below(5)));
    }
    const LiveDifference difference = Difference(before, after, false);
    std::map<std::string, int> bag;
    for (const std::string& row : before) ++bag[row];
    for (const size_t at : difference.removed) --bag[before[at]];
    for (const size_t at : difference.added) ++bag[after[at]];
    for (const std::string& row : after) --bag[row];
    for (const auto& [row, count] : bag) EXPECT_EQ(count, 0) << "seed " << seed << ": " << row;
    // Nothing goes and comes.
    for (const size_t gone : difference.removed) {
      for (const size_t come : difference.added) EXPECT_NE(before[gone], after[come]);
    }
  }
}

TEST(LiveDifference, MovesOneRowOfManyByThatRowAlone) {
  Rows before;
  for (int i = 0; i < 1000; ++i) before.push_back(std::to_string(i));
  Rows after = before;
  std::rotate(after.begin() + 10, after.begin() + 11, after.begin() + 501);  // 10 goes to 500
  const LiveDifference difference = Difference(before, after, true);
  EXPECT_EQ(difference.removed, std::vector<size_t>{10});
  EXPECT_EQ(difference.added, std::vector<size_t>{500});
  EXPECT_TRUE(Difference(before, after, false).empty());
  EXPECT_TRUE(Difference(before, before, true).empty());
}

TEST(LiveDigest, KnowsOrderOnlyWhereThereIsOne) {
  EXPECT_EQ(DigestOf({"a", "b"}, false), DigestOf({"b", "a"}, false));
  EXPECT_NE(DigestOf({"a", "b"}, true), DigestOf({"b", "a"}, true));
  EXPECT_NE(DigestOf({"a", "b"}, false), DigestOf({"a"}, false));
  EXPECT_NE(DigestOf({"a", "a"}, false), DigestOf({"a"}, false));
  EXPECT_NE(DigestOf({}, false), DigestOf({""}, false));
}

TEST(EventId, IsReadAsItIsWritten) {
  for (const EventId id : {EventId{0, 0}, EventId{57, 0xc0ffee}, EventId{INT64_MAX, UINT64_MAX}})
    EXPECT_EQ(ParseEventId(ToString(id)), id);
  EXPECT_EQ(ToString(EventId{57, 0xc0ffee}), "57-0000000000c0ffee");
  for (const char* text : {"", "-", "57", "57-", "57-c0ffee", "x-0000000000c0ffee",
                           "57-0000000000c0ffeg", "57-0000000000c0ffee0", " 57-0000000000c0ffee",
                           "57--000000000c0ffee", "99999999999999999999-0000000000c0ffee"})
    EXPECT_FALSE(ParseEventId(text)) << text;
}

TEST(EventStream, WritesALineOfDataForEachLine) {
  EXPECT_EQ(EventText("change", "5-0", "{}"), "event: change\nid: 5-0\ndata: {}\n\n");
  EXPECT_EQ(EventText("error", "", "a\nb"), "event: error\ndata: a\ndata: b\n\n");
  EXPECT_EQ(EventText("error", "", ""), "event: error\ndata: \n\n");
  EXPECT_EQ(RetryText(std::chrono::seconds(5)), "retry: 5000\n\n");
}

runtime::EndpointAnswer AnswerOf(size_t rows, int64_t step, bool ordered) {
  runtime::EndpointAnswer answer;
  answer.rows = FakeBackend::Rows(rows);
  answer.step = step;
  answer.ordered = ordered;
  return answer;
}

TEST(LiveContent, IsTheOrdinaryAnswerAsAnEvent) {
  const auto budget = std::make_shared<MemoryBudget>(1 << 30);
  for (const size_t count : {0, 1, 2, 5000}) {
    const auto content = LiveContent::Make(AnswerOf(count, 7, true), false, 1 << 20, budget);
    ASSERT_TRUE(content.ok());
    SnapshotWriter writer = SnapshotEvent(*content);
    std::string event;
    for (std::string piece = writer.Next(); !piece.empty(); piece = writer.Next()) event += piece;
    std::string array =
        ResultText(std::make_shared<const sql::QueryResult>(FakeBackend::Rows(count)), {}).value();
    array.pop_back();  // the last line end
    EXPECT_EQ(event, EventText("snapshot", ToString((*content)->id()), array));
  }
}

TEST(LiveContent, CountsInItsBudgetWhileItLives) {
  const auto budget = std::make_shared<MemoryBudget>(10'000);
  auto one = LiveContent::Make(AnswerOf(60, 7, true), false, 1 << 20, budget);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(budget->used(), (*one)->bytes());
  const auto two = LiveContent::Make(AnswerOf(60, 7, true), false, 1 << 20, budget);
  ASSERT_FALSE(two.ok());
  EXPECT_EQ(two.error().code(), Code::kOverloaded);
  one = Error(Code::kInternal, "let go of");
  EXPECT_EQ(budget->used(), 0u);
  const auto large = LiveContent::Make(AnswerOf(60, 7, true), false, 1000, budget);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code(), Code::kTooLarge);
  EXPECT_EQ(budget->used(), 0u);
}

TEST(LiveContent, SaysWhereRowsGoOnlyWhereTheyAreOrdered) {
  const auto budget = std::make_shared<MemoryBudget>(1 << 20);
  const auto change = [&](bool ordered) {
    const auto before = LiveContent::Make(AnswerOf(1, 7, ordered), false, 1 << 20, budget);
    const auto after = LiveContent::Make(AnswerOf(2, 8, ordered), false, 1 << 20, budget);
    return ChangeJson(**before, **after, Difference((*before)->rows(), (*after)->rows(), ordered));
  };
  EXPECT_EQ(change(false), R"({"step": 8, "removed": [], "added": [{"i":1,"name":"name"}]})");
  EXPECT_EQ(change(true), R"({"step": 8, "removed": [], "added": [{"i":1,"name":"name"}], )"
                          R"("removed_at": [], "added_at": [1]})");
}

}  // namespace
}  // namespace millrace::http::live_content_test
