// What a node says and does when its disk is full, read-only or rotten: a clear error each, and
// nothing else lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/testing.h"

namespace millrace::runtime::node_disk_test {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class NodeDisk : public testing::Test {
 protected:
  void SetUp() override { SetLogLevel(LogLevel::kOff); }
  void TearDown() override { SetLogLevel(LogLevel::kWarning); }

  void Start() {
    node_.reset();
    auto node = Node::Start(disk_.Options());
    ASSERT_TRUE(node.ok()) << node.error().ToString();
    node_ = *std::move(node);
  }
  void StartWithProject() {
    Start();
    const auto applied = node_->ApplyProject(
        {{"project.sql",
          "CREATE STREAM lines (id BIGINT, v VARCHAR);"
          "CREATE STREAM others (id BIGINT);"
          "CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM lines;"}},
        {});
    ASSERT_TRUE(applied.ok()) << applied.error().ToString();
  }
  Status Insert(int64_t first, int64_t count) {
    std::string text = "INSERT INTO lines VALUES ";
    for (int64_t id = first; id < first + count; ++id) {
      text += fmt::format("{}({}, '{}')", id == first ? "" : ", ", id, std::string(100, 'x'));
    }
    const auto result = node_->Execute(text, {});
    return result.ok() ? Ok() : Status(result.error());
  }
  Rows Counted() { return Query(*node_, "FROM counted"); }

  TestDisk disk_;
  std::unique_ptr<Node> node_;
};

TEST_F(NodeDisk, FullRefusesRowsGoesOnReadingAndHealsWhenThereIsSpace) {
  StartWithProject();
  ASSERT_TRUE(Insert(0, 10).ok());
  disk_.log_files().SetTotalBytes(1 << 20);
  int64_t accepted = 10;
  Status refused = Ok();
  while (refused.ok() && accepted < 100'000) {
    refused = Insert(accepted, 100);
    if (refused.ok()) accepted += 100;
  }
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kOverloaded) << refused.error().ToString();
  EXPECT_THAT(refused.error().message(), AnyOf(HasSubstr("disk"), HasSubstr("space")));
  EXPECT_EQ(Counted(), (Rows{{std::to_string(accepted)}}));
  EXPECT_TRUE(node_->health().ok()) << node_->health().error().ToString();

  disk_.log_files().SetTotalBytes(uint64_t{1} << 40);
  Status taken = Insert(accepted, 1);
  for (int i = 0; i < 500 && !taken.ok(); ++i) {  // the log looks at the space from time to time
    usleep(10'000);
    taken = Insert(accepted, 1);
  }
  ASSERT_TRUE(taken.ok()) << taken.error().ToString();
  EXPECT_EQ(Counted(), (Rows{{std::to_string(accepted + 1)}}));
  Start();
  EXPECT_EQ(Counted(), (Rows{{std::to_string(accepted + 1)}}));
  EXPECT_TRUE(node_->CheckBooks().ok());
}

TEST_F(NodeDisk, ReadOnlyIsSaidAtTheStart) {
  StartWithProject();
  ASSERT_TRUE(Insert(0, 10).ok());
  node_.reset();
  disk_.log_files().SetReadOnly(true);
  const auto node = Node::Start(disk_.Options());
  ASSERT_FALSE(node.ok());
  EXPECT_THAT(node.error().message(), HasSubstr("ead-only")) << node.error().ToString();
  EXPECT_THAT(node.error().message(), HasSubstr(disk_.Options().data_directory));
  disk_.log_files().SetReadOnly(false);
  Start();
  EXPECT_EQ(Counted(), (Rows{{"10"}}));
}

TEST_F(NodeDisk, AFlippedByteCostsItsBatchAndIsNamed) {
  StartWithProject();
  for (int64_t i = 0; i < 20; ++i) ASSERT_TRUE(Insert(10 * i, 10).ok());
  Query(*node_, "INSERT INTO others VALUES (1), (2), (3)");
  node_.reset();
  // The write-ahead file must not have it any more: then only the segment does.
  std::string segment;
  for (const std::string& path : disk_.log_files().Paths()) {
    if (path.find("/log/lines/") != std::string::npos && path.ends_with(".log")) segment = path;
  }
  ASSERT_FALSE(segment.empty());
  ASSERT_TRUE(disk_.log_files().FlipByte(segment, 5000));

  Start();
  EXPECT_EQ(Counted(), (Rows{{"200"}})) << "the view has its rows in the state";
  const auto read = node_->Execute("SELECT count(*) FROM lines", {});
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(read->rows->chunks[0]->GetValue(0, 0).ToString(), "190");
  ASSERT_EQ(read->notices.size(), 1u) << "an answer without all rows says so";
  EXPECT_THAT(read->notices[0], HasSubstr("stream lines: records "));
  EXPECT_THAT(read->notices[0], HasSubstr("lost to damage on disk"));
  const Rows damage = Query(*node_, "FROM millrace.damage");
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_EQ(damage[0][0], "lines");
  EXPECT_EQ(std::stoll(damage[0][3]) - std::stoll(damage[0][2]), 9);
  EXPECT_EQ(Query(*node_, "SELECT count(*) FROM others"), (Rows{{"3"}}));
  ASSERT_TRUE(Insert(1000, 10).ok());
  EXPECT_EQ(Counted(), (Rows{{"210"}}));
}

TEST_F(NodeDisk, ATornFrameAtTheEndIsCutAndEverythingBeforeItStays) {
  StartWithProject();
  ASSERT_TRUE(Insert(0, 500).ok());
  std::string write_ahead;
  for (const std::string& path : disk_.log_files().Paths()) {
    if (path.find("/wal/") != std::string::npos && path.find("checkpoint") == std::string::npos) {
      write_ahead = path;
    }
  }
  ASSERT_FALSE(write_ahead.empty());
  // A frame is torn when the machine goes down while it is written: what was acknowledged before
  // stays, what was not may be missing.
  for (uint64_t call = 1; call <= 12; ++call) {
    SCOPED_TRACE(call);
    disk_.LosePowerInLog(call);
    const bool acknowledged = Insert(static_cast<int64_t>(1000 * call), 100).ok();
    disk_.CutOff();
    node_.reset();
    disk_.PowerIsBack(/*seed=*/call);
    Start();
    const int64_t found = std::stoll(
        Query(*node_, fmt::format("SELECT count(*) FROM lines WHERE id // 1000 = {}", call))[0][0]);
    EXPECT_TRUE(found == 100 || (!acknowledged && found == 0)) << found;
    EXPECT_EQ(Query(*node_, "SELECT count(*) FROM lines WHERE id < 1000"), (Rows{{"500"}}));
    EXPECT_EQ(Difference(*node_, "counted"), Rows());
  }
}

TEST_F(NodeDisk, DamageToWhatRecoveryNeedsIsNeverPassedOverInSilence) {
  StartWithProject();
  for (int64_t i = 0; i < 50; ++i) ASSERT_TRUE(Insert(10 * i, 10).ok());
  disk_.CutOff();  // the newest steps are in the write-ahead file and the journal only
  node_.reset();
  disk_.ProcessDied();
  for (const std::string& path : disk_.log_files().Paths()) {
    if (path.find("/wal/") == std::string::npos || path.ends_with("checkpoint")) continue;
    for (uint64_t at = 8'192; at < 40'000; at += 512) disk_.log_files().FlipByte(path, at);
  }
  const auto node = Node::Start(disk_.Options());
  if (!node.ok()) {
    EXPECT_EQ(node.error().code(), Code::kCorruption) << node.error().ToString();
    EXPECT_THAT(node.error().message(), HasSubstr("damaged"));
  } else {
    EXPECT_FALSE(Query(**node, "FROM millrace.damage").empty());
  }
}

}  // namespace
}  // namespace millrace::runtime::node_disk_test
