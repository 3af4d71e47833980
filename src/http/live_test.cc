// Live answers over a backend without an engine: who gets which events, and when they end.
#include "http/testing.h"

namespace millrace::http::live_test {
namespace {

// The chunk's end follows the event's.
constexpr std::string_view kEndOfSnapshot = "}]\n\n\r\n";
constexpr std::string_view kEndOfChange = "]}\n\n\r\n";

std::string Get(std::string_view target, std::string_view more = {}) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n{}\r\n", target,
                     more);
}

std::string Events(const std::string& got, std::string_view name) {
  size_t count = 0;
  for (size_t at = 0; (at = got.find(fmt::format("event: {}\n", name), at)) != std::string::npos;)
    ++count, ++at;
  return fmt::format("{} {}", count, name);
}

std::string IdOf(const std::string& got) {
  const size_t at = got.rfind("\nid: ");
  return at == std::string::npos ? "" : got.substr(at + 5, got.find('\n', at + 5) - at - 5);
}

std::string Metric(const TestServer& test, std::string_view name) {
  auto client = test.Client();
  net::ClientRequest request;
  request.target = "/metrics";
  const auto answer = client.Send(request);
  const size_t at = answer->body.find(fmt::format("\n{} ", name));
  if (at == std::string::npos) return "none";
  const size_t from = at + name.size() + 2;
  return answer->body.substr(from, answer->body.find('\n', from) - from);
}

void WaitFor(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000 && !condition(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(condition());
}

void Change(FakeBackend& backend, const std::function<void()>& change) {
  const std::lock_guard lock(backend.mutex);
  change();
}

class Live : public testing::TestWithParam<bool> {
 protected:
  Live() { test.backend.fast = GetParam(); }
  TestServer test;
};
INSTANTIATE_TEST_SUITE_P(FastAndSlow, Live, testing::Bool());

TEST_P(Live, BeginsWithTheContentAndSendsEachChange) {
  RawClient client(test.server->address());
  client.Send(Get("/users/1"));
  const std::string first = client.ReceiveUntil(kEndOfSnapshot);
  EXPECT_NE(first.find("Content-Type: text/event-stream\r\n"), std::string::npos) << first;
  EXPECT_NE(first.find("retry: 1000\n\n"), std::string::npos) << first;
  EXPECT_NE(first.find("data: [{\"i\":0,\"name\":\"name\"}]\n\n"), std::string::npos) << first;
  EXPECT_TRUE(IdOf(first).starts_with("7-")) << first;
  test.backend.Step(8, 1);  // changes nothing here
  test.backend.Step(9, 3);
  const std::string second = client.ReceiveUntil(kEndOfChange);
  EXPECT_EQ(Events(second, "change"), "1 change") << second;
  EXPECT_NE(second.find(R"({"step": 9, "removed": [], "added": [{"i":1,"name":"name"}, )"
                        R"({"i":2,"name":"name"}], "removed_at": [], "added_at": [1, 2]})"),
            std::string::npos)
      << second;
  EXPECT_TRUE(IdOf(second).starts_with("9-")) << second;
  test.backend.Step(10, 2);
  EXPECT_NE(client.ReceiveUntil(kEndOfChange).find(R"("removed_at": [2], "added_at": [])"),
            std::string::npos);
}

TEST_P(Live, OneEvaluationServesAllReadersOfOneQuery) {
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(test.server->address());
    clients.back().Send(Get("/users/1"));
    EXPECT_EQ(Events(clients.back().ReceiveUntil(kEndOfSnapshot), "snapshot"), "1 snapshot");
  }
  EXPECT_EQ(test.backend.answers.load(), 1);
  test.backend.Step(8, 5);
  for (RawClient& client : clients)
    EXPECT_EQ(Events(client.ReceiveUntil(kEndOfChange), "change"), "1 change");
  EXPECT_EQ(test.backend.answers.load(), 2);
  EXPECT_EQ(Metric(test, "http_live_readers"), "20");
  EXPECT_EQ(Metric(test, "http_live_queries"), "1");
  clients.clear();
  WaitFor([&] { return Metric(test, "http_live_readers") == "0"; });
  test.backend.Step(9, 6);
  EXPECT_EQ(test.backend.answers.load(), 2);  // nobody reads it
}

TEST_P(Live, GoesOnAfterTheLastEventThatTheClientHas) {
  std::string ids[3];
  {
    RawClient client(test.server->address());
    client.Send(Get("/users/1"));
    ids[0] = IdOf(client.ReceiveUntil(kEndOfSnapshot));
    test.backend.Step(8, 2);
    ids[1] = IdOf(client.ReceiveUntil(kEndOfChange));
    test.backend.Step(9, 3);
    ids[2] = IdOf(client.ReceiveUntil(kEndOfChange));
  }
  WaitFor([&] { return Metric(test, "http_live_readers") == "0"; });
  test.backend.Step(10, 3);
  test.backend.Step(11, 4);  // while nobody reads
  const auto resume = [&](const std::string& id, size_t changes) {
    RawClient client(test.server->address());
    client.Send(Get("/users/1", fmt::format("Last-Event-ID: {}\r\n", id)));
    std::string got;
    for (size_t i = 0; i < changes; ++i) got += client.ReceiveUntil("added_at") + "\n";
    EXPECT_EQ(Events(got, "snapshot"), "0 snapshot") << got;
    return got;
  };
  const std::string from_first = resume(ids[0], 1);
  EXPECT_NE(from_first.find("\"step\": 8"), std::string::npos) << from_first;
  const std::string from_last = resume(ids[2], 1);
  EXPECT_NE(from_last.find("\"step\": 11"), std::string::npos) << from_last;
  for (const std::string unknown : {"7-0000000000000000", "nonsense", "99"}) {
    RawClient client(test.server->address());
    client.Send(Get("/users/1", fmt::format("Last-Event-ID: {}\r\n", unknown)));
    EXPECT_EQ(Events(client.ReceiveUntil("\"name\"}]\n"), "snapshot"), "1 snapshot");
  }
}

TEST_P(Live, SaysWhatIsWrongBeforeItBegins) {
  RawClient unknown(test.server->address());
  unknown.Send(Get("/nothing"));
  EXPECT_TRUE(unknown.ReceiveUntil("}}").starts_with("HTTP/1.1 404"));
  RawClient parameter(test.server->address());
  parameter.Send(Get("/users/1?colour=red"));
  EXPECT_TRUE(parameter.ReceiveUntil("}}").starts_with("HTTP/1.1 400"));
  Change(test.backend, [&] { test.backend.failure = Error(Code::kTimeout, "it took too long"); });
  RawClient failing(test.server->address());
  failing.Send(Get("/users/1"));
  EXPECT_TRUE(failing.ReceiveUntil("}}").starts_with("HTTP/1.1 504"));
  Change(test.backend, [&] { test.backend.failure.reset(); });
  failing.Send(Get("/users/1"));  // on the same connection, and the failure is not kept
  EXPECT_EQ(Events(failing.ReceiveUntil(kEndOfSnapshot), "snapshot"), "1 snapshot");
}

TEST_P(Live, EndsWithTheErrorWhenTheAnswerFailsOrBecomesAnother) {
  for (const bool renamed : {false, true}) {
    RawClient client(test.server->address());
    client.Send(Get("/users/1"));
    client.ReceiveUntil(kEndOfSnapshot);
    Change(test.backend, [&] {
      if (renamed) {
        test.backend.renamed = true;
      } else {
        test.backend.failure = Error(Code::kUnavailable, "view \"v\" has failed");
      }
    });
    test.backend.Step(8, 1, /*catalog_changed=*/true);
    const std::string last = client.ReceiveUntil("0\r\n\r\n");
    EXPECT_EQ(Events(last, "error"), "1 error") << last;
    EXPECT_NE(last.find(renamed ? R"(data: {"error": {"code": "conflict")"
                                : R"(data: {"error": {"code": "unavailable")"),
              std::string::npos)
        << last;
    Change(test.backend, [&] { test.backend.failure.reset(); });
  }
  RawClient next(test.server->address());
  next.Send(Get("/users/1"));
  EXPECT_NE(next.ReceiveUntil(kEndOfSnapshot).find("data: [{\"j\":0"), std::string::npos);
}

TEST_P(Live, ASlowReaderGetsTheNewestContentAndItsMemoryIsBounded) {
  RawClient client(test.server->address());
  RawClient quick(test.server->address());
  for (RawClient* reader : {&client, &quick}) reader->Send(Get("/users/1"));
  client.ReceiveUntil(kEndOfSnapshot);
  quick.ReceiveUntil(kEndOfSnapshot);
  // Far more than the sockets hold.
  size_t rows = 1;
  for (int64_t step = 8; step < 300; ++step) {
    rows = step % 2 == 0 ? 3000 : 1;
    test.backend.Step(step, rows);
    quick.ReceiveUntil(fmt::format("\nid: {}-", step));
  }
  EXPECT_LT(std::stoul(Metric(test, "http_live_memory_bytes")), size_t{4} << 20);
  test.backend.Step(300, 2);
  const std::string got = client.ReceiveUntil("\nid: 300-");
  EXPECT_GT(std::stoul(Metric(test, "http_live_coalesced_total")), 0u);
}

TEST(LiveLimits, RefusesReadersBeyondTheLimitAndHasRoomAgain) {
  ServiceOptions options;
  options.live.readers_max = 1;
  TestServer test({}, options);
  {
    RawClient one(test.server->address());
    one.Send(Get("/users/1"));
    one.ReceiveUntil(kEndOfSnapshot);
    RawClient two(test.server->address());
    two.Send(Get("/users/2"));
    const std::string refused = two.ReceiveUntil("}}");
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 429")) << refused;
    EXPECT_NE(refused.find("Retry-After"), std::string::npos);
    EXPECT_NE(refused.find("1 live readers are connected, which is the limit"), std::string::npos);
  }
  WaitFor([&] { return Metric(test, "http_live_readers") == "0"; });
  RawClient three(test.server->address());
  three.Send(Get("/users/3"));
  EXPECT_EQ(Events(three.ReceiveUntil(kEndOfSnapshot), "snapshot"), "1 snapshot");
}

TEST(LiveLimits, ContentsTooLargeAreRefusedAndMakeRoomForOthers) {
  ServiceOptions options;
  options.live.answer_bytes_max = 20'000;
  options.live.memory_bytes_max = 40'000;
  TestServer test({}, options);
  RawClient large(test.server->address());
  large.Send(Get("/users/1?count=1000"));
  EXPECT_TRUE(large.ReceiveUntil("}}").starts_with("HTTP/1.1 413"));
  for (int i = 0; i < 5; ++i) {  // each fits, not all together: those without readers give way
    RawClient client(test.server->address());
    client.Send(Get(fmt::format("/users/{}?count=150", i)));
    EXPECT_EQ(Events(client.ReceiveUntil(kEndOfSnapshot), "snapshot"), "1 snapshot");
    client.CloseSending();
    client.ReceiveUntil();
    WaitFor([&] { return Metric(test, "http_live_readers") == "0"; });
  }
}

TEST(LiveLimits, AQuietStreamHasHeartbeats) {
  ServiceOptions options;
  options.live.heartbeat = std::chrono::milliseconds(20);
  TestServer test({}, options);
  RawClient client(test.server->address());
  client.Send(Get("/users/1"));
  client.ReceiveUntil(kEndOfSnapshot);
  for (int i = 0; i < 3; ++i) EXPECT_NE(client.ReceiveUntil("\n:\n\n").size(), 0u);
}

TEST(LiveLimits, StoppingEndsLiveAnswersInGoodOrder) {
  TestServer test;
  std::vector<RawClient> clients;
  for (int i = 0; i < 10; ++i) {
    clients.emplace_back(test.server->address());
    clients.back().Send(Get("/users/1"));
    clients.back().ReceiveUntil(kEndOfSnapshot);
  }
  const auto begin = std::chrono::steady_clock::now();
  test.server->Stop(std::chrono::seconds(30));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  for (RawClient& client : clients) {
    const std::string last = client.ReceiveUntil();
    EXPECT_NE(last.find("retry: 5000\n\n"), std::string::npos) << last;
    EXPECT_TRUE(last.ends_with("0\r\n\r\n")) << last;
  }
}

TEST(LiveLimits, HeadAndOtherFormatsAreAnsweredAtOnce) {
  TestServer test;
  RawClient client(test.server->address());
  client.Send("HEAD /users/1 HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n");
  EXPECT_NE(client.ReceiveUntil("\r\n\r\n").find("text/event-stream"), std::string::npos);
  client.Send("GET /users/1 HTTP/1.1\r\nHost: h\r\nAccept: text/html, */*;q=0.1\r\n\r\n");
  EXPECT_NE(client.ReceiveUntil("]\n").find("application/json"), std::string::npos);
}

}  // namespace
}  // namespace millrace::http::live_test
