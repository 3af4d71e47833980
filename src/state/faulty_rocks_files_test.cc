#include "state/faulty_rocks_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace millrace::state::faulty_rocks_files_test {
namespace {

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

TEST(FaultyRocksFilesTest, KeepsOnlyTheBytesAndNamesThatWereSynced) {
  const std::string directory = testing::TempDir() + "/faulty_rocks_files_test";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  FaultyRocksFiles files;
  const auto write = [&](const std::string& name, bool sync) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    ASSERT_TRUE(files.NewWritableFile(directory + "/" + name, {}, &file, nullptr).ok());
    ASSERT_TRUE(file->Append("synced", {}, nullptr).ok());
    if (sync) {
      ASSERT_TRUE(file->Sync({}, nullptr).ok());
    }
    ASSERT_TRUE(file->Append("not", {}, nullptr).ok());
    ASSERT_TRUE(file->Close({}, nullptr).ok());
  };
  write("a", true);
  write("b", false);
  std::unique_ptr<rocksdb::FSDirectory> handle;
  ASSERT_TRUE(files.NewDirectory(directory, {}, &handle, nullptr).ok());
  ASSERT_TRUE(handle->Fsync({}, nullptr).ok());
  write("c", true);
  ASSERT_TRUE(files.RenameFile(directory + "/c", directory + "/a", {}, nullptr).ok());
  files.RestoreDurable(directory);
  EXPECT_EQ(Slurp(directory + "/a"), "synced");
  EXPECT_EQ(Slurp(directory + "/b"), "");
  EXPECT_FALSE(std::filesystem::exists(directory + "/c"));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace millrace::state::faulty_rocks_files_test
