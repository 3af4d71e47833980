#include "runtime/seeds.h"

#include <gtest/gtest.h>

#include <fstream>

#include "runtime/testing.h"

namespace millrace::runtime::seeds_test {
namespace {

class SeedsTest : public testing::Test {
 protected:
  void WriteSeed(const std::string& text) {
    std::ofstream(disk_.Options().project_directory + "/names.csv") << text;
  }
  void Start() {
    node_.reset();
    auto node = Node::Start(disk_.Options(1));
    ASSERT_TRUE(node.ok()) << node.error().ToString();
    node_ = *std::move(node);
  }
  Status Apply() {
    const auto applied = node_->ApplyProject(
        {{"project.sql",
          "CREATE TABLE names (k BIGINT PRIMARY KEY, name VARCHAR) WITH (seed = 'names.csv');"}},
        {});
    return applied.ok() ? Ok() : Status(applied.error());
  }
  Rows Names() { return Query(*node_, "FROM names ORDER BY k"); }

  TestDisk disk_;
  std::unique_ptr<Node> node_;
};

TEST_F(SeedsTest, ComesInAgainWhenTheFileHasChangedAndOnlyThen) {
  WriteSeed("k,name\n1,one\n2,two\n");
  Start();
  ASSERT_TRUE(Apply().ok());
  EXPECT_EQ(Names(), (Rows{{"1", "one"}, {"2", "two"}}));
  // What was changed by hand stays as long as the file does.
  Query(*node_, "UPDATE names SET name = 'ONE' WHERE k = 1");
  Start();
  ASSERT_TRUE(Apply().ok());
  EXPECT_EQ(Names(), (Rows{{"1", "ONE"}, {"2", "two"}}));
  WriteSeed("k,name\n1,one\n3,three\n");
  Start();
  ASSERT_TRUE(Apply().ok());
  EXPECT_EQ(Names(), (Rows{{"1", "one"}, {"2", "two"}, {"3", "three"}}));
}

TEST_F(SeedsTest, FillsATableThatWasDroppedAndMadeAgain) {
  WriteSeed("k,name\n1,one\n");
  Start();
  ASSERT_TRUE(Apply().ok());
  Query(*node_, "DROP TABLE names");
  ASSERT_TRUE(Apply().ok());
  EXPECT_EQ(Names(), (Rows{{"1", "one"}}));
}

TEST_F(SeedsTest, ThatCannotBeReadOrHasAWrongRowLeavesTheTableUnmade) {
  Start();
  Status applied = Apply();
  ASSERT_FALSE(applied.ok());
  EXPECT_NE(applied.error().message().find("names.csv"), std::string::npos);
  EXPECT_TRUE(Query(*node_, "SELECT name FROM millrace.tables").empty());
  WriteSeed("k,name\n1,one\nx,two\n");
  applied = Apply();
  ASSERT_FALSE(applied.ok());
  EXPECT_NE(applied.error().message().find("row 2"), std::string::npos)
      << applied.error().message();
  EXPECT_TRUE(Query(*node_, "SELECT name FROM millrace.tables").empty());
}

TEST_F(SeedsTest, MayBeLargerThanOneAppend) {
  std::string text = "k,name\n";
  for (int i = 0; i < 200'000; ++i) {
    text += fmt::format("{},a name that takes a few bytes {}\n", i, i);
  }
  WriteSeed(text);
  Start();
  const Status applied = Apply();
  ASSERT_TRUE(applied.ok()) << applied.error().ToString();
  EXPECT_EQ(Query(*node_, "SELECT count(*), count(DISTINCT name) FROM names"),
            (Rows{{"200000", "200000"}}));
}

}  // namespace
}  // namespace millrace::runtime::seeds_test
