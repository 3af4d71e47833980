// The seam behaves alike on the real file system and on FaultyFiles; and FaultyFiles loses what it
// should.
#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/faulty_files.h"

namespace millrace::files_test {
namespace {

using ::testing::ElementsAre;

class BothFiles : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(files().RemoveAll(directory_).ok());
    ASSERT_TRUE(files().CreateDirectories(directory_ + "/a/b").ok());
  }
  void TearDown() override { ASSERT_TRUE(files().RemoveAll(directory_).ok()); }
  Files& files() { return GetParam() ? Files::System() : faulty_; }

  FaultyFiles faulty_;
  const std::string directory_ = GetParam() ? ::testing::TempDir() + "/millrace_files_test" : "dir";
};

TEST_P(BothFiles, AFileIsNoFolder) {
  ASSERT_TRUE(files().Replace(directory_ + "/f", "x").ok());
  EXPECT_EQ(files().List(directory_ + "/f").error().code(), Code::kIo);
  EXPECT_EQ(files().List(directory_ + "/none").error().code(), Code::kNotFound);
}

TEST_P(BothFiles, WritesReadsAndCuts) {
  auto file = files().Open(directory_ + "/f", OpenMode::kCreate).value();
  ASSERT_TRUE(file->Write("hello", 0).ok());
  const std::string_view pieces[] = {", ", "", "world"};
  ASSERT_TRUE(file->WriteGather(pieces, 5).ok());
  ASSERT_TRUE(file->Preallocate(1 << 16).ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(file->Size().value(), 12u);
  EXPECT_EQ(files().ReadAll(directory_ + "/f").value(), "hello, world");
  char bytes[20];
  EXPECT_EQ(file->Read(bytes, sizeof(bytes), 7).value(), 5u);
  EXPECT_EQ(file->Read(bytes, sizeof(bytes), 100).value(), 0u);
  ASSERT_TRUE(file->Truncate(5).ok());
  EXPECT_EQ(files().ReadAll(directory_ + "/f").value(), "hello");
  ASSERT_TRUE(file->Truncate(7).ok());
  EXPECT_EQ(files().ReadAll(directory_ + "/f").value(), std::string("hello\0\0", 7));
}

TEST_P(BothFiles, WritesPastThePageCacheAndReadsTheSame) {
  struct alignas(kDirectAlignment) Block {
    char bytes[kDirectAlignment];
  };
  const std::string path = directory_ + "/f";
  EXPECT_EQ(files().Open(path, OpenMode::kDirect).error().code(), Code::kNotFound);
  const auto file = files().Open(path, OpenMode::kCreate).value();
  ASSERT_TRUE(file->Write(std::string(3 * kDirectAlignment, 'a'), 0).ok());
  const auto direct = files().Open(path, OpenMode::kDirect).value();
  const auto block = std::make_unique<Block>();
  std::fill(std::begin(block->bytes), std::end(block->bytes), 'b');
  const std::string_view bytes(block->bytes, sizeof(block->bytes));
  ASSERT_TRUE(direct->Write(bytes, kDirectAlignment).ok());
  ASSERT_TRUE(direct->Write(bytes, 5 * kDirectAlignment).ok());
  ASSERT_TRUE(direct->Sync().ok());
  const std::string a(kDirectAlignment, 'a'), b(kDirectAlignment, 'b'), zeros(a.size(), '\0');
  EXPECT_EQ(files().ReadAll(path).value(), a + b + a + zeros + zeros + b);
}

TEST(FaultyFiles, RefusesADirectWriteThatIsNotAligned) {
  FaultyFiles files;
  ASSERT_TRUE(files.Open("f", OpenMode::kCreate).ok());
  const auto direct = files.Open("f", OpenMode::kDirect).value();
  const std::string bytes(2 * kDirectAlignment, 'x');
  const size_t skip =
      kDirectAlignment - reinterpret_cast<uintptr_t>(bytes.data()) % kDirectAlignment;
  const std::string_view aligned = std::string_view(bytes).substr(skip, kDirectAlignment);
  EXPECT_TRUE(direct->Write(aligned, 0).ok());
  EXPECT_EQ(direct->Write(aligned, 512).error().code(), Code::kIo);
  EXPECT_EQ(direct->Write(aligned.substr(0, 512), 0).error().code(), Code::kIo);
  EXPECT_EQ(
      direct->Write(std::string_view(bytes).substr(skip - 1, kDirectAlignment), 0).error().code(),
      Code::kIo);
}

// As on a device whose blocks are larger than kDirectAlignment.
TEST(SystemFiles, WritesThroughTheCacheWhatTheSystemRefusesToWriteDirectly) {
  const std::string path = ::testing::TempDir() + "/millrace_direct_test";
  Files& files = Files::System();
  ASSERT_TRUE(files.Open(path, OpenMode::kCreate).value()->Truncate(0).ok());
  const auto direct = files.Open(path, OpenMode::kDirect).value();
  ASSERT_TRUE(direct->Write("abc", 0).ok());
  ASSERT_TRUE(direct->Write("defg", 3).ok());
  ASSERT_TRUE(direct->Sync().ok());
  EXPECT_EQ(files.ReadAll(path).value(), "abcdefg");
  ASSERT_TRUE(files.Remove(path).ok());
}

TEST_P(BothFiles, NamesRenamesAndRemoves) {
  ASSERT_TRUE(files().Replace(directory_ + "/x", "one").ok());
  ASSERT_TRUE(files().Replace(directory_ + "/x", "two").ok());
  EXPECT_EQ(files().ReadAll(directory_ + "/x").value(), "two");
  EXPECT_THAT(files().List(directory_).value(), ElementsAre("a", "x"));
  ASSERT_TRUE(files().Rename(directory_ + "/a", directory_ + "/c").ok());
  EXPECT_TRUE(files().Exists(directory_ + "/c/b").value());
  EXPECT_FALSE(files().Exists(directory_ + "/a").value());
  ASSERT_TRUE(files().Remove(directory_ + "/x").ok());
  EXPECT_EQ(files().Remove(directory_ + "/x").error().code(), Code::kNotFound);
  EXPECT_EQ(files().Open(directory_ + "/x", OpenMode::kRead).error().code(), Code::kNotFound);
  EXPECT_EQ(files().Open(directory_ + "/no/x", OpenMode::kCreate).error().code(), Code::kNotFound);
  ASSERT_TRUE(files().RemoveAll(directory_ + "/c").ok());
  ASSERT_TRUE(files().RemoveAll(directory_ + "/c").ok());
  ASSERT_TRUE(files().SyncDirectory(directory_).ok());
}

TEST_P(BothFiles, GivesALockToOneHolderAtATime) {
  auto lock = files().Lock(directory_ + "/lock").value();
  EXPECT_EQ(files().Lock(directory_ + "/lock").error().code(), Code::kConflict);
  lock.reset();
  EXPECT_TRUE(files().Lock(directory_ + "/lock").ok());
}

INSTANTIATE_TEST_SUITE_P(Files, BothFiles, ::testing::Values(false, true));

TEST(FaultyFiles, KeepsOnlyWhatWasSyncedOverAPowerLoss) {
  FaultyFiles files;
  auto file = files.Open("f", OpenMode::kCreate).value();
  ASSERT_TRUE(file->Write("synced", 0).ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_FALSE(files.AfterPowerLoss({})->Exists("f").value()) << "its name was not synced";
  ASSERT_TRUE(files.SyncDirectory("").ok());
  ASSERT_TRUE(file->Write("SYNC", 0).ok());
  ASSERT_TRUE(files.Rename("f", "g").ok());
  const auto after = files.AfterPowerLoss({});
  EXPECT_EQ(after->ReadAll("f").value(), "synced");
  EXPECT_FALSE(after->Exists("g").value());
  EXPECT_EQ(files.AfterCrash()->ReadAll("g").value(), "SYNCed");
}

TEST(FaultyFiles, FailsTheCallItWasToldTo) {
  FaultyFiles files;
  auto file = files.Open("f", OpenMode::kCreate).value();
  files.FailCallAt(2, Error(Code::kIo, "Input/output error"));
  EXPECT_TRUE(file->Write("a", 0).ok());
  EXPECT_FALSE(files.Fired());
  EXPECT_EQ(file->Write("b", 1).error().message(), "write f: Input/output error");
  EXPECT_TRUE(files.Fired());
  EXPECT_TRUE(file->Write("c", 1).ok());
  files.LosePowerAt(1);
  EXPECT_FALSE(file->Write("d", 2).ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_EQ(files.AfterCrash()->ReadAll("f").value(), "ac");
}

TEST(FaultyFiles, LosesWhatAFailedSyncShouldHaveKept) {
  FaultyFiles files;
  auto file = files.Open("f", OpenMode::kCreate).value();
  ASSERT_TRUE(files.SyncDirectory("").ok());
  ASSERT_TRUE(file->Write("lost", 0).ok());
  files.FailCallAt(1, Error(Code::kIo, "Input/output error"));
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(files.AfterPowerLoss({})->ReadAll("f").value(), "");
}

TEST(FaultyFiles, TearsWritesWhenToldTo) {
  FaultyFiles files;
  auto file = files.Open("f", OpenMode::kCreate).value();
  ASSERT_TRUE(file->Write(std::string(2048, 'a'), 0).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(files.SyncDirectory("").ok());
  ASSERT_TRUE(file->Write(std::string(2048, 'b'), 0).ok());
  bool old_content = false, new_content = false, torn = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const std::string content =
        files.AfterPowerLoss({.keep_some = true, .seed = seed})->ReadAll("f").value();
    const bool a = content.find('a') != std::string::npos;
    const bool b = content.find('b') != std::string::npos;
    old_content |= a && !b;
    new_content |= b && !a;
    torn |= a && b;
  }
  EXPECT_TRUE(old_content && new_content && torn);
}

TEST(DiskSpace, ATwentiethIsKeptFreeFromOneToFourGibibytes) {
  constexpr uint64_t kGibibyte = 1ull << 30;
  EXPECT_EQ(DefaultDiskReserve({2 * kGibibyte, kGibibyte}), kGibibyte);
  EXPECT_EQ(DefaultDiskReserve({60 * kGibibyte, 0}), 3 * kGibibyte);
  EXPECT_EQ(DefaultDiskReserve({2000 * kGibibyte, 0}), 4 * kGibibyte);
}

TEST(FaultyFiles, RunsOutOfSpace) {
  FaultyFiles files;
  files.SetTotalBytes(10);
  auto file = files.Open("f", OpenMode::kCreate).value();
  EXPECT_TRUE(file->Write("0123456789", 0).ok());
  EXPECT_EQ(file->Write("x", 10).error().code(), Code::kOverloaded);
  EXPECT_TRUE(file->Write("y", 5).ok());
  EXPECT_EQ(files.Space("").value().free_bytes, 0u);
}

}  // namespace
}  // namespace millrace::files_test
