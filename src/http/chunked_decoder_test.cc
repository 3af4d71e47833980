#include "http/chunked_decoder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/random.h"

namespace millrace::http::chunked_decoder_test {
namespace {

// The whole body, fed in pieces of the given size; nullopt where it is refused or does not end.
std::optional<std::string> Decode(std::string bytes, size_t piece, std::string* rest = nullptr) {
  ChunkedDecoder decoder;
  std::string body;
  for (size_t at = 0; at < bytes.size();) {
    const size_t size = std::min(piece, bytes.size() - at);
    auto step = decoder.Decode(bytes.data() + at, size);
    if (!step.ok()) return std::nullopt;
    body.append(bytes, at, step->produced);
    at += step->consumed;
    if (step->ended) {
      if (rest != nullptr) *rest = bytes.substr(at);
      return body;
    }
    EXPECT_EQ(step->consumed, size);
  }
  return std::nullopt;
}

TEST(ChunkedDecoder, GivesTheSameBodyInPiecesOfAnySizeAndLeavesWhatFollows) {
  const std::string bytes =
      "5\r\nhello\r\nA;name=value\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    std::string rest;
    EXPECT_EQ(Decode(bytes, piece, &rest), "hello0123456789") << piece;
    EXPECT_EQ(rest, "GET / HTTP/1.1") << piece;
  }
}

TEST(ChunkedDecoder, RefusesFramingThatIsWrong) {
  for (const char* bytes :
       {"\r\n", "g\r\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "-1\r\n",
        "5\r\nhello0\r\n\r\n", "ffffffffffffffffff\r\n", "0\r\n\rX", " 5\r\nhello\r\n"}) {
    EXPECT_EQ(Decode(bytes, 1000), std::nullopt) << bytes;
  }
  EXPECT_EQ(Decode("1;" + std::string(100'000, 'x') + "\r\na\r\n0\r\n\r\n", 1000), std::nullopt);
  EXPECT_EQ(Decode("0\r\nT: " + std::string(100'000, 'x') + "\r\n\r\n", 1000), std::nullopt);
}

TEST(ChunkedDecoder, IsNotSwayedByWhereAMutatedBodyIsCut) {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261123;
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  Random random(seed);
  const std::string base = "5\r\nhello\r\nb;x=y\r\n01234567890\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n";
  for (int round = 0; round < 5'000; ++round) {
    std::string bytes = base;
    const size_t at = random.Below(bytes.size());
    random.OneIn(2) ? bytes.erase(at, 1) : bytes.insert(at, 1, "\r\n0;aF x"[random.Below(8)]);
    ASSERT_EQ(Decode(bytes, 1 + random.Below(20)), Decode(bytes, bytes.size())) << bytes;
  }
}

}  // namespace
}  // namespace millrace::http::chunked_decoder_test
