// The routes, over a backend without an engine.
#include "http/service.h"

#include <zlib.h>
#include <zstd.h>

#include "http/testing.h"

namespace millrace::http::service_test {
namespace {

net::ClientRequest Ingest(std::string_view content_type, std::string body) {
  net::ClientRequest request;
  request.method = "POST";
  request.target = "/v1/streams/clicks";
  request.headers = {{"Content-Type", std::string(content_type)}};
  request.body = std::move(body);
  return request;
}

std::string Gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

std::string Zstd(std::string_view text) {
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string Lines(size_t count) {
  std::string lines;
  for (size_t i = 0; i < count; ++i)
    lines += fmt::format("{{\"id\":{},\"name\":\"a name of some length {}\"}}\n", i, i % 97);
  return lines;
}

TEST(IngestRoute, TakesObjectsArraysLinesAndCsv) {
  TestServer test;
  auto client = test.Client();
  const struct {
    const char* type;
    const char* body;
    const char* answer;
  } cases[] = {
      {"application/json", R"({"id": 1})",
       R"("accepted": 1, "quarantined": 0, "rejected": [], "rejected_count": 0, "token": "1")"},
      {"application/json", R"([{"id": 1}, {"bad": 2}])", R"("accepted": 1, "quarantined": 1)"},
      {"application/x-ndjson", "{\"id\": 1}\n{\"id\": 2}", R"("accepted": 2, "quarantined": 0)"},
      {"text/csv; charset=utf-8", "name,id\nx,1\n", R"("accepted": 1, "quarantined": 0)"},
      {"application/json", "[]", R"("accepted": 0, "quarantined": 0)"},
  };
  for (const auto& [type, body, expected] : cases) {
    auto answer = client.Send(Ingest(type, body));
    EXPECT_EQ(answer->status, 200) << body;
    EXPECT_NE(answer->body.find(expected), std::string::npos) << answer->body;
  }
}

TEST(IngestRoute, NamesRejectedRowsByTheirPlaceInTheBody) {
  TestServer test;
  auto client = test.Client();
  auto some = client.Send(Ingest("application/json", R"([{}, 5, {}, "x"])"));
  EXPECT_EQ(some->status, 200);
  EXPECT_NE(some->body.find(
                R"("rejected": [{"row": 1, "column": "", "error": "not an object"}, {"row": 3)"),
            std::string::npos)
      << some->body;
  auto all = client.Send(Ingest("application/x-ndjson", "1\n2\n"));
  EXPECT_EQ(all->status, 422);
  EXPECT_NE(all->body.find("\"rejected_count\": 2"), std::string::npos);
  auto csv = client.Send(Ingest("text/csv", "id,name\n1,a\n2\n3,c\n"));
  EXPECT_EQ(csv->status, 200);
  EXPECT_NE(csv->body.find(R"("accepted": 2, "quarantined": 0, "rejected": [{"row": 1)"),
            std::string::npos)
      << csv->body;
}

TEST(IngestRoute, AppendsLongBodiesInPiecesInTheirOrder) {
  TestServer test;
  const std::string lines = Lines(50'000);
  std::string array = "[" + lines;
  for (char& c : array) c = c == '\n' ? ',' : c;
  array.back() = ']';
  auto client = test.Client();
  const struct {
    const char* type;
    const char* encoding;
    std::string body;
  } cases[] = {{"application/x-ndjson", "identity", lines},
               {"application/json", "identity", array},
               {"application/x-ndjson", "gzip", Gzip(lines)},
               {"application/x-ndjson", "zstd", Zstd(lines)}};
  for (const auto& [type, encoding, body] : cases) {
    for (const bool chunked : {false, true}) {
      SCOPED_TRACE(testing::Message() << type << ' ' << encoding << ' ' << chunked);
      test.backend.rows.clear();
      net::ClientRequest request = Ingest(type, chunked ? std::string() : body);
      request.headers.emplace_back("Content-Encoding", encoding);
      size_t at = 0;
      if (chunked) {
        request.body_source = [&]() -> Result<std::string> {
          std::string piece = body.substr(at, 10'007);
          at += piece.size();
          return piece;
        };
      }
      auto answer = client.Send(request);
      ASSERT_TRUE(answer.ok()) << answer.error().ToString();
      EXPECT_EQ(answer->status, 200) << answer->body;
      EXPECT_NE(answer->body.find("\"accepted\": 50000"), std::string::npos) << answer->body;
      std::string together;
      for (const std::string& row : test.backend.rows) together += row + "\n";
      EXPECT_TRUE(together == lines);
    }
  }
}

TEST(IngestRoute, RejectsARowThatIsTooLargeAndTakesItsNeighbours) {
  TestServer test;
  auto client = test.Client();
  const std::string large = "{\"a\":\"" + std::string(3 << 20, 'x') + "\"}";
  for (const bool lines : {true, false}) {
    const std::string body = lines ? "{}\n" + large + "\n{}\n" : "[{}," + large + ",{}]";
    auto answer = client.Send(Ingest(lines ? "application/x-ndjson" : "application/json", body));
    EXPECT_EQ(answer->status, 200);
    EXPECT_NE(answer->body.find(R"("accepted": 2, "quarantined": 0, "rejected": [{"row": 1, )"
                                R"("column": "", "error": "the row is larger)"),
              std::string::npos)
        << answer->body;
    net::ClientRequest whole = Ingest(lines ? "application/x-ndjson" : "application/json", body);
    whole.headers.emplace_back("Idempotency-Key", lines ? "k1" : "k2");
    auto again = client.Send(whole);
    EXPECT_NE(
        again->body.find(R"("rejected": [{"row": 1, "column": "", "error": "the row is larger)"),
        std::string::npos)
        << again->body;
  }
}

TEST(IngestRoute, AppendsABodyWithAKeyAsAWhole) {
  TestServer test;
  auto client = test.Client();
  net::ClientRequest request = Ingest("application/x-ndjson", Lines(10'000));
  request.headers.emplace_back("Idempotency-Key", "abc");
  request.headers.emplace_back("Idempotency-Scope", "stream");
  request.headers.emplace_back("X-Millrace-Source", "load");
  auto answer = client.Send(request);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(test.backend.last.idempotency_key, "abc");
  EXPECT_TRUE(test.backend.last.remember_long);
  EXPECT_EQ(test.backend.last.source, "load");
  const uint64_t hash = test.backend.last.body_hash;
  EXPECT_NE(client.Send(request)->body.find("\"repeated\": true"), std::string::npos);
  EXPECT_EQ(test.backend.last.body_hash, hash);
  request.body = std::string(17 << 20, '\n');
  EXPECT_EQ(client.Send(request)->status, 413);
}

TEST(IngestRoute, SaysWhatIsWrongWithARequest) {
  TestServer test;
  auto client = test.Client();
  const struct {
    const char* target;
    net::Headers headers;
    const char* body;
    int status;
    const char* part;
  } cases[] = {
      {"/v1/streams/clicks", {}, "{}", 415, "application/x-ndjson"},
      {"/v1/streams/clicks", {{"Content-Type", "text/html"}}, "{}", 415, "text/csv"},
      {"/v1/streams/clicks",
       {{"Content-Type", "application/json"}, {"Content-Encoding", "br"}},
       "{}",
       415,
       "gzip"},
      {"/v1/streams/clicks",
       {{"Content-Type", "application/json"}, {"Content-Encoding", "gzip"}},
       "{}",
       400,
       "gzip"},
      {"/v1/streams/clics", {{"Content-Type", "application/json"}}, "{}", 404, "clicks"},
      {"/v1/streams/clicks?wat=visible", {{"Content-Type", "application/json"}}, "{}", 400, "wait"},
      {"/v1/streams/clicks?wait=long",
       {{"Content-Type", "application/json"}},
       "{}",
       400,
       "wait=visible"},
      {"/v1/streams/clicks?timeout=x", {{"Content-Type", "application/json"}}, "{}", 400, "250ms"},
      {"/v1/streams/clicks",
       {{"Content-Type", "application/json"}, {"Idempotency-Key", ""}},
       "{}",
       400,
       "Idempotency-Key"},
      {"/v1/streams/clicks",
       {{"Content-Type", "application/json"}, {"X-Millrace-Source", "me"}},
       "{}",
       400,
       "load"},
      {"/v1/streams/clicks", {{"Content-Type", "application/json"}}, "", 400, "empty"},
      {"/v1/streams/clicks", {{"Content-Type", "application/json"}}, "{", 400, "middle"},
  };
  for (const auto& [target, headers, body, status, part] : cases) {
    net::ClientRequest request;
    request.method = "POST";
    request.target = target;
    request.headers = headers;
    request.body = body;
    auto answer = client.Send(request);
    ASSERT_TRUE(answer.ok()) << target << answer.error().ToString();
    EXPECT_EQ(answer->status, status) << target << answer->body;
    EXPECT_NE(answer->body.find(part), std::string::npos) << answer->body;
    EXPECT_TRUE(answer->body.starts_with("{\"error\": {\"code\": ")) << answer->body;
  }
}

TEST(IngestRoute, AnswersOverloadWithRetryAfterAndRidesItOutWithinABody) {
  TestServer test;
  auto client = test.Client();
  test.backend.overloads = 1;
  auto refused = client.Send(Ingest("application/json", "{}"));
  EXPECT_EQ(refused->status, 429);
  EXPECT_NE(refused->Header("retry-after"), nullptr);

  net::ClientRequest request = Ingest("application/x-ndjson", "");
  const std::string lines = Lines(20'000);
  size_t at = 0;
  request.body_source = [&]() -> Result<std::string> {
    std::string piece = lines.substr(at, 300'000);
    at += piece.size();
    std::lock_guard lock(test.backend.mutex);
    if (!test.backend.rows.empty() && test.backend.overloads == 0) test.backend.overloads = 2;
    return piece;
  };
  auto answer = client.Send(request);
  EXPECT_EQ(answer->status, 200) << answer->body;
  EXPECT_EQ(test.backend.rows.size(), 20'000u);
}

TEST(IngestRoute, SaysHowFarABodyCameThatFailsHalfWay) {
  TestServer test;
  test.backend.fail_after = 12'000;
  auto client = test.Client();
  auto answer = client.Send(Ingest("application/x-ndjson", Lines(20'000)));
  EXPECT_EQ(answer->status, 500);
  EXPECT_TRUE(answer->body.starts_with(
      R"({"error": {"code": "io", "message": "the disk is gone"}, "rows": )"))
      << answer->body;
  EXPECT_NE(answer->body.find("\"token\": \""), std::string::npos);
  test.backend.fail_after = 0;
  auto broken =
      client.Send(Ingest("application/json", "[{},{}," + std::string(400'000, ' ') + "oops"));
  EXPECT_EQ(broken->status, 400);
  EXPECT_NE(broken->body.find(R"("rows": 2, "accepted": 2)"), std::string::npos) << broken->body;
}

TEST(IngestRoute, TellsWhetherTheRowsAreVisible) {
  TestServer test;
  auto client = test.Client();
  net::ClientRequest request = Ingest("application/json", "{}");
  request.target += "?wait=visible&timeout=2s";
  EXPECT_NE(client.Send(request)->body.find("\"visible\": true"), std::string::npos);
}

TEST(SqlRoute, AnswersInTheFormatThatIsAccepted) {
  TestServer test;
  auto client = test.Client();
  net::ClientRequest request;
  request.method = "POST";
  request.target = "/v1/sql";
  request.body = "rows 2";
  request.headers = {{"Content-Type", "application/sql"}};
  EXPECT_EQ(client.Send(request)->body,
            "{\"columns\": [{\"name\": \"i\", \"type\": \"BIGINT\"}, {\"name\": \"name\", "
            "\"type\": \"VARCHAR\"}], \"tag\": \"SELECT\", "
            "\"step\": 7, \"affected\": 0, \"notices\": [], \"token\": \"\", \"rows\": "
            "[[0,\"name\"],\n[1,\"name\"]]}\n");
  request.headers.emplace_back("Accept", "text/csv");
  EXPECT_EQ(client.Send(request)->body, "i,name\n0,name\n1,name\n");
  request.headers.back().second = "application/x-ndjson";
  EXPECT_EQ(client.Send(request)->body,
            "{\"i\":0,\"name\":\"name\"}\n{\"i\":1,\"name\":\"name\"}\n");
  request.headers.back().second = "image/png";
  EXPECT_EQ(client.Send(request)->status, 406);
}

TEST(SqlRoute, StreamsLargeResults) {
  TestServer test;
  auto client = test.Client();
  net::ClientRequest request;
  request.method = "POST";
  request.target = "/v1/sql";
  request.body = "rows 300000";
  request.headers = {{"Content-Type", "application/sql"}, {"Accept", "application/x-ndjson"}};
  size_t bytes = 0, pieces = 0;
  auto answer = client.Send(request, [&](std::string_view piece) -> Status {
    bytes += piece.size();
    ++pieces;
    return Ok();
  });
  ASSERT_TRUE(answer.ok()) << answer.error().ToString();
  EXPECT_EQ(*answer->Header("transfer-encoding"), "chunked");
  size_t expected = 0;
  for (size_t i = 0; i < 300'000; ++i)
    expected += fmt::format("{{\"i\":{},\"name\":\"name\"}}\n", i).size();
  EXPECT_EQ(bytes, expected);
  EXPECT_EQ(client.Post("/v1/sql", "application/sql", "rows 1")->status,
            200);  // the connection is whole
}

TEST(SqlRoute, RunsSeveralStatementsAndPointsIntoTheWholeText) {
  TestServer test;
  auto client = test.Client();
  auto last = client.Post("/v1/sql", "application/json", R"({"sql": "rows 1; rows 2;"})");
  EXPECT_NE(last->body.find("[1,\"name\"]"), std::string::npos);
  auto wrong = client.Post("/v1/sql", "application/sql", "rows 1;\n  oops");
  EXPECT_EQ(wrong->status, 400);
  EXPECT_NE(wrong->body.find("\"position\": {\"line\": 2, \"column\": 3"), std::string::npos)
      << wrong->body;
  EXPECT_EQ(client.Post("/v1/sql", "application/sql", " ; ")->status, 400);
  EXPECT_EQ(client.Post("/v1/sql", "application/json", "{\"sql\": 1}")->status, 400);
  EXPECT_EQ(client.Post("/v1/sql", "application/json", "{\"sql\": ")->status, 400);
  EXPECT_EQ(client.Post("/v1/sql", "text/html", "rows 1")->status, 415);
}

TEST(SqlRoute, CancelsTheStatementOfAClientThatGoesAway) {
  TestServer test;
  {
    RawClient client(test.server->address());
    client.Send(
        "POST /v1/sql HTTP/1.1\r\nHost: a\r\nContent-Type: application/sql\r\nContent-Length: "
        "4\r\n\r\nwait");
    while (test.backend.waiting == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  while (test.backend.cancelled == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(test.Client().Post("/v1/sql", "application/sql", "rows 1")->status, 200);
}

TEST(EndpointRoute, AnswersOnTheIoThreadAndOnThePoolAlike) {
  TestServer test;
  auto client = test.Client();
  auto fast = client.Get("/users/1?count=2");
  test.backend.fast = false;
  auto pooled = client.Get("/users/1?count=2");
  EXPECT_EQ(fast->status, 200);
  EXPECT_EQ(fast->body, "[{\"i\":0,\"name\":\"name\"},\n{\"i\":1,\"name\":\"name\"}]\n");
  EXPECT_EQ(pooled->body, fast->body);
  EXPECT_EQ(*fast->Header("etag"), "W/\"7\"");
  EXPECT_EQ(*pooled->Header("etag"), "W/\"7\"");
  EXPECT_EQ(*fast->Header("x-data-timestamp"), "1970-01-01T00:00:00.000001Z");
  EXPECT_EQ(*fast->Header("cache-control"), "no-cache");
  EXPECT_EQ(client.Get("/users/1?count=0")->body, "[]\n");
  EXPECT_EQ(client.Get("/users/1?count=1&numbers=string")->body,
            "[{\"i\":\"0\",\"name\":\"name\"}]\n");
}

TEST(EndpointRoute, AnswersNotModifiedForTheSameStep) {
  TestServer test;
  auto client = test.Client();
  net::ClientRequest request;
  request.target = "/users/1";
  for (const char* tag : {"W/\"7\"", "\"7\"", "\"6\", W/\"7\"", "*"}) {
    request.headers = {{"If-None-Match", tag}};
    auto same = client.Send(request);
    EXPECT_EQ(same->status, 304) << tag;
    EXPECT_EQ(same->body, "");
  }
  request.headers = {{"If-None-Match", "W/\"6\""}};
  EXPECT_EQ(client.Send(request)->status, 200);
}

TEST(EndpointRoute, WaitsForAToken) {
  TestServer test;
  auto client = test.Client();
  EXPECT_EQ(client.Get("/users/1?after=3")->status, 200);
  EXPECT_EQ(client.Get("/users/1?after=never&timeout=1s")->status, 504);
}

TEST(EndpointRoute, NamesUnknownAndRepeatedParameters) {
  TestServer test;
  auto client = test.Client();
  auto unknown = client.Get("/users/1?cuont=2");
  EXPECT_EQ(unknown->status, 400);
  EXPECT_NE(unknown->body.find("cuont"), std::string::npos);
  EXPECT_NE(unknown->body.find("did you mean \\\"count\\\""), std::string::npos) << unknown->body;
  EXPECT_EQ(client.Get("/users/1?count=1&count=2")->status, 400);
  EXPECT_EQ(client.Get("/users/1?id=2")->status, 400);  // the path has it already
  EXPECT_EQ(client.Get("/users/1?count=%zz")->status, 400);
}

TEST(SystemRoutes, TellTheStateOfTheNode) {
  TestServer test;
  auto client = test.Client();
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  EXPECT_EQ(client.Get("/readyz")->status, 200);
  EXPECT_NE(client.Get("/v1/ledger")->body.find("\"balanced\": true"), std::string::npos);
  EXPECT_NE(client.Get("/")->body.find("\"GET /users/{id}\""), std::string::npos);
  auto metrics = client.Get("/metrics");
  EXPECT_NE(metrics->body.find("node_up 1\n"), std::string::npos);
  EXPECT_NE(metrics->body.find("http_requests_total{route=\"/healthz\",status=\"200\"} 1\n"),
            std::string::npos);
  EXPECT_NE(metrics->body.find("http_request_duration_seconds_count{route=\"/healthz\"} 1\n"),
            std::string::npos);
  test.backend.healthy = false;
  auto sick = client.Get("/healthz");
  EXPECT_EQ(sick->status, 503);
  EXPECT_NE(sick->body.find("fsync failed"), std::string::npos);
}

TEST(SystemRoutes, AnswerEverythingWith503UntilTheNodeIsThere) {
  TestServer test;
  test.service.SetBackend(nullptr);
  auto client = test.Client();
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  for (const char* target : {"/readyz", "/users/1", "/v1/ledger", "/metrics", "/v1/nothing"}) {
    auto answer = client.Get(target);
    EXPECT_EQ(answer->status, 503) << target;
    EXPECT_NE(answer->Header("retry-after"), nullptr) << target;
  }
  EXPECT_EQ(client.Post("/v1/sql", "application/sql", "rows 1")->status, 503);
  EXPECT_EQ(client.Send(Ingest("application/json", "{}"))->status, 503);
}

TEST(IngestRoute, SaysHowManyOfTheVisibleRowsAreDuplicates) {
  TestServer test;
  auto client = test.Client();
  net::ClientRequest request =
      Ingest("application/x-ndjson", "{\"twice\": 1}\n{\"twice\": 2}\n{\"once\": 3}\n");
  request.target += "?wait=visible";
  EXPECT_NE(client.Send(request)->body.find(R"("visible": true, "duplicates": 2, "late": 0)"),
            std::string::npos);
  // Without anything appended nothing is a duplicate.
  request.body = "1\n";
  EXPECT_NE(client.Send(request)->body.find(R"("visible": true, "duplicates": 0, "late": 0)"),
            std::string::npos);
  // Where a remembered request's rows stand is not remembered.
  request.body = "{\"twice\": 1}\n";
  request.headers.emplace_back("Idempotency-Key", "k");
  EXPECT_NE(client.Send(request)->body.find(R"("duplicates": 1)"), std::string::npos);
  const std::string repeated = client.Send(request)->body;
  EXPECT_NE(repeated.find(R"("repeated": true)"), std::string::npos);
  EXPECT_EQ(repeated.find(R"("duplicates")"), std::string::npos);
}

}  // namespace
}  // namespace millrace::http::service_test
