// What is done through the overlay is seen through it, and never reaches what is below.
#include "base/overlay_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/faulty_files.h"
#include "base/random.h"
#include "base/shared_lock.h"

namespace millrace::overlay_files_test {
namespace {

using ::testing::ElementsAre;

class Overlay : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(below_.CreateDirectories("d/sub").ok());
    ASSERT_TRUE(below_.Replace("d/a", "hello").ok());
    ASSERT_TRUE(below_.Replace("d/sub/b", "deep").ok());
    paths_ = below_.Paths();
    below_.SetReadOnly(true);
  }
  // Whatever was done: nothing of it is below.
  void TearDown() override {
    EXPECT_EQ(below_.Paths(), paths_);
    EXPECT_EQ(below_.ReadAll("d/a").value(), "hello");
    EXPECT_EQ(below_.ReadAll("d/sub/b").value(), "deep");
  }

  FaultyFiles below_;
  OverlayFiles files_{below_};
  std::vector<std::string> paths_;
};

TEST_F(Overlay, ShowsWhatIsBelow) {
  EXPECT_EQ(files_.ReadAll("d/a").value(), "hello");
  EXPECT_THAT(files_.List("d").value(), ElementsAre("a", "sub"));
  EXPECT_TRUE(files_.Exists("d/sub").value());
  EXPECT_FALSE(files_.Exists("d/none").value());
  EXPECT_EQ(files_.ReadAll("d/none").error().code(), Code::kNotFound);
  EXPECT_EQ(files_.List("none").error().code(), Code::kNotFound);
}

TEST_F(Overlay, KeepsWhatIsWritten) {
  auto file = files_.Open("d/a", OpenMode::kReadWrite).value();
  ASSERT_TRUE(file->Write("J", 0).ok());
  const std::string_view pieces[] = {" and ", "bye"};
  ASSERT_TRUE(file->WriteGather(pieces, 5).ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(files_.ReadAll("d/a").value(), "Jello and bye");
  ASSERT_TRUE(files_.Replace("d/sub/new", "made").ok());
  EXPECT_EQ(files_.ReadAll("d/sub/new").value(), "made");
  EXPECT_THAT(files_.List("d/sub").value(), ElementsAre("b", "new"));
}

TEST_F(Overlay, WhatWasCutOffIsZeroWhenTheFileGrowsAgain) {
  auto file = files_.Open("d/a", OpenMode::kReadWrite).value();
  ASSERT_TRUE(file->Truncate(2).ok());
  ASSERT_TRUE(file->Truncate(4).ok());
  EXPECT_EQ(files_.ReadAll("d/a").value(), std::string("he\0\0", 4));
  ASSERT_TRUE(file->Write("!", 3).ok());
  ASSERT_TRUE(file->Truncate(1).ok());
  ASSERT_TRUE(file->Truncate(4).ok());
  EXPECT_EQ(files_.ReadAll("d/a").value(), std::string("h\0\0\0", 4));
}

TEST_F(Overlay, MovesAndRemoves) {
  ASSERT_TRUE(files_.Rename("d/a", "d/c").ok());
  EXPECT_EQ(files_.ReadAll("d/c").value(), "hello");
  EXPECT_FALSE(files_.Exists("d/a").value());
  ASSERT_TRUE(files_.Rename("d/sub", "d/other").ok());
  EXPECT_EQ(files_.ReadAll("d/other/b").value(), "deep");
  EXPECT_FALSE(files_.Exists("d/sub/b").value());
  EXPECT_THAT(files_.List("d").value(), ElementsAre("c", "other"));
  ASSERT_TRUE(files_.Remove("d/c").ok());
  EXPECT_EQ(files_.Remove("d/c").error().code(), Code::kNotFound);
  ASSERT_TRUE(files_.RemoveAll("d").ok());
  EXPECT_FALSE(files_.Exists("d/other/b").value());
  EXPECT_EQ(files_.List("d").error().code(), Code::kNotFound);
  // Made anew, the folder is empty.
  ASSERT_TRUE(files_.CreateDirectories("d/sub").ok());
  EXPECT_THAT(files_.List("d/sub").value(), ElementsAre());
}

TEST_F(Overlay, AFileInNoFolderIsRefused) {
  EXPECT_EQ(files_.Open("none/x", OpenMode::kCreate).error().code(), Code::kNotFound);
  EXPECT_EQ(files_.Open("d/x", OpenMode::kReadWrite).error().code(), Code::kNotFound);
}

// Against a plain string, over many blocks.
TEST_F(Overlay, BehavesLikeAString) {
  below_.SetReadOnly(false);
  std::string model(300'000, '\0');
  Random random(7);
  for (char& c : model) c = static_cast<char>(random.Below(256));
  ASSERT_TRUE(below_.Replace("d/long", model).ok());
  paths_ = below_.Paths();
  below_.SetReadOnly(true);
  auto file = files_.Open("d/long", OpenMode::kReadWrite).value();
  for (int i = 0; i < 300; ++i) {
    const size_t at = random.Below(400'000);
    if (random.Below(10) == 0) {
      ASSERT_TRUE(file->Truncate(at).ok());
      model.resize(at);
      continue;
    }
    const std::string piece(1 + random.Below(100'000), static_cast<char>(random.Below(256)));
    ASSERT_TRUE(file->Write(piece, at).ok());
    model.resize(std::max(model.size(), at + piece.size()));
    model.replace(at, piece.size(), piece);
    ASSERT_TRUE(files_.ReadAll("d/long").value() == model) << "after change " << i;
  }
}

TEST(SharedLock, IsHadWhileNobodyHoldsTheFileAlone) {
  const std::string path = ::testing::TempDir() + "/millrace_shared_lock";
  if (Files::System().Exists(path).value()) {
    ASSERT_TRUE(Files::System().Remove(path).ok());
  }
  EXPECT_EQ(LockShared(path).error().code(), Code::kNotFound);
  {
    const auto alone = Files::System().Lock(path);
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ(LockShared(path).error().code(), Code::kConflict);
  }
  const auto first = LockShared(path);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(LockShared(path).ok());
  EXPECT_EQ(Files::System().Lock(path).error().code(), Code::kConflict);
}

}  // namespace
}  // namespace millrace::overlay_files_test
