// Whole servers over the loopback: framing, limits and ends of connections, whatever is served.
#include "http/server.h"

#include <cstdlib>

#include "base/random.h"
#include "http/testing.h"

namespace millrace::http::server_test {
namespace {

constexpr std::string_view kGet = "GET /users/1 HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kLastGet =
    "GET /users/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

size_t Count(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

void WaitUntil(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(Server, KeepsAConnectionForManyRequests) {
  TestServer test;
  auto client = test.Client();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(client.Get("/users/1")->status, 200);
  EXPECT_NE(test.server->Metrics().find("http_connections_accepted_total 1\n"), std::string::npos);
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  TestServer test;
  RawClient client(test.server->address());
  std::string requests;
  for (int i = 1; i <= 500; ++i)
    requests += fmt::format(
        "GET /users/1?count={} HTTP/1.1\r\nHost: a\r\nX-Request-Id: r{}\r\n\r\n", i % 3, i);
  requests +=
      "POST /v1/streams/clicks HTTP/1.1\r\nHost: a\r\nContent-Type: "
      "application/json\r\nContent-Length: 2\r\n\r\n{}";
  requests +=
      "POST /v1/streams/clicks HTTP/1.1\r\nHost: a\r\nContent-Type: "
      "application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
  std::thread sender([&] { client.Send(requests + std::string(kLastGet)); });
  const std::string got = client.ReceiveUntil();
  sender.join();
  EXPECT_EQ(Count(got, "HTTP/1.1 200 OK\r\n"), 503u);
  size_t at = 0;
  for (int i = 1; i <= 500; ++i) {
    at = got.find(fmt::format("X-Request-Id: r{}\r\n", i), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_EQ(test.backend.rows.size(), 2u);
}

TEST(Server, AnswersAClientThatHasClosedItsSideAlready) {
  TestServer test;
  RawClient client(test.server->address());
  client.Send(kGet);
  client.CloseSending();
  const std::string got = client.ReceiveUntil();
  EXPECT_EQ(Count(got, "200 OK"), 1u);
  EXPECT_NE(got.find(R"([{"i":0,"name":"name"}])"), std::string::npos) << got;
}

TEST(Server, AnswersHeadWithoutABodyAndOptionsWithTheMethods) {
  TestServer test;
  RawClient client(test.server->address());
  client.Send(
      "HEAD /users/1 HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS /v1/sql HTTP/1.1\r\nHost: a\r\nConnection: "
      "close\r\n\r\n");
  const std::string got = client.ReceiveUntil();
  EXPECT_NE(got.find("Content-Length: 2"), std::string::npos);
  EXPECT_EQ(got.find("[{"), std::string::npos);
  EXPECT_NE(got.find("204 No Content"), std::string::npos);
  EXPECT_NE(got.find("Allow: POST, OPTIONS"), std::string::npos) << got;
}

TEST(Server, TellsWrongPathsFromWrongMethodsInJson) {
  TestServer test;
  auto client = test.Client();
  auto missing = client.Get("/nowhere");
  EXPECT_EQ(missing->status, 404);
  EXPECT_NE(missing->body.find("\"code\": \"not_found\""), std::string::npos) << missing->body;
  auto wrong = client.Get("/v1/sql");
  EXPECT_EQ(wrong->status, 405);
  EXPECT_EQ(*wrong->Header("allow"), "POST, OPTIONS");
  EXPECT_EQ(client.Post("/users/1", "text/plain", "x")->status, 405);
  EXPECT_NE(wrong->Header("x-request-id"), nullptr);
}

TEST(Server, EchoesAPlainRequestIdAndReplacesAnother) {
  TestServer test;
  auto client = test.Client();
  net::ClientRequest request;
  request.target = "/users/1";
  request.headers = {{"X-Request-Id", "abc-1"}};
  EXPECT_EQ(*client.Send(request)->Header("x-request-id"), "abc-1");
  request.headers = {{"X-Request-Id", "\"<script>\""}};
  EXPECT_NE(*client.Send(request)->Header("x-request-id"), "\"<script>\"");
}

TEST(Server, SendsContinueOnlyWhenTheBodyIsWanted) {
  TestServer test;
  const std::string head =
      "Host: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n";
  RawClient wanted(test.server->address());
  wanted.Send("POST /v1/streams/clicks HTTP/1.1\r\nContent-Type: application/json\r\n" + head +
              "\r\n");
  EXPECT_EQ(wanted.ReceiveUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  wanted.Send("{}");
  EXPECT_NE(wanted.ReceiveUntil().find("200 OK"), std::string::npos);
  RawClient unwanted(test.server->address());
  unwanted.Send("POST /v1/streams/clicks HTTP/1.1\r\nContent-Type: image/png\r\n" + head + "\r\n");
  const std::string got = unwanted.ReceiveUntil();
  EXPECT_TRUE(got.starts_with("HTTP/1.1 415 ")) << got;
}

TEST(Server, RefusesHeadsThatAreTooLarge) {
  TestServer test;
  RawClient large(test.server->address());
  large.Send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n");
  EXPECT_TRUE(large.ReceiveUntil().starts_with("HTTP/1.1 431 "));
  RawClient target(test.server->address());
  target.Send("GET /" + std::string(9'000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(target.ReceiveUntil().starts_with("HTTP/1.1 414 "));
}

TEST(Server, LetsAClientReadWhyItsLargeBodyWasRefused) {
  TestServer test;
  auto client = test.Client();
  const auto answer = client.Post("/v1/sql", "application/sql", std::string(20 << 20, 'x'));
  ASSERT_TRUE(answer.ok()) << answer.error().ToString();
  EXPECT_EQ(answer->status, 413);
  EXPECT_EQ(*answer->Header("connection"), "close");
}

TEST(Server, EndsSlowAndIdleConnectionsAndServesTheOthers) {
  ServerOptions options;
  options.head_timeout = options.idle_timeout = options.body_timeout =
      std::chrono::milliseconds(200);
  TestServer test(options);
  RawClient slow_head(test.server->address());
  RawClient slow_body(test.server->address());
  RawClient idle(test.server->address());
  slow_head.Send("GET / HTTP/1.1\r\nHost:");
  slow_body.Send(
      "POST /v1/streams/clicks HTTP/1.1\r\nHost: a\r\nContent-Type: "
      "application/json\r\nContent-Length: 9\r\n\r\n{");
  EXPECT_TRUE(slow_head.ReceiveUntil().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(slow_body.ReceiveUntil().starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(idle.ReceiveUntil(), "");
  EXPECT_EQ(test.Client().Get("/users/1")->status, 200);
}

TEST(Server, DoesNotLetAClientThatTricklesItsHeadStayForLonger) {
  ServerOptions options;
  options.head_timeout = std::chrono::milliseconds(300);
  TestServer test(options);
  RawClient client(test.server->address());
  // Each byte comes well within the limit, the head as a whole does not.
  while (client.Send("G")) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(test.server->Metrics().find("http_timeouts_total 0\n"), std::string::npos);
}

TEST(Server, SurvivesMalformedRequestsAndHarmsNobodyElse) {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261123;
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  Random random(seed);
  ServerOptions options;
  options.head_timeout = options.idle_timeout = options.body_timeout =
      std::chrono::milliseconds(500);
  TestServer test(options);
  auto honest = test.Client();
  const std::string base =
      "POST /v1/streams/clicks?wait=visible HTTP/1.1\r\nHost: a\r\nContent-Type: "
      "application/x-ndjson\r\n"
      "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"a\":1}\n\r\n8\r\n{\"b\":2}\n\r\n0\r\n\r\n"
      "GET /users/1?count=2 HTTP/1.1\r\nHost: a\r\nAccept: text/csv\r\n\r\n";
  for (int round = 0; round < 300; ++round) {
    std::string bytes = base;
    for (uint64_t edits = 1 + random.Below(3); edits > 0; --edits) {
      const size_t at = random.Below(bytes.size());
      switch (random.Below(3)) {
        case 0:
          bytes[at] = static_cast<char>(random.Next());
          break;
        case 1:
          bytes.erase(at, 1 + random.Below(20));
          break;
        case 2:
          bytes.insert(at, bytes.substr(random.Below(bytes.size()), random.Below(100)));
          break;
      }
      if (bytes.empty()) bytes = "x";
    }
    RawClient client(test.server->address());
    client.Send(bytes);
    client.CloseSending();
    const std::string got = client.ReceiveUntil();
    ASSERT_TRUE(got.empty() || got.starts_with("HTTP/1.1 ")) << got;
    ASSERT_EQ(honest.Get("/users/1")->status, 200);
  }
}

TEST(Server, HoldsAThousandIdleConnectionsAndGoesOnServing) {
  ServerOptions options;
  options.io_threads = 2;
  TestServer test(options);
  std::vector<RawClient> idle;
  for (int i = 0; i < 1000; ++i) idle.emplace_back(test.server->address());
  auto client = test.Client();
  EXPECT_EQ(client.Get("/users/1")->status, 200);
  WaitUntil(
      [&] { return test.server->Metrics().find("http_connections 1001\n") != std::string::npos; });
  for (auto& connection : idle) {
    connection.Send(kGet);
    EXPECT_TRUE(connection.ReceiveUntil("]\n").starts_with("HTTP/1.1 200 OK"));
  }
}

TEST(Server, FinishesARequestThatIsBeingAnsweredWhenItStopsAndTakesNoMore) {
  TestServer test;
  test.backend.fast = false;
  RawClient idle(test.server->address());
  RawClient client(test.server->address());
  const std::string head =
      "POST /v1/streams/clicks HTTP/1.1\r\nHost: a\r\nContent-Type: "
      "application/json\r\nContent-Length: 2\r\n\r\n";
  client.Send(head + "{");
  WaitUntil(
      [&] { return test.server->Metrics().find("http_connections 2\n") != std::string::npos; });
  std::this_thread::sleep_for(std::chrono::milliseconds(
      20));  // the request's head is read: else it is cut, and the test fails below
  std::thread stopper([&] { test.server->Stop(std::chrono::seconds(30)); });
  EXPECT_EQ(idle.ReceiveUntil(), "");
  client.Send("}");
  const std::string got = client.ReceiveUntil();
  stopper.join();
  EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK")) << got;
  EXPECT_NE(got.find("Connection: close"), std::string::npos);
}

TEST(Server, CutsWhatDoesNotEndWithinTheDrainTime) {
  TestServer test;
  std::thread asker([&] {
    auto client = test.Client();
    auto answer = client.Post("/v1/sql", "application/sql", "wait");
    EXPECT_FALSE(answer.ok() && answer->status == 200);
  });
  WaitUntil([&] { return test.backend.waiting == 1; });
  test.server->Stop(std::chrono::milliseconds(10));
  WaitUntil([&] { return test.backend.cancelled == 1; });
  asker.join();
}

TEST(Server, AnswersOneDotZeroWithoutChunksAndCloses) {
  TestServer test;
  RawClient client(test.server->address());
  client.Send(
      "POST /v1/sql HTTP/1.0\r\nContent-Type: application/sql\r\nAccept: "
      "text/csv\r\nContent-Length: 11\r\n\r\nrows 100000");
  const std::string got = client.ReceiveUntil();
  EXPECT_EQ(got.find("Transfer-Encoding"), std::string::npos);
  EXPECT_TRUE(got.ends_with("99999,name\n"));
}

}  // namespace
}  // namespace millrace::http::server_test
