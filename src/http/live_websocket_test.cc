// Live answers over a WebSocket, over a backend without an engine: handshakes, frames and ends.
// What the events say is live_test.cc's.
#include "http/testing.h"
#include "http/websocket_handshake.h"
#include "http/websocket_testing.h"

namespace millrace::http::live_websocket_test {
namespace {

std::string Handshake(std::string_view target, std::string_view more = {}) {
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
      target, more);
}

// A client that has its snapshot.
RawClient Following(const TestServer& test, std::string_view more = {}) {
  RawClient client(test.server->address());
  client.Send(Handshake("/users/1", more));
  const std::string got = client.ReceiveUntil("\"name\"}]}");
  EXPECT_TRUE(got.starts_with("HTTP/1.1 101 Switching Protocols\r\n")) << got;
  EXPECT_NE(got.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos);
  EXPECT_EQ(got.find("Content-Length"), std::string::npos);
  const size_t body = got.find("\r\n\r\n") + 4;
  const size_t json = got.find('{', body);
  EXPECT_EQ(got.substr(body, json - body), FrameHead(FrameKind::kText, true, got.size() - json));
  EXPECT_TRUE(got.substr(json).starts_with(R"({"event": "snapshot", "id": ")")) << got;
  EXPECT_TRUE(got.ends_with(R"(", "data": [{"i":0,"name":"name"}]})")) << got;
  return client;
}

std::string CloseFrame(CloseCode code, std::string_view reason) {
  return ControlFrame(FrameKind::kClose, ClosePayload(code, reason));
}

TEST(LiveWebSocket, SendsEventsAsMessagesAndTakesUpWhereTheClientWas) {
  TestServer test;
  std::string id;
  {
    RawClient client = Following(test);
    test.backend.Step(8, 2);
    const std::string change = client.ReceiveUntil("\"added_at\": [1]}}");
    EXPECT_NE(change.find(R"({"event": "change", "id": "8-)"), std::string::npos) << change;
    EXPECT_NE(change.find(R"("data": {"step": 8, "removed": [], "added": [{"i":1,"name":"name"}])"),
              std::string::npos)
        << change;
    const size_t at = change.find("\"id\": \"") + 7;
    id = change.substr(at, change.find('"', at) - at);
  }
  test.backend.Step(9, 3);
  RawClient again(test.server->address());
  again.Send(Handshake("/users/1?last_event_id=" + id));
  const std::string got = again.ReceiveUntil("\"added_at\": [2]}}");
  EXPECT_EQ(got.find("snapshot"), std::string::npos) << got;
}

TEST(LiveWebSocket, AnswersPingsAndCloses) {
  TestServer test;
  RawClient client = Following(test);
  client.Send(ClientFrame(FrameKind::kPing, true, "are you there"));
  EXPECT_EQ(client.ReceiveUntil("there"), ControlFrame(FrameKind::kPong, "are you there"));
  client.Send(ClientFrame(FrameKind::kPong, true, "unasked") +
              ClientFrame(FrameKind::kClose, true, ClosePayload(CloseCode::kNormal, "bye")));
  EXPECT_EQ(client.ReceiveUntil(), CloseFrame(CloseCode::kNormal, ""));
  RawClient silent = Following(test);
  silent.Send(ClientFrame(FrameKind::kClose, true, ""));
  EXPECT_EQ(silent.ReceiveUntil(), ControlFrame(FrameKind::kClose, ""));
}

TEST(LiveWebSocket, RefusesWhatTheClientMayNotSend) {
  TestServer test;
  const struct {
    std::string bytes;
    std::string close;
  } cases[] = {
      {ClientFrame(FrameKind::kText, true, "hello"),
       CloseFrame(CloseCode::kUnsupportedData, "no messages are taken here")},
      {ClientFrame(FrameKind::kBinary, true, std::string(60'000, 'x')),
       CloseFrame(CloseCode::kUnsupportedData, "no messages are taken here")},
      {ClientFrame(FrameKind::kText, true, std::string(200'000, 'x')),
       CloseFrame(CloseCode::kTooLarge, "the message is too long")},
      {ClientFrame(FrameKind::kText, true, "\xff"),
       CloseFrame(CloseCode::kInvalidText, "the message is no UTF-8")},
      {"\x81\x01x", CloseFrame(CloseCode::kProtocolError, "frames of a client must be masked")},
      {"GET / HTTP/1.1\r\n\r\n",
       CloseFrame(CloseCode::kProtocolError, "a reserved bit is set; no extension was agreed")}};
  for (const auto& one : cases) {
    RawClient client = Following(test);
    client.Send(one.bytes);
    EXPECT_EQ(client.ReceiveUntil(), one.close);
  }
}

TEST(LiveWebSocket, SaysWhatIsWrongWithAHandshakeInHttp) {
  TestServer test;
  const auto answer = [&](const std::string& request) {
    RawClient client(test.server->address());
    client.Send(request);
    return client.ReceiveUntil("}}\n");
  };
  EXPECT_TRUE(answer(Handshake("/nothing")).starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(answer(Handshake("/users/1?colour=red")).starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(answer(Handshake("/v1/sql")).starts_with("HTTP/1.1 405"));
  EXPECT_TRUE(answer(Handshake("/users/1", "Content-Length: 1\r\n")).starts_with("HTTP/1.1 400"));
  const std::string protocol = answer(Handshake("/users/1", "Sec-WebSocket-Protocol: chat\r\n"));
  EXPECT_TRUE(protocol.starts_with("HTTP/1.1 400")) << protocol;
  EXPECT_NE(protocol.find("millrace.live.v1"), std::string::npos) << protocol;
  std::string old = Handshake("/users/1");
  old.replace(old.find(": 13"), 4, ": 12");
  const std::string version = answer(old);
  EXPECT_TRUE(version.starts_with("HTTP/1.1 426 Upgrade Required")) << version;
  EXPECT_NE(version.find("Sec-WebSocket-Version: 13\r\n"), std::string::npos) << version;
  const std::string page = answer(Handshake("/users/1", "Origin: http://evil\r\n"));
  EXPECT_TRUE(page.starts_with("HTTP/1.1 403")) << page;
  Following(test, "Origin: http://h\r\n");
  EXPECT_TRUE(answer("GET /users/1?last_event_id=7-0 HTTP/1.1\r\nHost: h\r\n\r\n")
                  .starts_with("HTTP/1.1 400"));
}

TEST(LiveWebSocket, EndsWithTheErrorAndStopsInGoodOrder) {
  TestServer test;
  RawClient client = Following(test);
  {
    const std::lock_guard lock(test.backend.mutex);
    test.backend.failure = Error(Code::kUnavailable, "view \"v\" has failed");
  }
  test.backend.Step(8, 1);
  std::string close = CloseFrame(CloseCode::kInternal, "view \"v\" has failed");
  const std::string last = client.ReceiveUntil(close);
  EXPECT_NE(last.find(R"({"event": "error", "data": {"error": {"code": "unavailable")"),
            std::string::npos)
      << last;
  client.Send(ClientFrame(FrameKind::kClose, true, ""));
  EXPECT_EQ(client.ReceiveUntil(), "");
  {
    const std::lock_guard lock(test.backend.mutex);
    test.backend.failure.reset();
  }
  RawClient polite = Following(test), rude = Following(test);
  std::thread stop([&] { test.server->Stop(std::chrono::seconds(30)); });
  close = CloseFrame(CloseCode::kGoingAway, "the node is stopping");
  EXPECT_EQ(polite.ReceiveUntil(close), close);
  polite.Send(ClientFrame(FrameKind::kClose, true, ClosePayload(CloseCode::kGoingAway, "")));
  EXPECT_EQ(polite.ReceiveUntil(), "");
  EXPECT_EQ(rude.ReceiveUntil(), close);  // it does not answer, and is not waited for for long
  const auto begin = std::chrono::steady_clock::now();
  stop.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(LiveWebSocket, PingsAndLetsGoOfWhoDoesNotAnswer) {
  ServiceOptions options;
  options.live.heartbeat = std::chrono::milliseconds(100);
  TestServer test({}, options);
  const std::string ping = ControlFrame(FrameKind::kPing, "");
  RawClient alive = Following(test), dead = Following(test);
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < std::chrono::seconds(2)) {
    ASSERT_NE(alive.ReceiveUntil(ping), "");
    ASSERT_TRUE(alive.Send(ClientFrame(FrameKind::kPong, true, "")));
  }
  const std::string got = dead.ReceiveUntil();
  EXPECT_LT(got.size(), 10 * ping.size());
  EXPECT_TRUE(got.ends_with(ping));
}

}  // namespace
}  // namespace millrace::http::live_websocket_test
