// Frames and handshakes of the WebSocket protocol; no connection.
#include "http/websocket_frame.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/random.h"
#include "http/websocket_handshake.h"
#include "http/websocket_testing.h"

namespace millrace::http::websocket_frame_test {
namespace {

using Message = ClientFrames::Message;
using Violation = ClientFrames::Violation;

constexpr size_t kMessageMax = 1000;

// What comes of the bytes, cut as `random` will: each message as "kind:payload", a violation as
// "!code" at the end.
std::vector<std::string> ReadAll(std::string_view bytes, Random& random) {
  ClientFrames frames(kMessageMax);
  std::vector<std::string> all;
  while (true) {
    ClientFrames::Read read = frames.Next();
    if (const auto* message = std::get_if<Message>(&read)) {
      all.push_back(std::to_string(static_cast<int>(message->kind)) + ":" + message->payload);
    } else if (const auto* violation = std::get_if<Violation>(&read)) {
      EXPECT_FALSE(violation->reason.empty());
      all.push_back("!" + std::to_string(static_cast<int>(violation->code)));
      return all;
    } else if (bytes.empty()) {
      return all;
    } else {
      const size_t size = 1 + random.Below(std::min<size_t>(bytes.size(), 40));
      frames.Add(bytes.substr(0, size));
      bytes.remove_prefix(size);
    }
  }
}

std::vector<std::string> ReadAll(std::string_view bytes) {
  Random random(1);
  return ReadAll(bytes, random);
}

using Texts = std::vector<std::string>;

TEST(ClientFrames, AreReadAsTheRfcHasThem) {
  // Section 5.7.
  EXPECT_EQ(ReadAll("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), Texts{"1:Hello"});
  const std::string in_parts = ClientFrame(FrameKind::kText, false, "Hel") +
                               ClientFrame(FrameKind::kPing, true, "in between") +
                               ClientFrame(FrameKind::kContinuation, true, "lo");
  EXPECT_EQ(ReadAll(in_parts), (Texts{"9:in between", "1:Hello"}));
  for (const size_t size : {size_t{0}, size_t{125}, size_t{126}, size_t{127}, kMessageMax}) {
    const std::string payload(size, 'x');
    EXPECT_EQ(ReadAll(ClientFrame(FrameKind::kBinary, true, payload)), Texts{"2:" + payload});
  }
}

TEST(ClientFrames, AreWrittenAsTheRfcHasThem) {
  EXPECT_EQ(FrameHead(FrameKind::kText, true, 5), std::string("\x81\x05"));
  EXPECT_EQ(FrameHead(FrameKind::kText, false, 126), std::string("\x01\x7e\x00\x7e", 4));
  EXPECT_EQ(FrameHead(FrameKind::kContinuation, true, 65535), std::string("\x80\x7e\xff\xff"));
  EXPECT_EQ(FrameHead(FrameKind::kBinary, true, 65536),
            std::string("\x82\x7f\0\0\0\0\0\1\0\0", 10));
  EXPECT_EQ(ControlFrame(FrameKind::kPing, "ab"), std::string("\x89\x02"
                                                              "ab"));
  EXPECT_EQ(ClosePayload(CloseCode::kGoingAway, "stop"), std::string("\x03\xe9stop"));
  // A reason is cut between characters.
  std::string reason(122, 'x');
  EXPECT_EQ(ClosePayload(CloseCode::kInternal, reason + "ü").size(), 124u);
  EXPECT_EQ(ClosePayload(CloseCode::kInternal, reason + "yz").size(), kControlPayloadMax);
}

TEST(ClientFrames, RefuseWhatTheRfcForbids) {
  const auto close = [](std::string_view payload) {
    return ClientFrame(FrameKind::kClose, true, payload);
  };
  const std::string text = ClientFrame(FrameKind::kText, true, "a");
  const struct {
    const char* what;
    std::string bytes;
    const char* last;
  } cases[] = {
      {"reserved bit", "\xc1" + text.substr(1), "!1002"},
      {"unknown data kind", "\x83" + text.substr(1), "!1002"},
      {"unknown control kind", "\x8b" + text.substr(1), "!1002"},
      {"not masked", std::string("\x81\x01") + "a", "!1002"},
      {"control in parts", ClientFrame(FrameKind::kPing, false, ""), "!1002"},
      {"control too long", ClientFrame(FrameKind::kPing, true, std::string(126, 'x')), "!1002"},
      {"goes on from nothing", ClientFrame(FrameKind::kContinuation, true, "a"), "!1002"},
      {"begins within", ClientFrame(FrameKind::kText, false, "a") + text, "!1002"},
      {"16 bits for a short length", std::string("\x82\xfe\x00\x01mask", 8), "!1002"},
      {"64 bits for a short length", std::string("\x82\xff\0\0\0\0\0\0\xff\xffmask", 14), "!1002"},
      {"length with the highest bit", std::string("\x82\xff\x80\0\0\0\0\1\0\0mask", 14), "!1002"},
      {"too long", ClientFrame(FrameKind::kText, true, std::string(kMessageMax + 1, 'x')), "!1009"},
      {"too long in parts",
       ClientFrame(FrameKind::kText, false, std::string(kMessageMax, 'x')) +
           ClientFrame(FrameKind::kContinuation, true, "x"),
       "!1009"},
      {"far too long, by its head alone",
       std::string("\x82\xff\x00\xff\xff\xff\xff\xff\xff\xff", 10), "!1009"},
      {"no UTF-8", ClientFrame(FrameKind::kText, true, "a\xff"), "!1007"},
      {"UTF-8 cut off", ClientFrame(FrameKind::kText, true, "\xc3"), "!1007"},
      {"a surrogate", ClientFrame(FrameKind::kText, true, "\xed\xa0\x80"), "!1007"},
      {"close with half a code", close("\x03"), "!1002"},
      {"close with 1005", close("\x03\xed"), "!1002"},
      {"close with 1006", close("\x03\xee"), "!1002"},
      {"close with 999", close("\x03\xe7"), "!1002"},
      {"close with 2000", close("\x07\xd0"), "!1002"},
      {"close with 5000", close("\x13\x88"), "!1002"},
      {"close with a reason that is no UTF-8", close("\x03\xe8\xff"), "!1007"},
  };
  for (const auto& one : cases) {
    const Texts all = ReadAll(one.bytes);
    ASSERT_FALSE(all.empty()) << one.what;
    EXPECT_EQ(all.back(), one.last) << one.what;
  }
  EXPECT_EQ(ReadAll(close("")), Texts{"8:"});
  EXPECT_EQ(ReadAll(close("\x03\xe8ü")), Texts{"8:\x03\xe8ü"});
  EXPECT_EQ(ReadAll(close("\x0f\xa0")), Texts{"8:\x0f\xa0"});
  // UTF-8 may be cut between the frames of a message.
  EXPECT_EQ(ReadAll(ClientFrame(FrameKind::kText, false, "\xc3") +
                    ClientFrame(FrameKind::kContinuation, true, "\xbc")),
            Texts{"1:ü"});
}

// Good frames give the same however they are cut; whatever else comes gives messages within the
// limits, or a violation, and the same however it is cut.
TEST(ClientFrames, SurviveMutationsOfGoodFrames) {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261127;
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  Random random(seed);
  size_t violations = 0, whole = 0;
  for (int round = 0; round < 5'000; ++round) {
    std::string bytes;
    Texts expected;
    for (uint64_t messages = 1 + random.Below(4); messages > 0; --messages) {
      const std::string text(random.Below(random.OneIn(5) ? 400 : 20), 'a');
      const size_t cut = random.Below(text.size() + 1);
      bytes += ClientFrame(FrameKind::kText, false, text.substr(0, cut));
      if (random.OneIn(2)) {
        bytes += ClientFrame(FrameKind::kPong, true, "p");
        expected.push_back("10:p");
      }
      bytes += ClientFrame(FrameKind::kContinuation, true, text.substr(cut));
      expected.push_back("1:" + text);
    }
    ASSERT_EQ(ReadAll(bytes, random), expected);
    for (uint64_t edits = 1 + random.Below(3); edits > 0 && !bytes.empty(); --edits) {
      const size_t at = random.Below(bytes.size());
      if (random.OneIn(3)) {
        bytes.erase(at, 1 + random.Below(4));
      } else {
        bytes[at] = static_cast<char>(random.Next());
      }
    }
    const Texts got = ReadAll(bytes, random);
    ASSERT_EQ(got, ReadAll(bytes, random));
    (got.empty() || got.back()[0] != '!' ? whole : violations) += 1;
    for (const std::string& one : got) ASSERT_LE(one.size(), kMessageMax + 3);
  }
  EXPECT_GT(violations, 1000u);
  EXPECT_GT(whole, 500u);
}

RequestHead HeadOf(std::string_view text) {
  RequestHead head;
  EXPECT_EQ(ParseHead(text, head).state, ParsedHead::State::kComplete) << text;
  return head;
}

TEST(WebSocketHandshake, IsCheckedAsTheRfcHasIt) {
  const std::string good =
      "GET /a HTTP/1.1\r\nHost: here:8080\r\nUpgrade: websocket\r\nConnection: keep-alive, "
      "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const std::string whole = good + "\r\n";
  ASSERT_TRUE(WantsWebSocket(HeadOf(whole)));
  const auto handshake = CheckHandshake(HeadOf(whole));
  ASSERT_TRUE(handshake.ok());
  EXPECT_EQ(handshake->accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");  // section 1.3
  EXPECT_EQ(handshake->protocol, "");
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string text = whole;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  using Edit = std::pair<const char*, const char*>;
  for (const auto& [from, to] :
       {Edit("Version: 13", "Version: 8"), Edit("Key: dGhl", "Key: "), Edit("Key: d", "Key: *"),
        Edit("Host", "Content-Length: 2\r\nHost")}) {
    const std::string text = changed(from, to);
    ASSERT_TRUE(WantsWebSocket(HeadOf(text)));
    EXPECT_FALSE(CheckHandshake(HeadOf(text)).ok()) << text;
  }
  for (const auto& [from, to] : {Edit("GET", "HEAD"), Edit("/1.1", "/1.0"),
                                 Edit("e: websocket", "e: h2c"), Edit(", Upgrade", ", close")})
    EXPECT_FALSE(WantsWebSocket(HeadOf(changed(from, to)))) << to;

  const std::string with_token =
      good + "Sec-WebSocket-Protocol: millrace.live.v1, bearer.mr_1_abc\r\n\r\n";
  EXPECT_EQ(CheckHandshake(HeadOf(with_token))->protocol, kLiveProtocol);
  EXPECT_EQ(OfferedToken(HeadOf(with_token)), "mr_1_abc");
  const std::string other = good + "Sec-WebSocket-Protocol: chat\r\n\r\n";
  EXPECT_FALSE(CheckHandshake(HeadOf(other)).ok());
  EXPECT_EQ(OfferedToken(HeadOf(other)), std::nullopt);
}

TEST(WebSocketHandshake, TellsPagesOfOtherHosts) {
  const auto from = [](const std::string& origin) {
    const std::string text = "GET /a HTTP/1.1\r\nHost: here:8080\r\n" + origin + "\r\n";
    return IsSameOrigin(HeadOf(text));
  };
  EXPECT_TRUE(from(""));
  EXPECT_TRUE(from("Origin: http://here:8080\r\n"));
  EXPECT_TRUE(from("Origin: https://HERE:8080\r\n"));
  for (const char* other : {"http://here", "http://here:80801", "http://evil", "null", "",
                            "http://evil/://here:8080", "here:8080"})
    EXPECT_FALSE(from(std::string("Origin: ") + other + "\r\n")) << other;
}

}  // namespace
}  // namespace millrace::http::websocket_frame_test
