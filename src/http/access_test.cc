#include "http/access.h"

#include <filesystem>

#include "auth/statement_rights.h"
#include "http/testing.h"

namespace millrace::http::access_test {
namespace {

// A server on which clients must sign in.
class ClosedServer {
 public:
  ClosedServer() : access_(*auth::Access::Open(Files::System(), folder_)) {
    access_->Require();
    ServiceOptions options;
    options.access = access_.get();
    test_ = std::make_unique<TestServer>(ServerOptions{}, options);
  }
  ~ClosedServer() {
    test_.reset();
    access_.reset();
    std::filesystem::remove_all(folder_);
  }

  auth::NewToken Make(std::string_view scope) {
    auto made = store_.CreateToken(auth::Scopes({*auth::ParseScope(scope)}), {}, "");
    EXPECT_TRUE(made.ok());
    access_->Refresh();
    return *made;
  }
  std::string Token(std::string_view scope) { return Make(scope).text; }
  void Revoke(const auth::NewToken& token) {
    EXPECT_TRUE(store_.RevokeToken(token.id).ok());
    access_->Refresh();
  }

  net::ClientAnswer Send(const std::string& token, const std::string& method,
                         const std::string& target, const std::string& body = "",
                         const std::string& type = "application/json") {
    net::ClientRequest request;
    request.method = method;
    request.target = target;
    request.body = body;
    if (!body.empty()) request.headers.emplace_back("Content-Type", type);
    if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
    auto client = test_->Client();
    auto answer = client.Send(request);
    EXPECT_TRUE(answer.ok());
    return std::move(answer).value();
  }
  TestServer& test() { return *test_; }

 private:
  static std::string MakeFolder() {
    std::string name = "/tmp/millrace_http_access_XXXXXX";
    return ::mkdtemp(name.data());
  }
  const std::string folder_ = MakeFolder();
  auth::Store store_{Files::System(), folder_};
  std::unique_ptr<auth::Access> access_;
  std::unique_ptr<TestServer> test_;
};

TEST(HttpAccess, AsksForATokenWhereItMust) {
  ClosedServer server;
  const struct {
    const char* method;
    const char* target;
  } closed[] = {{"GET", "/"},
                {"POST", "/v1/streams/clicks"},
                {"POST", "/v1/sql"},
                {"GET", "/users/1"},
                {"GET", "/nothing"},
                {"POST", "/users/1"},
                {"OPTIONS", "*"},
                {"GET", "/metrics"},
                {"GET", "/v1/ledger"},
                {"POST", "/v1/project/plan"},
                {"GET", "/v1/trace/clicks/0/0"}};
  for (const auto& [method, target] : closed) {
    const auto none = server.Send("", method, target);
    EXPECT_EQ(none.status, 401) << target;
    EXPECT_NE(none.Header("WWW-Authenticate"), nullptr);
    EXPECT_NE(none.body.find(R"("code": "unauthenticated")"), std::string::npos) << none.body;
    const auto wrong = server.Send("mr_000000000000_" + std::string(64, '0'), method, target);
    EXPECT_EQ(wrong.status, 401) << target;
    EXPECT_EQ(wrong.body.find("000000"), std::string::npos) << wrong.body;
  }
  EXPECT_EQ(server.Send("", "GET", "/healthz").status, 200);
  EXPECT_EQ(server.Send("", "GET", "/readyz").status, 200);
}

TEST(HttpAccess, LetsATokenDoWhatItsScopesSayAndNothingElse) {
  ClosedServer server;
  struct Case {
    const char* scope;
    const char* method;
    const char* target;
    const char* body;
  };
  const std::vector<Case> cases = {
      {"ingest:clicks", "POST", "/v1/streams/clicks", R"({"id": 1})"},
      {"read:user", "GET", "/users/1", ""},
      {"sql", "POST", "/v1/sql", R"({"sql": "rows 1"})"},
      {"metrics", "GET", "/metrics", ""},
      {"consume:clicks", "GET", "/v1/trace/clicks/0/0", ""},
      {"admin", "POST", "/v1/project/plan", R"({"files": []})"},
  };
  for (const Case& owner : cases) {
    const std::string token = server.Token(owner.scope);
    EXPECT_EQ(server.Send(token, "GET", "/").status, 200);
    for (const Case& route : cases) {
      const auto answer = server.Send(token, route.method, route.target, route.body);
      const bool own = owner.scope == std::string_view(route.scope);
      const bool admin = owner.scope == std::string_view("admin");
      if (route.scope == std::string_view("sql") && own) {
        EXPECT_EQ(answer.status, 403);  // "rows" is no statement that reads, as far as is known
        continue;
      }
      EXPECT_EQ(answer.status, own || admin ? 200 : 403)
          << owner.scope << " on " << route.target << ": " << answer.body;
      if (answer.status == 403) {
        EXPECT_NE(answer.body.find(R"("code": "forbidden")"), std::string::npos) << answer.body;
      }
    }
  }
  EXPECT_EQ(server.Send(server.Token("ingest:other"), "POST", "/v1/streams/clicks", "{}").status,
            403);
  EXPECT_EQ(server.Send(server.Token("ingest:*"), "POST", "/v1/streams/clicks", "{}").status, 200);
}

TEST(HttpAccess, ARevokedTokenEndsOnALivingConnection) {
  ClosedServer server;
  const auth::NewToken token = server.Make("read:user");
  auto client = server.test().Client();
  net::ClientRequest request;
  request.target = "/users/1";
  request.headers = {{"authorization", "bearer " + token.text}};
  EXPECT_EQ(client.Send(request)->status, 200);
  server.Revoke(token);
  EXPECT_EQ(client.Send(request)->status, 401);
}

TEST(HttpAccess, AnUnreadBodyOfAStrangerHarmsNobody) {
  ClosedServer server;
  RawClient client(server.test().server->address());
  client.Send("POST /v1/streams/clicks HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nabc");
  const std::string answer = client.ReceiveUntil("}}");
  EXPECT_NE(answer.find("401 Unauthorized"), std::string::npos);
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST(HttpAccess, TellsReadersFromDefiners) {
  const auto sql = std::make_shared<const auth::Principal>(auth::Principal{
      auth::Principal::Kind::kToken, "t", auth::Scopes({{auth::Permission::kSql, ""}}), {}, {}});
  for (const char* text : {"SELECT 1", "  select 1", "-- a\n/* b */ FROM t", "((SELECT 1))",
                           "insert into t values (1)", "WITH a AS (SELECT 1) SELECT 2",
                           "SHOW VIEWS", "EXPLAIN SELECT 1"}) {
    EXPECT_TRUE(auth::CheckStatement(sql, text).ok()) << text;
    EXPECT_TRUE(auth::CheckStatement(nullptr, text).ok());
  }
  for (const char* text : {"CREATE VIEW v AS SELECT 1", "drop view v", "/* SELECT */ DROP VIEW v",
                           "-- SELECT\nALTER STREAM s PAUSE", "COPY t TO 'x'", "SET x = 1", "",
                           "SELECTX", "\"SELECT\"", "/* open SELECT"}) {
    const Status status = auth::CheckStatement(sql, text);
    ASSERT_FALSE(status.ok()) << text;
    EXPECT_EQ(status.error().sqlstate(), auth::kInsufficientPrivilege);
    EXPECT_TRUE(auth::CheckStatement(nullptr, text).ok());
  }
}

}  // namespace
}  // namespace millrace::http::access_test
