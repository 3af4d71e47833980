#include "http/head_parser.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/random.h"

namespace millrace::http::head_parser_test {
namespace {

using State = ParsedHead::State;

ParsedHead Parse(std::string_view bytes) {
  RequestHead head;
  return ParseHead(bytes, head);
}

TEST(HeadParser, TakesARequestApartWithoutCopying) {
  const std::string bytes =
      "POST /v1/streams/clicks?wait=visible&x=%20 HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n"
      "content-type:  text/csv \r\nExpect: 100-Continue\r\n\r\nhello";
  RequestHead head;
  const ParsedHead parsed = ParseHead(bytes, head);
  ASSERT_EQ(parsed.state, State::kComplete) << parsed.reason;
  EXPECT_EQ(bytes.substr(parsed.bytes), "hello");
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/v1/streams/clicks");
  EXPECT_EQ(head.query, "wait=visible&x=%20");
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_EQ(head.Get("Content-Type"), "text/csv");
  EXPECT_EQ(head.Get("accept"), std::nullopt);
  EXPECT_TRUE(head.expects_continue);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_GE(head.path.data(), bytes.data());
  EXPECT_LE(head.path.data(), bytes.data() + bytes.size());
}

TEST(HeadParser, AsksForMoreAfterEveryPrefixOfAGoodHead) {
  const std::string bytes = "\r\nGET /a HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(Parse(bytes.substr(0, size)).state, State::kIncomplete) << size;
  }
  EXPECT_EQ(Parse(bytes).state, State::kComplete);
}

TEST(HeadParser, KnowsWhetherTheConnectionStays) {
  RequestHead head;
  ASSERT_EQ(ParseHead("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n", head).state,
            State::kComplete);
  EXPECT_FALSE(head.keep_alive);
  ASSERT_EQ(ParseHead("GET / HTTP/1.0\r\n\r\n", head).state, State::kComplete);
  EXPECT_FALSE(head.keep_alive);
  ASSERT_EQ(ParseHead("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", head).state,
            State::kComplete);
  EXPECT_TRUE(head.keep_alive);
}

TEST(HeadParser, RefusesWhatCouldBeReadInTwoWays) {
  const struct {
    const char* bytes;
    int status;
  } cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},  // no Host
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},  // space before the colon
      {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400},  // a bare LF
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"GET /\r\n\r\n", 400},
      {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417},
      {"\x16\x03\x01", 400},  // TLS
  };
  for (const auto& [bytes, status] : cases) {
    const ParsedHead parsed = Parse(bytes);
    EXPECT_EQ(parsed.state, State::kRefused) << bytes;
    EXPECT_EQ(parsed.status, status) << bytes;
  }
}

TEST(HeadParser, HoldsItsLimits) {
  const std::string line = "GET / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(
      Parse("GET /" + std::string(kTargetBytesMax, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n").status,
      414);
  EXPECT_EQ(Parse("GET /" + std::string(kHeadBytesMax, 'a')).status, 414);
  EXPECT_EQ(Parse(line + "X: " + std::string(kHeadBytesMax, 'a')).status, 431);
  std::string many = line;
  for (size_t i = 0; i < kFieldsMax; ++i) many += "X: a\r\n";
  EXPECT_EQ(Parse(many + "\r\n").status, 431);
  const std::string filled = line + "X: ";
  EXPECT_EQ(Parse(filled + std::string(kHeadBytesMax - filled.size() - 4, 'a') + "\r\n\r\n").state,
            State::kComplete);
}

// Whatever comes, the parser answers one of its three states, stays in the bytes, and is not swayed
// by how many of them it has seen.
TEST(HeadParser, SurvivesMutationsOfGoodRequests) {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261123;
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  Random random(seed);
  const std::string base =
      "POST /v1/streams/clicks?wait=visible HTTP/1.1\r\nHost: example\r\nContent-Length: "
      "12\r\nConnection: close\r\n"
      "Accept: application/json;q=0.5, */*\r\nX-Request-Id: abc\r\n\r\n{\"a\": \"b\"}";
  constexpr std::string_view kInteresting = "\r\n :\t\0,;%/?#{}0\x7f\xff";
  size_t complete = 0, refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = base;
    for (uint64_t edits = 1 + random.Below(4); edits > 0; --edits) {
      const size_t at = random.Below(bytes.size());
      const char c = random.OneIn(2) ? kInteresting[random.Below(kInteresting.size())]
                                     : static_cast<char>(random.Next());
      switch (random.Below(4)) {
        case 0:
          bytes[at] = c;
          break;
        case 1:
          bytes.insert(at, 1, c);
          break;
        case 2:
          bytes.erase(at, 1 + random.Below(8));
          break;
        case 3:
          bytes.insert(at, bytes.substr(random.Below(bytes.size()), random.Below(40)));
          break;
      }
      if (bytes.empty()) bytes = "x";
    }
    RequestHead head;
    const ParsedHead parsed = ParseHead(bytes, head);
    if (parsed.state == State::kComplete) {
      ++complete;
      ASSERT_LE(parsed.bytes, bytes.size());
      ASSERT_FALSE(head.chunked && head.content_length);
      // The head alone means the same as the head with what follows.
      RequestHead again;
      const ParsedHead alone = ParseHead(std::string_view(bytes).substr(0, parsed.bytes), again);
      ASSERT_EQ(alone.state, State::kComplete);
      ASSERT_EQ(again.path, head.path);
      ASSERT_EQ(again.content_length, head.content_length);
    } else if (parsed.state == State::kRefused) {
      ++refused;
      ASSERT_GE(parsed.status, 400);
      ASSERT_FALSE(parsed.reason.empty());
    }
  }
  EXPECT_GT(complete, 1000u);
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace millrace::http::head_parser_test
