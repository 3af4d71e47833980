#include "base/decompress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

namespace millrace::decompress_test {
namespace {

std::string Text(size_t size) {
  std::string text;
  for (uint64_t i = 0; text.size() < size; ++i) text += std::to_string(i * 2654435761u) + "\n";
  text.resize(size);
  return text;
}

std::string Gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

Result<std::string> Unpack(Compression compression, std::string_view packed, size_t piece_bytes,
                           uint64_t output_bytes_max = 1 << 30) {
  Decompressor decompressor(compression, output_bytes_max);
  std::string out;
  for (size_t i = 0; i < packed.size(); i += piece_bytes) {
    // A copy of its own, so that the sanitizer sees a read beyond the piece.
    const std::string piece(packed.substr(i, piece_bytes));
    TRY(decompressor.Feed(piece, [&](std::string_view bytes) {
      EXPECT_LE(bytes.size(), 64u << 10);
      out += bytes;
      return Ok();
    }));
  }
  TRY(decompressor.Finish());
  return out;
}

class Decompress : public ::testing::TestWithParam<Compression> {
 protected:
  std::string Pack(const std::string& text) const {
    return GetParam() == Compression::kGzip ? Gzip(text) : Zstd(text);
  }
};

TEST_P(Decompress, GivesTheTextBackWhateverThePieces) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{65536}, size_t{300'000}}) {
    const std::string text = Text(size);
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{4096}, size_t{1} << 20}) {
      const auto out = Unpack(GetParam(), Pack(text), piece);
      ASSERT_TRUE(out.ok()) << out.error().ToString();
      EXPECT_EQ(*out, text);
    }
  }
}

TEST_P(Decompress, TakesSeveralMembersAsOneStream) {
  const std::string packed = Pack(Text(1000)) + Pack("") + Pack("end");
  for (const size_t piece : {size_t{1}, size_t{1} << 20}) {
    const auto out = Unpack(GetParam(), packed, piece);
    ASSERT_TRUE(out.ok()) << out.error().ToString();
    EXPECT_EQ(*out, Text(1000) + "end");
  }
}

TEST_P(Decompress, SaysWhenTheDataEndsTooEarly) {
  const std::string packed = Pack(Text(10'000));
  for (size_t size = 0; size < packed.size(); size += 1 + size / 8) {
    const auto out = Unpack(GetParam(), std::string_view(packed).substr(0, size), 512);
    ASSERT_FALSE(out.ok()) << size;
    EXPECT_THAT(out.error().message(), ::testing::HasSubstr("ends too early"));
  }
}

TEST_P(Decompress, RefusesGarbage) {
  EXPECT_FALSE(Unpack(GetParam(), "this is not compressed at all", 64).ok());
  EXPECT_FALSE(Unpack(GetParam(), Pack("good") + "garbage behind it", 64).ok());
}

TEST_P(Decompress, StopsAtTheOutputLimit) {
  const std::string packed = Pack(std::string(50'000'000, 'x'));
  const auto out = Unpack(GetParam(), packed, 4096, 1'000'000);
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code(), Code::kTooLarge);
  EXPECT_TRUE(Unpack(GetParam(), packed, 4096, 50'000'000).ok());
}

TEST_P(Decompress, PassesOnTheErrorOfItsSink) {
  Decompressor decompressor(GetParam(), 1 << 20);
  const auto status = decompressor.Feed(
      Pack("text"), [](std::string_view) -> Status { return Error(Code::kIo, "disk full"); });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message(), "disk full");
}

INSTANTIATE_TEST_SUITE_P(Formats, Decompress,
                         ::testing::Values(Compression::kGzip, Compression::kZstd),
                         [](const auto& info) {
                           return info.param == Compression::kGzip ? "Gzip" : "Zstd";
                         });

TEST(DecompressGzip, AllowsZerosBehindTheLastMember) {
  const auto out = Unpack(Compression::kGzip, Gzip("text") + std::string(600, '\0'), 100);
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ(*out, "text");
}

TEST(DecompressNone, PassesBytesThroughUpToTheLimit) {
  EXPECT_EQ(*Unpack(Compression::kNone, "plain", 2), "plain");
  EXPECT_TRUE(Unpack(Compression::kNone, "", 2).ok());
  EXPECT_FALSE(Unpack(Compression::kNone, "plain", 2, 4).ok());
}

TEST(DetectCompression, KnowsTheMagicBytes) {
  EXPECT_EQ(DetectCompression(Gzip("x")), Compression::kGzip);
  EXPECT_EQ(DetectCompression(Zstd("x")), Compression::kZstd);
  EXPECT_EQ(DetectCompression(std::string_view("\x53\x2a\x4d\x18\0\0\0\0", 8)), Compression::kZstd);
  EXPECT_EQ(DetectCompression("{\"a\":1}"), Compression::kNone);
  EXPECT_EQ(DetectCompression(""), Compression::kNone);
}

TEST(CompressionByName, KnowsContentEncodings) {
  EXPECT_EQ(*CompressionByName("gzip"), Compression::kGzip);
  EXPECT_EQ(*CompressionByName("zstd"), Compression::kZstd);
  EXPECT_EQ(*CompressionByName("identity"), Compression::kNone);
  EXPECT_FALSE(CompressionByName("br").ok());
}

}  // namespace
}  // namespace millrace::decompress_test
