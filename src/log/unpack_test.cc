#include "log/unpack.h"

#include <gtest/gtest.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <random>

#include "base/coding.h"
#include "log/testing.h"

namespace millrace::log::unpack_test {
namespace {

std::string Gzip(std::string_view records) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, records.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(records.data()));
  stream.avail_in = static_cast<uInt>(records.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(std::string_view records) {
  std::string out(ZSTD_compressBound(records.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), records.data(), records.size(), 3));
  return out;
}

std::string Lz4(std::string_view records) {
  std::string out(LZ4F_compressFrameBound(records.size(), nullptr), '\0');
  out.resize(LZ4F_compressFrame(out.data(), out.size(), records.data(), records.size(), nullptr));
  return out;
}

std::string Snappy(std::string_view records) {
  std::string out;
  snappy::Compress(records.data(), records.size(), &out);
  return out;
}

// As snappy-java's stream writes it: blocks of 32 KiB.
std::string SnappyBlocks(std::string_view records) {
  std::string out("\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
  for (size_t at = 0; at < records.size(); at += 32 << 10) {
    const std::string block = Snappy(records.substr(at, 32 << 10));
    PutBig(out, static_cast<uint32_t>(block.size()));
    out += block;
  }
  return out;
}

std::string Plain(int records) {
  RecordBatchBuilder builder;
  for (int i = 0; i < records; ++i) {
    builder.Add("key " + std::to_string(i), "value of record " + std::to_string(i * i), Millis{i},
                {{"header", "h"}});
  }
  return builder.Finish();
}

std::vector<std::pair<Codec, std::string>> PackedInEveryWay(const std::string& plain) {
  const std::string records = plain.substr(kRecordBatchHeaderBytes);
  return {{Codec::kGzip, Packed(plain, Codec::kGzip, Gzip(records))},
          {Codec::kSnappy, Packed(plain, Codec::kSnappy, Snappy(records))},
          {Codec::kSnappy, Packed(plain, Codec::kSnappy, SnappyBlocks(records))},
          {Codec::kLz4, Packed(plain, Codec::kLz4, Lz4(records))},
          {Codec::kZstd, Packed(plain, Codec::kZstd, Zstd(records))}};
}

TEST(Unpack, EveryCodecGivesTheRecordsThatWerePacked) {
  for (const int count : {1, 7, 20'000}) {
    const std::string plain = Plain(count);
    for (const auto& [codec, packed] : PackedInEveryWay(plain)) {
      const auto view = RecordBatchView::Parse(packed);
      ASSERT_TRUE(view.ok()) << view.error().ToString();
      ASSERT_EQ(view->codec(), codec);
      const Result<std::string> unpacked = Unpack(*view);
      ASSERT_TRUE(unpacked.ok()) << static_cast<int>(codec) << unpacked.error().ToString();
      EXPECT_EQ(unpacked->substr(kRecordBatchHeaderBytes), plain.substr(kRecordBatchHeaderBytes));
      const auto same = RecordBatchView::Parse(*unpacked, CrcCheck::kAlreadyVerified);
      ASSERT_TRUE(same.ok());
      EXPECT_EQ(same->codec(), Codec::kNone);
      EXPECT_EQ(same->record_count(), count);
    }
  }
}

TEST(Unpack, WhatIsCutOrDamagedIsAnErrorAndNoHarm) {
  const uint64_t seed = std::random_device{}();
  std::printf("MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const std::string plain = Plain(300);
  for (const auto& [codec, packed] : PackedInEveryWay(plain)) {
    const std::string records = packed.substr(kRecordBatchHeaderBytes);
    for (int i = 0; i < 200; ++i) {
      std::string changed = records;
      if (i % 2 == 0) changed.resize(random() % changed.size());
      if (!changed.empty())
        changed[random() % changed.size()] ^= static_cast<char>(1 + random() % 255);
      const std::string batch = Packed(plain, codec, changed);
      const auto view = RecordBatchView::Parse(batch);
      ASSERT_TRUE(view.ok()) << view.error().ToString();
      const Result<std::string> unpacked = Unpack(*view);
      if (!unpacked.ok()) {
        EXPECT_EQ(unpacked.error().code(), Code::kCorruption) << unpacked.error().ToString();
      }
    }
  }
}

TEST(Unpack, ABatchThatUnpacksToMoreThanTheLimitIsRefused) {
  RecordBatchBuilder builder;
  builder.Add(std::nullopt, std::string(4 << 20, 'x'), Millis{0});
  const std::string plain = builder.Finish();
  for (const auto& [codec, packed] : PackedInEveryWay(plain)) {
    const auto view = RecordBatchView::Parse(packed);
    ASSERT_TRUE(view.ok());
    const Result<std::string> unpacked = Unpack(*view, 1 << 20);
    ASSERT_FALSE(unpacked.ok());
    EXPECT_EQ(unpacked.error().code(), Code::kTooLarge) << static_cast<int>(codec);
  }
}

}  // namespace
}  // namespace millrace::log::unpack_test
