#include "cli/input.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <thread>

#include "base/files.h"

namespace millrace::cli::input_test {
namespace {

class InputTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (Files::System().Exists(path_).value()) {
      ASSERT_TRUE(Files::System().Remove(path_).ok());
    }
  }
  static Result<std::string> ReadAll(const std::string& path) {
    TRY(const auto input, Input::Open(path));
    std::string all;
    while (true) {
      TRY(const std::string piece, input->Next());
      if (piece.empty()) return all;
      all += piece;
    }
  }

  const std::string path_ = ::testing::TempDir() + "/millrace_input_test";
};

TEST_F(InputTest, GivesTheBytesUnpacked) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += std::to_string(i) + "\n";
  ASSERT_TRUE(Files::System().Replace(path_, text).ok());
  EXPECT_TRUE(ReadAll(path_).value() == text);
  std::string packed(::ZSTD_compressBound(text.size()), '\0');
  packed.resize(::ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  ASSERT_TRUE(Files::System().Replace(path_, packed).ok());
  EXPECT_TRUE(ReadAll(path_).value() == text);
  const uint64_t digest = DigestOf(path_).value();
  packed.resize(packed.size() - 1);
  ASSERT_TRUE(Files::System().Replace(path_, packed).ok());
  EXPECT_EQ(ReadAll(path_).error().code(), Code::kInvalidArgument);
  EXPECT_NE(DigestOf(path_).value(), digest);
}

TEST_F(InputTest, AnEmptyFileHasNoBytes) {
  ASSERT_TRUE(Files::System().Replace(path_, "").ok());
  EXPECT_EQ(ReadAll(path_).value(), "");
}

TEST_F(InputTest, KnowsThePackingOfAPipeThatGivesOneByteAtATime) {
  const std::string text = "a line\n";
  std::string packed(::ZSTD_compressBound(text.size()), '\0');
  packed.resize(::ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  std::thread writer([&] {
    const int descriptor = ::open(path_.c_str(), O_WRONLY);
    for (const char c : packed) {
      EXPECT_EQ(::write(descriptor, &c, 1), 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ::close(descriptor);
  });
  EXPECT_EQ(ReadAll(path_).value(), text);
  writer.join();
}

TEST_F(InputTest, NamesWhatCannotBeRead) {
  EXPECT_EQ(Input::Open(path_ + "-none").error().code(), Code::kNotFound);
  EXPECT_EQ(DigestOf(path_ + "-none").error().code(), Code::kNotFound);
  EXPECT_EQ(Input::Open(::testing::TempDir()).error().code(), Code::kInvalidArgument);
}

TEST(FormatOf, GoesByTheNameWithoutThePacking) {
  EXPECT_EQ(FormatOf("a.csv"), "csv");
  EXPECT_EQ(FormatOf("a.CSV.zst"), "csv");
  EXPECT_EQ(FormatOf("a.ndjson.gz"), "ndjson");
  EXPECT_EQ(FormatOf("a.jsonl"), "ndjson");
  EXPECT_EQ(FormatOf("a.json"), "json");
  EXPECT_EQ(FormatOf("a.parquet"), "parquet");
  EXPECT_EQ(FormatOf("a"), "");
  EXPECT_EQ(FormatOf("-"), "");
}

}  // namespace
}  // namespace millrace::cli::input_test
